"""What a surface form may mean: the one function that says it, for every caller.

A surface form means the records that have it as a name, in any case; those whose name it may be
formed from (a plural, an adjective of a place or of a term, a word for people); and, over a list of
terms, those that have its words in another order, number or spelling. Each sense has a share of the
uses of the form, which follows commonness p(entity | mention) (Milne and Witten, 2008), and a kind.
What is a matter of the text around is for the caller:

- `relik.retriever.lexical` takes every sense of every stretch of words, but leaves names with a
  capital out where a text that has capitals has none there; its prior is the share among whole
  names, or among parts;
- `relik.retriever.mention_candidates` and `relik.document.mention_reading` take the likeliest
  senses of a mention, whatever the text around;
- `relik.reader.rules.priors` takes all shares;
- `relik.reader.rules.comma_places` and `whole_names` take whole names alone, `adjectives` the
  senses that the form is derived from;
- `relik.names.gazetteer`, and with it `relik.reader.rules.term_mentions`,
  `relik.document.term_consistency` and the alias baseline, takes the longest stretch with a sense.

Plurals, and adjectives that follow a rule, are guessed here by the data file of the language: kept
in the index they would make the names of 98,500 records 1.3 and 1.6 times as large.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from relik.names.inflections import place_stems, plural_stems, term_stems
from relik.names.language import DEFAULT_LANGUAGE, Language, open_language
from relik.names.normalise import normalise
from relik.names.trie import CASED, DERIVED, KINDS, PARTIAL, PRIMARY, Kind, NameMatch, Names
from relik.names.variants import variants

NAMES_WITH_KINDS = 2
"""Format of names that have kinds; 1 has none, and the forms that follow no rule are guessed."""
WEIGHTS = (1.0, 1.0, 0.2, 0.2, 0.2, 0.2)
"""How much a use of a name counts, by the kind of the match, in the order of `Kind`."""
LOWERED = 0.1
"""How much less a name counts that is written with a capital, where the text has none."""

_FORMED = 256
"""Flag: the surface form is not the name that was found, but formed from it."""
_NOT_WHOLE = PARTIAL | _FORMED
_PREFERRED_USES, _ALIAS_USES = 0.5, 0.1
_USES_PER_LOG_COUNT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePolicy:
    """How the names of a knowledge base are resolved; comes from its index.

    Args:
        language: Their language.
        terms: They are terms, which text has in lower case and in other words.
        counted: They were counted in linked text like that which is read.
        demonyms: Demonyms that follow no rule are names of the index, so none is guessed.
        weights: As `WEIGHTS`.
    """

    language: Language
    terms: bool = False
    counted: bool = False
    demonyms: bool = False
    weights: tuple[float, ...] = WEIGHTS

    @classmethod
    def from_manifest(cls, fields: Mapping[str, object]) -> "NamePolicy":
        """Read the policy off the manifest of a knowledge index; old ones are English."""
        language, names_format = fields.get("language"), fields.get("names_format")
        return cls(
            language=open_language(language if isinstance(language, str) else DEFAULT_LANGUAGE),
            terms=fields.get("any_case") is True,
            counted=fields.get("counted") is True,
            demonyms=isinstance(names_format, int) and names_format >= NAMES_WITH_KINDS,
        )


class Knowledge(Protocol):
    """What is asked of a knowledge base, or of a view of one."""

    @property
    def names(self) -> Names:
        """Names and what they name."""

    @property
    def policy(self) -> NamePolicy:
        """How the names are resolved."""

    def count(self, row: int) -> int:
        """Return how often a record is linked in the text that gave the surface forms."""

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of an id."""


class Sense(NamedTuple):
    """A record that a surface form may mean.

    Args:
        row: Row in the knowledge base.
        share: Share of the uses of the surface form that mean it, above 0, at most 1.
        share_of_form: Share of the uses of the name that was found, in any case, among the records
            that have it as a whole name, or among those that have it as a part.
        kind: How the surface form is a name of it.
        form: The normalised name that was found.
        flags: Flags of that name in the trie.
        whole: The surface form is that name, in any case, and no part of the record's names.
    """

    row: int
    share: float
    share_of_form: float
    kind: Kind
    form: str
    flags: int
    whole: bool

    @property
    def part(self) -> bool:
        """Tell whether the name that was found is only a part of the record's names."""
        return bool(self.flags & PARTIAL)

    @property
    def preferred(self) -> bool:
        """Tell whether the surface form is the record's preferred name."""
        return self.flags & (PRIMARY | _FORMED) == PRIMARY

    @property
    def cased(self) -> bool:
        """Tell whether the name that was found is written with a capital or a digit."""
        return bool(self.flags & CASED)

    @property
    def derived(self) -> bool:
        """Tell whether the surface form is an adjective, or a word for people, of the record."""
        return bool(self.flags & DERIVED)


