"""What cuts texts into words and sentences: the spaCy that is installed, or rules from a file."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from relik.types import IntArray
from relik.upstream.checkpoint.extra import lacking
from relik.upstream.text.word_rules import WordRules

if TYPE_CHECKING:
    from spacy.language import Language


CutText: TypeAlias = tuple[tuple[str, ...], IntArray, IntArray]
"""Words; int64, (n_words,), first code point of each in the text; likewise one past its last."""

# The words of a part of a text, and how far each word begins before the next.
_Part: TypeAlias = tuple[tuple[str, ...], tuple[int, ...]]

# One space behind a chunk belongs to no word; all other white space is words.
_PARTS = re.compile(r"\S+ ?|\s+")
_CACHED_PARTS = 1 << 14
_CACHED_LENGTH = 48
# Ends of a chunk are looked for in so many code points first: what comes off is short.
_NEAR = 16
# A name before a host, as spaCy has it, which takes the square of a text's length where there are
# colons; and what matches the very same.
_SLOW_NAME, _NAME = r"(?:\S+(?::\S*)?@)?", r"(?:\S+@)?"
# In a tree of words: an exception ends here. No word is empty.
_END = ""


class RuleCutter:
    """Cuts by rules, as spaCy does. Any number of threads may use one at once.

    Args:
        rules: The rules. Those of a stranger may take for ever to compile or to run.
    """

    def __init__(self, rules: WordRules) -> None:
        self._exceptions = rules.exceptions
        self._longest = max(map(len, rules.exceptions), default=0)
        self._sentence_ends = frozenset(rules.sentence_ends)
        self._prefix = re.compile(rules.prefix)
        self._suffix = re.compile(rules.suffix)
        self._infixes = re.compile(rules.infix)
        self._url = re.compile(rules.url_match.replace(_SLOW_NAME, _NAME))
        self._joins = self._make_joins()
        # Parts that were seen lately, and those of before: old ones go, and memory is bounded.
        self._seen: tuple[dict[str, _Part], dict[str, _Part]] = ({}, {})

    def cut(self, text: str) -> CutText:
        """Cut a text into words."""
        words: list[str] = []
        steps: list[int] = []
        seen = self._seen[0]
        for part in _PARTS.findall(text):
            found = seen.get(part) or self._part(part)
            words += found[0]
            steps += found[1]
        places = list(accumulate(steps, initial=0))
        joined = self._joined(text, words, places)
        if joined is not None:
            words, places = joined
        starts = np.array(places[: len(words)], dtype=np.int64)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        return tuple(words), starts, starts + lengths

    def sentences(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Cut words into sentences: one ends with the last of the punctuation at its end."""
        first, over = 0, False
        for i, word in enumerate(words):
            if word in self._sentence_ends:
                over = True
            elif over and not _is_punctuation(word or " "):
                yield first, i
                first, over = i, False
        if words:
            yield first, len(words)

    def _part(self, part: str) -> _Part:
        """Cut a part that was not seen lately, and remember it."""
        recent, older = self._seen
        found = older.get(part)
        if found is None:
            chunk = _chunk(part)
            words = tuple(self._words(chunk, self._exceptions))
            steps = [len(word) for word in words]
            steps[-1] += len(part) - len(chunk)
            found = words, tuple(steps)
        if len(part) <= _CACHED_LENGTH:
            if len(recent) >= _CACHED_PARTS:
                recent, older = {}, recent
                self._seen = recent, older
            recent[part] = found
        return found

    def _words(self, chunk: str, exceptions: Mapping[str, Sequence[str]]) -> list[str]:
        """Cut a chunk, which is white space or has none."""
        fronts: list[str] = []
        backs: list[str] = []
        first, last = 0, len(chunk)
        while first < last and not self._among(exceptions, chunk, first, last):
            front = first + self._front(chunk, first, last)
            if front > first and self._among(exceptions, chunk, front, last):
                fronts.append(chunk[first:front])
                first = front
                break
            back = last - self._back(chunk, front, last)
            if back < last and self._among(exceptions, chunk, first, back):
                backs.append(chunk[back:last])
                last = back
                break
            if front == first and back == last:
                break
            fronts += [chunk[first:front]] if front > first else []
            backs += [chunk[back:last]] if back < last else []
            first, last = front, back
        return [*fronts, *self._rest(chunk[first:last], exceptions), *reversed(backs)]

    def _among(
        self, exceptions: Mapping[str, Sequence[str]], chunk: str, first: int, last: int
    ) -> bool:
        return last - first <= self._longest and chunk[first:last] in exceptions

    def _front(self, chunk: str, first: int, last: int) -> int:
        """Count what comes off the front, looking further only where that may be longer."""
        near = _NEAR
        while True:
            found = self._prefix.match(chunk[first : min(first + near, last)])
            end = 0 if found is None else found.end()
            if end < near or first + near >= last:
                return end
            near *= 4

    def _back(self, chunk: str, first: int, last: int) -> int:
        """Count what comes off the back, likewise."""
        near = _NEAR
        while True:
            found = self._suffix.search(chunk[max(first, last - near) : last])
            if found is None:
                return 0
            if found.start() > 0 or first + near >= last:
                return found.end() - found.start()
            near *= 4

    def _rest(self, chunk: str, exceptions: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """Cut what is left of a chunk when nothing more comes off its ends."""
        if chunk in exceptions:
            return exceptions[chunk]
        if not chunk:
            return ()
        if self._url.match(chunk):
            return (chunk,)
        words = []
        reached = 0
        for found in self._infixes.finditer(chunk):
            start, end = found.span()
            # At the front of the rest an infix is part of a word.
            if start == 0:
                continue
            words += [chunk[reached:start], chunk[start:end]]
            reached = end
        words.append(chunk[reached:])
        return [word for word in words if word]

    def _make_joins(self) -> dict[str, Any]:
        """Arrange the exceptions that rules would cut up, by the words of that, as a tree."""
        tree: dict[str, Any] = {}
        for chunk, words in self._exceptions.items():
            ends = self._front(chunk, 0, len(chunk)) or self._back(chunk, 0, len(chunk))
            if not (" " in chunk or ends or self._infixes.search(chunk)):
                continue
            parts = [_chunk(part) for part in _PARTS.findall(chunk)]
            cut = [word for part in parts for word in self._words(part, {})]
            if cut == list(words) == [chunk]:
                continue
            node = tree
            for word in cut:
                node = node.setdefault(word, {})
            node[_END] = {}
        return tree

    def _joined(
        self, text: str, words: list[str], places: list[int]
    ) -> tuple[list[str], list[int]] | None:
        """Put exceptions where words stand as rules would cut them up; None where there are none.

        Of stretches that overlap the longest counts, then the first; one that is passed over for
        that stands in the way of the next all the same. Only then is the text of a stretch
        compared, white space included.
        """
        found = [
            (first, last)
            for first, word in enumerate(words)
            if word in self._joins
            for last in self._lasts(words, first)
        ]
        pieces = {}
        taken: set[int] = set()
        for first, last in sorted(found, key=lambda one: (one[0] - one[1], one[0])):
            free = first not in taken and last - 1 not in taken
            # Also by a stretch that is passed over.
            taken.update(range(first, last))
            own = self._exceptions.get(
                text[places[first] : places[last - 1] + len(words[last - 1])]
            )
            if free and own is not None:
                pieces[first] = last, own
        if not pieces:
            return None
        made: list[str] = []
        at: list[int] = []
        reached = 0
        for first in sorted(pieces):
            last, own = pieces[first]
            made += [*words[reached:first], *own]
            at += places[reached:first]
            at += accumulate((len(word) for word in own[:-1]), initial=places[first])
            reached = last
        return made + words[reached:], at + places[reached:]

    def _lasts(self, words: Sequence[str], first: int) -> Iterator[int]:
        node = self._joins
        for i in range(first, len(words)):
            node = node.get(words[i], {})
            if _END in node:
                yield i + 1
            if not node:
                return


def _chunk(part: str) -> str:
    """Leave out the space behind a chunk."""
    return part[:-1] if part[-1] == " " and not part.isspace() else part


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(character)[0] == "P" for character in word)


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
