"""Names that a source does not give: parts of its own, what a bundle knows, what linked text says.

News calls people by surnames and teams by towns, and how often a name means a thing is known for
those that the bundle's own knowledge base has, and for those that linked text links to. All are
facts, and cost no model.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import marisa_trie

from relik.errors import InputError
from relik.kb import KnowledgeBase
from relik.kb.knowledge_base import NAMES
from relik.names.language import DEFAULT_LANGUAGE, Language, open_language
from relik.names.normalise import normalise
from relik.names.trie import DERIVED, MATCH_FORMAT, PARTIAL, PRIMARY, Kind, with_kind
from relik.names.variants import is_name
from relik.types import Entity
from relik_index.names.entity_types import coarse_types, country_of_team, partial_names
from relik_index.names.name_forms import (
    common_name,
    edition_names,
    initials,
    other_wordings,
    plain_spellings,
    short_state,
)
from relik_index.names.practitioners import practitioners
from relik_index.sources.json_lines import SourceRecord
from relik_index.sources.linked_text import LONGEST_SURFACE, Surfaces, trusted


class KnownNames:
    """The names of a knowledge index, by record.

    Args:
        folder: The index.
    """

    def __init__(self, folder: Path) -> None:
        self._kb = KnowledgeBase.open(folder)
        self._names: dict[int, dict[str, tuple[int, int]]] = {}
        trie = marisa_trie.RecordTrie(MATCH_FORMAT).mmap(str(folder / NAMES))
        for key, (row, count, flags) in trie.iteritems():
            if is_name(key):
                self._names.setdefault(row, {})[key] = (count, flags)

    def of(self, record: SourceRecord) -> tuple[Mapping[str, tuple[int, int]], int] | None:
        """Find what is known of a record.

        Args:
            record: A record; one of the same id is the same thing if it is also called so.

        Returns:
            Count and flags by normalised name, and how often it is meant in all; None where it is
            not known.
        """
        row = self._kb.row_of(record.entity.entity_id)
        if row is None:
            return None
        names = self._names.get(row, {})
        called = (record.entity.name, *record.entity.aliases)
        if not any(normalise(name) in names for name in called):
            return None
        return names, self._kb.count(row)


@dataclass(slots=True, kw_only=True)
class Enricher:
    """Adds names to records.

    Args:
        known: Names of another index; None takes none over.
        parts: Add parts of names to records without `partials`.
        language: Language of the records.
        linked: Surface forms of linked text by id, added to those of the source.
        n_known: How many records were known so far.
        n_linked: How many records had such forms so far.
    """

    known: KnownNames | None = None
    parts: bool = True
    language: Language = field(default_factory=partial(open_language, DEFAULT_LANGUAGE))
    linked: Surfaces = field(default_factory=dict)
    n_known: int = field(default=0)
    n_linked: int = field(default=0)

    def enriched(self, record: SourceRecord) -> SourceRecord:
        """Add names to a record.

        Args:
            record: A record as its source has it.

        Returns:
            The record with more names. Its counts are its own where it has some.
        """
        entity = record.entity
        if self.parts or record.partials:
            forms = other_forms(entity, self.language)
            # A source gives its own without their kinds.
            given = {form: forms.get(form, flags) for form, flags in record.partials.items()}
            record = replace(record, partials=given or forms)
        if seen := self.linked.get(entity.entity_id):
            record = self._with_surfaces(record, seen)
        found = self.known.of(record) if self.known else None
        if found is None:
            return record
        self.n_known += 1
        names, count = found
        own = bool(record.surfaces)
        return replace(
            record,
            known={
                key: (0 if own else meant, flags & ~PRIMARY)
                for key, (meant, flags) in names.items()
            },
            known_count=0 if own else count,
        )

    def told(self) -> dict[str, int]:
        """Count the records that were known, and those of linked text where there is some.

        Returns:
            `inherited` and `linked`, after an index was built: that reads each record twice.
        """
        counted = {"inherited": self.n_known // 2}
        return counted | ({"linked": self.n_linked // 2} if self.linked else {})

    def check_linked(self) -> None:
        """Refuse linked text that is about other records, once all of them were asked for.

        Raises:
            InputError: There are surface forms, and of no record.
        """
        if self.linked and not self.n_linked:
            seen = ", ".join(sorted(self.linked)[:3])
            raise InputError(
                f"linked text: got {len(self.linked)} ids, such as {seen}, and none that a record "
                "has, expected ids of the records: map them, or leave the linked text out"
            )

    def _with_surfaces(self, record: SourceRecord, seen: Mapping[str, int]) -> SourceRecord:
        kept = trusted(seen, (record.entity.name, *record.entity.aliases))
        self.n_linked += 1
        counts = Counter(record.surfaces)
        counts.update(kept)
        # What may be a slip still says what the form may mean where nothing else is called so.
        doubted = (form for form in seen if form not in kept and len(form) <= LONGEST_SURFACE)
        partials = {**dict.fromkeys(doubted, PARTIAL), **record.partials}
        return replace(record, surfaces=dict(counts), partials=partials)


def other_forms(entity: Entity, language: Language) -> dict[str, int]:
    """Give what a record is called besides its name and aliases.

    Args:
        entity: The record; its description tells its types where it has none.
        language: Its language.

    Returns:
        Flags of parts of names, other spellings and wordings, in a fixed order; often empty.
    """
    types = entity.types
    if not types and language.code == DEFAULT_LANGUAGE:  # descriptions are read in English alone
        types = coarse_types((), entity.description)
    common = common_name(entity.name, types, entity.description, language)
    state = short_state(entity.name, language)
    parts = (
        *partial_names(entity.name, types, entity.description, language),
        *(form for form in (common, state) if form),
        *edition_names(entity.name),
        *other_wordings(entity.name, language),
    )
    letters = initials(entity.name, types)
    forms = {
        **dict.fromkeys(parts, PARTIAL),
        **({letters: _flags(Kind.ACRONYM)} if letters else {}),
        **dict.fromkeys(
            practitioners(entity.name, types, entity.description, language), _flags(Kind.INFLECTED)
        ),
        **dict.fromkeys(
            (f for alias in entity.aliases for f in _forms_of_alias(alias, language)), PARTIAL
        ),
        **dict.fromkeys(demonyms(entity, types, language), _flags(Kind.INFLECTED) | DERIVED),
    }
    found = dict(forms)
    for form, flags in ((entity.name, _flags(Kind.FOLDED)), *forms.items()):
        for plain in plain_spellings(form):
            found.setdefault(plain, flags)
    return found


def demonyms(entity: Entity, types: Sequence[str], language: Language) -> list[str]:
    """Give the adjectives of a place or a faith, and the words for its people, of no rule.

    Args:
        entity: The record.
        types: Its coarse types.
        language: Language of its names.

    Returns:
        Words with a capital; none for what is neither a place nor a faith of the list.
    """
    origins = language.demonyms if "place" in types else {} if types else language.believers
    names = dict.fromkeys(normalise(name) for name in (entity.name, *entity.aliases))
    return [word.capitalize() for name in names for word in origins.get(name, ())]


def _flags(kind: Kind) -> int:
    """Flag what is no whole name of a record."""
    return with_kind(PARTIAL, kind)


def _forms_of_alias(alias: str, language: Language) -> tuple[str, ...]:
    """Give an alias without what tells it from namesakes, and the country of a national team."""
    bare = alias.partition(" (")[0].strip()
    forms = (bare if bare != alias else "", country_of_team(alias, language) or "")
    return tuple(form for form in forms if len(form) > 2)
