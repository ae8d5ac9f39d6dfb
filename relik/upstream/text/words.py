"""Word tokenizers and sentence splitters: spaCy's for English, or its rules from a file."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from relik.types import IntArray
from relik.upstream.text.word_rules import WordRules, spacy_language

WordSpans: TypeAlias = tuple[tuple[str, ...], IntArray, IntArray]
"""Words; first code point of each in the text and one past its last, both int64, (n_words,)."""

# The words of a part of a text, and the distance from the start of each word to the next.
_Part: TypeAlias = tuple[tuple[str, ...], tuple[int, ...]]

# A single space after a chunk is in no word; all other white space is a word.
_PARTS = re.compile(r"\S+ ?|\s+")
_CACHED_PARTS = 1 << 14
_CACHED_LENGTH = 48
# Code points of a chunk in which a prefix or suffix is searched first, since both are short.
_LOOKAHEAD = 16
# spaCy's pattern of a user before a host, which takes quadratic time on texts with colons, and an
# equivalent pattern.
_SLOW_NAME, _NAME = r"(?:\S+(?::\S*)?@)?", r"(?:\S+@)?"
# Key in the tree of exceptions for the end of an exception; no word is empty.
_END = ""


class WordTokenizer(Protocol):
    """Splits texts into words, and words into sentences."""

    def tokenize(self, text: str) -> WordSpans:
        """Split a text into words; none for an empty text."""

    def sentences(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield the first word of each sentence and one past its last; every word is in one."""