Senses = tuple[Sense, ...]
"""What a surface form may mean: the likeliest first, ties by row; one for each record."""

_Found = dict[int, tuple[float, float, Kind, str, int]]
"""By row: uses, share of the name that was found, kind, that name and its flags."""


def resolve(kb: Knowledge, surface: str) -> Senses:
    """Tell what a surface form may mean.

    Args:
        kb: Knowledge base.
        surface: A name as it stands in a text.

    Returns:
        The senses; their shares sum to 1. Empty for an unknown name.
    """
    return resolve_key(kb, normalise(surface), lower=surface.islower())


def resolve_key(
    kb: Knowledge, key: str, *, lower: bool, formed: bool = True, reworded: bool = True
) -> Senses:
    """Tell what a normalised surface form may mean.

    Args:
        kb: Knowledge base.
        key: The surface form, normalised.
        lower: It is written without a capital.
        formed: It may also be formed from a name: a plural, an adjective, other words.
        reworded: It may also be a term in other words.

    Returns:
        As `resolve`.
    """
    matches = kb.names.lookup(key)
    found = _weighed(kb, matches, key, lower=lower) if matches else {}
    if formed:
        _add_formed(kb, found, key, lower=lower)
        if reworded and not found and kb.policy.terms:
            return reworded_senses(kb, key.split())
    return _shared(found) if found else ()


def reworded_senses(kb: Knowledge, words: Sequence[str]) -> Senses:
    """Tell what normalised words may mean as a term whose words are others, or in another order."""
    matches = variants(kb.names, words, kb.policy.language)
    found = _weighed(kb, matches, " ".join(words), lower=False)
    return _shared(
        {
            row: (uses, share, Kind.FOLDED, form, flags | _FORMED)
            for row, (uses, share, _, form, flags) in found.items()
        }
    )


def _add_formed(kb: Knowledge, found: _Found, key: str, *, lower: bool) -> None:
    """Add the records whose names a surface form may be formed from, as weaker senses."""
    # A plural in lower case is seldom the name of a company, though one is called Joules.
    named = bool(found) and not lower
    policy = kb.policy
    plural = False
    if not named:
        plural = _add_first(kb, found, plural_stems(key, policy.language), lower=lower)
        if policy.terms and not plural:
            stems = term_stems(key, policy.language)
            plural = _add_first(kb, found, stems, lower=lower, flags=DERIVED)
    # A name may be an adjective too: Palestinian, a people and of Palestine.
    if not lower:
        stems = place_stems(key, policy.language, irregular=not policy.demonyms)
        _add_first(kb, found, stems, lower=lower, flags=DERIVED)


def _add_first(
    kb: Knowledge, found: _Found, stems: Sequence[str], *, lower: bool, flags: int = 0
) -> bool:
    """Add the senses of the first stem that is a name."""
    lookup = kb.names.lookup
    for stem in stems:
        if matches := lookup(stem):
            break
    else:
        return False
    weight = kb.policy.weights[Kind.INFLECTED]
    for row, (uses, share, _, form, known) in _weighed(kb, matches, stem, lower=lower).items():
        if row in found:
            # It is called so itself; that it is formed from its name as well makes it likelier.
            own, own_share, kind, name, held = found[row]
            held |= 0 if held & _FORMED else flags
            found[row] = max(own, uses * weight), own_share, kind, name, held
        else:
            found[row] = uses * weight, share, Kind.INFLECTED, form, known | flags | _FORMED
    return True


def _weighed(kb: Knowledge, matches: Sequence[NameMatch], form: str, *, lower: bool) -> _Found:
    """Weigh the records of a name by its uses."""
    weighed: dict[int, tuple[float, int]] = {}
    weights, count_of = kb.policy.weights, kb.count
    for row, count, flags in matches:
        uses = count + (_PREFERRED_USES if flags & PRIMARY else _ALIAS_USES)
        uses = (uses + _USES_PER_LOG_COUNT * math.log1p(count_of(row))) * weights[KINDS[flags]]
        if row not in weighed or uses > weighed[row][0]:
            weighed[row] = uses, flags
    whole = part = 0.0
    for uses, flags in weighed.values():
        if flags & PARTIAL:
            part += uses
        else:
            whole += uses
    found: _Found = {}
    for row, (uses, flags) in weighed.items():
        share = uses / (part if flags & PARTIAL else whole)
        if lower and flags & CASED:
            found[row] = uses * LOWERED, share, Kind.FOLDED, form, flags
        else:
            found[row] = uses, share, KINDS[flags], form, flags
    return found


def _shared(found: _Found) -> Senses:
    total = 0.0
    ranked = []
    for row, sense in found.items():
        total += sense[0]
        ranked.append((-sense[0], row, sense))
    ranked.sort()
    return tuple(
        [
            Sense(row, uses / total, share, kind, form, flags, not flags & _NOT_WHOLE)
            for _, row, (uses, share, kind, form, flags) in ranked
        ]
    )
