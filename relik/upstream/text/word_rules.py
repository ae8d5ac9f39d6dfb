"""spaCy's tokenization rules for English as data, read from spaCy or from a file.

A malicious regular expression can run without end, and a bundle may come from anyone. So a file is
used only if it has exactly the rules of a known release of spaCy.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relik.errors import BundleError, ConfigError
from relik.upstream.checkpoint.extra import missing_library

if TYPE_CHECKING:
    from spacy.language import Language

# SHA-256 of the rules as JSON, and the releases of spaCy that have them.
KNOWN: Mapping[str, str] = {
    "81af07e500d403d0e3337f4de4cfc521df193aa208ee36266518467c43035237": "3.7.0 to 3.8.18",
}

_FORMAT = 1
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WordRules:
    """Rules for words and sentences; patterns are regular expressions of `re`.

    Args:
        prefix: Stripped from the start of a chunk, repeatedly; starts with `^`.
        suffix: Stripped from its end, repeatedly; ends with `$`.
        infix: Splits the rest.
        url_match: The rest is one word if it starts with a match.
        exceptions: Words by chunk.
        sentence_ends: Words that end a sentence.
    """

    prefix: str
    suffix: str
    infix: str
    url_match: str
    exceptions: Mapping[str, tuple[str, ...]]
    sentence_ends: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the rules as JSON, in lower-case hex."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def is_known(self) -> bool:
        """Whether a release of spaCy in `KNOWN` has these rules."""
        return self.digest in KNOWN

    def to_json(self) -> str:
        """Return the rules as ASCII JSON with sorted keys, equal for equal rules."""
        values = asdict(self) | {"format": _FORMAT, "sentence_ends": sorted(self.sentence_ends)}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "WordRules":
        """Parse trusted rules."""
        values = json.loads(text)
        del values["format"]
        exceptions = {chunk: tuple(words) for chunk, words in values["exceptions"].items()}
        ends = tuple(values["sentence_ends"])
        return cls(**values | {"exceptions": exceptions, "sentence_ends": ends})

    def write(self, path: Path) -> None:
        """Write the rules to a file."""
        path.write_bytes(self.to_json().encode())

    @classmethod
    def read(cls, path: Path) -> "WordRules | None":
        """Read rules from a file; return None without parsing it if they are not known.

        Raises:
            BundleError: The file cannot be read.
        """
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES)
        except OSError as error:
            raise BundleError(
                f"{path}: cannot be read ({error.strerror or error}): check the permissions"
            ) from error
        if hashlib.sha256(data).hexdigest() not in KNOWN:
            return None
        return cls.from_json(data.decode())


@cache
def spacy_language() -> "Language":
    """Return spaCy's rules for English, with its sentence splitter.

    Raises:
        ConfigError: spaCy is not installed.
    """
    language: Language = _import_spacy().blank("en")
    language.add_pipe("sentencizer")
    return language


def spacy_rules() -> tuple[WordRules, str]:
    """Read the rules for English of the installed spaCy, and return them with its version.

    Raises:
        ConfigError: spaCy is not installed, or has rules of another form.
    """
    spacy = _import_spacy()
    language = spacy_language()
    sentencizer: Any = language.get_pipe("sentencizer")
    tokenizer: Any = language.tokenizer
    orth = language.vocab.strings.as_int("ORTH")
    searches = {
        "prefix": tokenizer.prefix_search,
        "suffix": tokenizer.suffix_search,
        "infix": tokenizer.infix_finditer,
        "url_match": tokenizer.url_match,
    }
    patterns: dict[str, Any] = {
        name: getattr(search, "__self__", None) for name, search in searches.items()
    }
    plain = all(
        isinstance(one, re.Pattern) and one.flags == re.UNICODE for one in patterns.values()
    )
    if tokenizer.token_match is not None or not plain:
        raise ConfigError(
            f"got spaCy {spacy.__version__} with tokenization rules of another form, expected "
            f"spaCy {', '.join(KNOWN.values())}: install one of these"
        )
    rules = WordRules(
        **{name: one.pattern for name, one in patterns.items()},
        exceptions={
            chunk: tuple(word[orth] for word in words) for chunk, words in tokenizer.rules.items()
        },
        sentence_ends=tuple(sorted(sentencizer.punct_chars)),
    )
    return rules, spacy.__version__


def _import_spacy() -> Any:
    try:
        import spacy
    except ImportError as error:
        raise missing_library("spaCy") from error
    return spacy