class SpacyTokenizer:
    """The tokenizer of the installed spaCy, which is imported at first use."""

    def tokenize(self, text: str) -> WordSpans:
        """Split a text into words.

        Raises:
            ConfigError: spaCy is not installed.
        """
        doc = spacy_language().tokenizer(text)
        # spaCy's are unsigned.
        starts = doc.to_array("IDX").astype(np.int64)
        lengths = doc.to_array("LENGTH").astype(np.int64)
        return tuple(token.text for token in doc), starts, starts + lengths

    def sentences(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Split words into sentences.

        Raises:
            ConfigError: spaCy is not installed.
        """
        language = spacy_language()
        from spacy.tokens import Doc

        doc = Doc(language.vocab, words=[word or " " for word in words])
        doc = language.get_pipe("sentencizer")(doc)
        return ((sentence.start, sentence.end) for sentence in doc.sents)


SPACY = SpacyTokenizer()


class RuleTokenizer:
    """Tokenizes by spaCy's rules without spaCy; thread-safe.

    Args:
        rules: From a trusted source: a malicious pattern may run without end.
    """

    def __init__(self, rules: WordRules) -> None:
        self._exceptions = rules.exceptions
        self._longest = max(map(len, rules.exceptions), default=0)
        self._sentence_ends = frozenset(rules.sentence_ends)
        self._prefix = re.compile(rules.prefix)
        self._suffix = re.compile(rules.suffix)
        self._infixes = re.compile(rules.infix)
        self._url = re.compile(rules.url_match.replace(_SLOW_NAME, _NAME))
        self._exception_tree = self._build_exception_tree()
        # Recent parts, and older ones, which are dropped when the recent ones take their place.
        self._cache: tuple[dict[str, _Part], dict[str, _Part]] = ({}, {})

    def tokenize(self, text: str) -> WordSpans:
        """Split a text into words."""
        words: list[str] = []
        steps: list[int] = []
        recent = self._cache[0]
        for part in _PARTS.findall(text):
            found = recent.get(part) or self._tokenize_part(part)
            words += found[0]
            steps += found[1]
        positions = list(accumulate(steps, initial=0))
        merged = self._apply_exceptions(text, words, positions)
        if merged is not None:
            words, positions = merged
        starts = np.array(positions[: len(words)], dtype=np.int64)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        return tuple(words), starts, starts + lengths

    def sentences(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Split words into sentences, each of which ends with all punctuation at its end."""
        first, ended = 0, False
        for i, word in enumerate(words):
            if word in self._sentence_ends:
                ended = True
            elif ended and not _is_punctuation(word or " "):
                yield first, i
                first, ended = i, False
        if words:
            yield first, len(words)

    def _tokenize_part(self, part: str) -> _Part:
        """Tokenize a part that is not among the recent ones, and cache it."""
        recent, older = self._cache
        found = older.get(part)
        if found is None:
            chunk = _strip_space(part)
            words = tuple(self._tokenize_chunk(chunk, self._exceptions))
            steps = [len(word) for word in words]
            steps[-1] += len(part) - len(chunk)
            found = words, tuple(steps)
        if len(part) <= _CACHED_LENGTH:
            if len(recent) >= _CACHED_PARTS:
                recent, older = {}, recent
                self._cache = recent, older
            recent[part] = found
        return found

    def _tokenize_chunk(self, chunk: str, exceptions: Mapping[str, Sequence[str]]) -> list[str]:
        """Split a chunk, which is white space or has none."""
        fronts: list[str] = []
        backs: list[str] = []
        first, last = 0, len(chunk)
        while first < last and not self._is_exception(exceptions, chunk, first, last):
            front = first + self._prefix_length(chunk, first, last)
            if front > first and self._is_exception(exceptions, chunk, front, last):
                fronts.append(chunk[first:front])
                first = front
                break
            back = last - self._suffix_length(chunk, front, last)
            if back < last and self._is_exception(exceptions, chunk, first, back):
                backs.append(chunk[back:last])
                last = back
                break
            if front == first and back == last:
                break
            fronts += [chunk[first:front]] if front > first else []
            backs += [chunk[back:last]] if back < last else []
            first, last = front, back
        return [*fronts, *self._split_infixes(chunk[first:last], exceptions), *reversed(backs)]

    def _is_exception(
        self, exceptions: Mapping[str, Sequence[str]], chunk: str, first: int, last: int
    ) -> bool:
        return last - first <= self._longest and chunk[first:last] in exceptions

    def _prefix_length(self, chunk: str, first: int, last: int) -> int:
        """Return the length of the prefix; search further only where it may be longer."""
        limit = _LOOKAHEAD
        while True:
            found = self._prefix.match(chunk[first : min(first + limit, last)])
            end = 0 if found is None else found.end()
            if end < limit or first + limit >= last:
                return end
            limit *= 4

    def _suffix_length(self, chunk: str, first: int, last: int) -> int:
        """Return the length of the suffix; search further only where it may be longer."""
        limit = _LOOKAHEAD
        while True:
            found = self._suffix.search(chunk[max(first, last - limit) : last])
            if found is None:
                return 0
            if found.start() > 0 or first + limit >= last:
                return found.end() - found.start()
            limit *= 4

    def _split_infixes(self, chunk: str, exceptions: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """Split a chunk without prefix and suffix at its infixes."""
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
            # An infix at the start is part of a word.
            if start == 0:
                continue
            words += [chunk[reached:start], chunk[start:end]]
            reached = end
        words.append(chunk[reached:])
        return [word for word in words if word]

    def _build_exception_tree(self) -> dict[str, Any]:
        """Build a tree, word by word, of the exceptions that the other rules would split."""
        tree: dict[str, Any] = {}
        for chunk, words in self._exceptions.items():
            ends = self._prefix_length(chunk, 0, len(chunk)) or self._suffix_length(
                chunk, 0, len(chunk)
            )
            if not (" " in chunk or ends or self._infixes.search(chunk)):
                continue
            parts = [_strip_space(part) for part in _PARTS.findall(chunk)]
            split = [word for part in parts for word in self._tokenize_chunk(part, {})]
            if split == list(words) == [chunk]:
                continue
            node = tree
            for word in split:
                node = node.setdefault(word, {})
            node[_END] = {}
        return tree

    def _apply_exceptions(
        self, text: str, words: list[str], positions: list[int]
    ) -> tuple[list[str], list[int]] | None:
        """Replace words that the other rules split by their exceptions; None where there are none.

        Of overlapping matches the longest counts, then the first; as in spaCy, a match that loses
        still blocks the next. Only then is the text of a match compared, white space included.
        """
        found = [
            (first, last)
            for first, word in enumerate(words)
            if word in self._exception_tree
            for last in self._exception_ends(words, first)
        ]
        pieces = {}
        taken: set[int] = set()
        for first, last in sorted(found, key=lambda one: (one[0] - one[1], one[0])):
            free = first not in taken and last - 1 not in taken
            # Also by a match that loses.
            taken.update(range(first, last))
            own = self._exceptions.get(
                text[positions[first] : positions[last - 1] + len(words[last - 1])]
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
            at += positions[reached:first]
            at += accumulate((len(word) for word in own[:-1]), initial=positions[first])
            reached = last
        return made + words[reached:], at + positions[reached:]

    def _exception_ends(self, words: Sequence[str], first: int) -> Iterator[int]:
        node = self._exception_tree
        for i in range(first, len(words)):
            node = node.get(words[i], {})
            if _END in node:
                yield i + 1
            if not node:
                return


def open_word_tokenizer(path: Path) -> RuleTokenizer | None:
    """Open a file of rules; return None unless they are those of a known release of spaCy.

    Raises:
        BundleError: The file cannot be read.
    """
    rules = WordRules.read(path)
    return None if rules is None else RuleTokenizer(rules)


def _strip_space(part: str) -> str:
    """Remove the single space after a chunk."""
    return part[:-1] if part[-1] == " " and not part.isspace() else part


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(character)[0] == "P" for character in word)
