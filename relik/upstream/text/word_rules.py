"""Rules by which texts are cut into words, as data: spaCy's for English, read from it or a file.

A regular expression can be made to run for ever, and a bundle may come from anyone. So a file of
rules counts only if it has, letter for letter, the rules of a release of spaCy.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from relik.errors import BundleError, ConfigError
from relik.upstream.checkpoint.extra import lacking

# SHA-256 of rules for English as JSON, and the releases of spaCy that have them.
KNOWN: Mapping[str, str] = {
    "81af07e500d403d0e3337f4de4cfc521df193aa208ee36266518467c43035237": "3.7.0 to 3.8.18",
}

_FORMAT = 1
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WordRules:
    """Rules for words and sentences. Patterns are regular expressions of `re`.

    Args:
        prefix: What is cut off at the front of a chunk, again and again; begins with `^`.
        suffix: What is cut off at its back; ends with `$`.
        infix: What the rest is cut at.
        url_match: A rest that begins so is one word.
        exceptions: Chunks, and the words that each is made of.
        sentence_ends: Words that a sentence ends with.
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
        """Whether they are those of a release of spaCy that is known here."""
        return self.digest in KNOWN

    def to_json(self) -> str:
        """Write the rules as JSON.

        Returns:
            ASCII with sorted names: equal for equal rules, whatever the order of exceptions.
        """
        values = asdict(self) | {"format": _FORMAT, "sentence_ends": sorted(self.sentence_ends)}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "WordRules":
        """Read rules that one trusts."""
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
        """Read rules from a file, if they are known.

        Returns:
            The rules; None for any but those of a known release, and then nothing is parsed.

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


def spacy_rules() -> tuple[WordRules, str]:
    """Read the rules for English of the spaCy that is installed.

    Raises:
        ConfigError: spaCy is not installed, or has rules of another form.
    """
    try:
        import spacy
    except ImportError as error:
        raise lacking("spaCy") from error
    language = spacy.blank("en")
    sentencizer: Any = language.add_pipe("sentencizer")
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
            f"got spaCy {spacy.__version__}, whose rules for words have another form, expected "
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
