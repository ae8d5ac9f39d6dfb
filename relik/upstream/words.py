"""What cuts texts into words and sentences: the spaCy that is installed, or rules from a file."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from relik.upstream.extra import lacking
from relik.upstream.rule_cutter import CutText, RuleCutter
from relik.upstream.word_rules import WordRules

if TYPE_CHECKING:
    from spacy.language import Language


class WordCutter(Protocol):
    """What cuts texts into words and sentences."""

    def cut(self, text: str) -> CutText:
        """Cut a text into words; none for an empty one."""

    def sentences(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Give the first word of each sentence and one past its last, every word in one."""


class SpacyCutter:
    """Cuts by the rules of the spaCy that is installed; it is imported when first needed."""

    def cut(self, text: str) -> CutText:
        """Cut a text into words.

        Args:
            text: Any text.

        Returns:
            The words and their places.

        Raises:
            ConfigError: spaCy is not installed.
        """
        doc = _language().tokenizer(text)
        # Signed, and 64 bits wide: spaCy's own are unsigned.
        starts = doc.to_array("IDX").astype(np.int64)
        lengths = doc.to_array("LENGTH").astype(np.int64)
        return tuple(token.text for token in doc), starts, starts + lengths

    def sentences(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Cut words into sentences.

        Args:
            words: Words.

        Returns:
            First word of each sentence, and one past its last.

        Raises:
            ConfigError: spaCy is not installed.
        """
        language = _language()
        from spacy.tokens import Doc

        doc = Doc(language.vocab, words=[word or " " for word in words])
        doc = language.get_pipe("sentencizer")(doc)
        return ((sentence.start, sentence.end) for sentence in doc.sents)


SPACY = SpacyCutter()


def open_cutter(path: Path) -> RuleCutter | None:
    """Open a file of rules.

    Args:
        path: The file.

    Returns:
        What cuts by them; None where they are not those of a known release of spaCy.

    Raises:
        BundleError: The file cannot be read.
    """
    rules = WordRules.read(path)
    return None if rules is None else RuleCutter(rules)


@cache
def _language() -> "Language":
    try:
        import spacy
    except ImportError as error:
        raise lacking("spaCy") from error
    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    return language
