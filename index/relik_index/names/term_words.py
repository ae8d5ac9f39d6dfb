"""What the names of a list of terms tell of their words: which mean the same, which name a kind.

Many records are called both "Kidney ..." and "Renal ...", so that one word may stand for the other.
Few records are called "... Type 1" and "... Type 2", though many pairs of them are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import permutations

from relik.names.language import Language
from relik.names.trie import MAX_COUNT, PARTIAL, PRIMARY, NameMatch
from relik.names.variants import HEAD, KIND, SWAP, is_content, reduced_words, variant_key

_FEWEST_RECORDS = 5
_SUREST = 0.85
# Of the records, those that have a name of several words with this one at its end.
_SHARE_OF_KIND = 0.02
_FEWEST_OF_KIND = 100
_SHARE_OF_HEAD = 0.005
_FEWEST_OF_HEAD = 30
# Two names that differ in a word are looked for among so many at most: it is done in memory.
_MOST_NAMES = 400_000

Names = dict[tuple[str, ...], set[int]]


class TermWords:
    """Collects the names of records, and then tells of their words.

    Args:
        language: Language of the names.
    """

    def __init__(self, language: Language) -> None:
        self._language = language
        self._names: Names = defaultdict(set)
        self._same: Counter[tuple[str, str]] = Counter()
        self._heads: Counter[str] = Counter()
        self._rows = 0

    def with_variants(self, matches: Mapping[str, NameMatch]) -> dict[str, NameMatch]:
        """Add the variants of a record's names to them.

        Args:
            matches: What each normalised name of one record leads to.

        Returns:
            The same, and a key of reduced words for each whole name.
        """
        found = dict(matches)
        reduced: set[tuple[str, ...]] = set()
        heads: set[str] = set()
        for key, match in matches.items():
            words = key.split()
            mine = reduced_words(words, self._language)
            if match.flags & PARTIAL or not mine:
                continue
            reduced.add(mine)
            if len(mine) > 1:
                heads.update(reduced_words(words[-1:], self._language))
            held = found.get(variant_key(mine))
            primary = (match.flags | (held.flags if held else 0)) & PRIMARY
            found[variant_key(mine)] = NameMatch(match.row, match.count, primary)
            if len(self._names) < _MOST_NAMES:
                self._names[mine].add(match.row)
        self._heads.update(heads)
        self._same.update(set(self._swapped(reduced)))
        self._rows += 1
        return found

    def words(self) -> dict[str, NameMatch]:
        """Tell of the words, once all records were seen.

        Returns:
            Keys that say which word may stand for which, with the number of records that say so,
            and keys of the words that name a kind or head names.
        """
        swaps = self._swaps()
        return {
            **{f"{SWAP}{one} {other}": _counted(n) for (one, other), n in sorted(swaps.items())},
            **self._frequent(KIND, max(_FEWEST_OF_KIND, _SHARE_OF_KIND * self._rows)),
            **self._frequent(HEAD, max(_FEWEST_OF_HEAD, _SHARE_OF_HEAD * self._rows)),
        }

    def _frequent(self, mark: str, least: float) -> dict[str, NameMatch]:
        often = sorted((word, n) for word, n in self._heads.items() if n >= least)
        return {mark + word: _counted(n) for word, n in often if word.isalpha()}

    def _swaps(self) -> dict[tuple[str, str], int]:
        often = {pair: n for pair, n in self._same.items() if n >= _FEWEST_RECORDS}
        others: defaultdict[str, set[str]] = defaultdict(set)
        for one, other in often:
            others[one].add(other)
        apart: Counter[tuple[str, str]] = Counter()
        for name, rows in self._names.items():
            for at, word in enumerate(name if len(name) > 1 else ()):
                for other in others.get(word, ()):
                    changed = tuple(sorted((*name[:at], other, *name[at + 1 :])))
                    if changed in self._names and rows.isdisjoint(self._names[changed]):
                        apart[word, other] += 1
        return {pair: n for pair, n in often.items() if n >= _SUREST * (n + apart[pair])}

    def _swapped(self, names: set[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
        """Give the words in whose place another name of the record has another word."""
        fillers: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        for name in names:
            for at, word in enumerate(name if len(name) > 1 else ()):
                fillers[name[:at] + name[at + 1 :]].add(word)
        for words in fillers.values():
            yield from permutations(
                sorted(word for word in words if is_content(word, self._language)), 2
            )


def _counted(count: int) -> NameMatch:
    return NameMatch(0, min(count, MAX_COUNT), 0)
