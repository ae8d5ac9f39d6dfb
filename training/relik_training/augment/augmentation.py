"""Data augmentation for readers: copies of windows with other names, and synthetic pages.

News calls a team by its town and a person by the surname; hyperlinked encyclopedias use full
names. And a reader can memorise the entity of a name: with another entity of the same kind in its
place, it must read the candidates. Copies are made before retrieval, so that each has candidates
for its own words.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from relik.errors import ConfigError
from relik.names.normalise import normalise
from relik.types import Span
from relik_training.augment.edits import Edit, edited
from relik_training.augment.life_pages import LifePages
from relik_training.augment.other_names import OtherNames
from relik_training.augment.place_pages import PlacePages
from relik_training.augment.sports_pages import SportsPages
from relik_training.data.examples import Example
from relik_training.data.json_lines import read_jsonl
from relik_training.data.knowledge_records import Records
from relik_training.data.statements import Mention
from relik_training.recipes.reader_settings import Augmentation

K = TypeVar("K")
_Draw = Callable[[Example, np.random.Generator], Example | None]
# Separator of the id of a document and the suffix of a copy.
_COPY = "#copy:"
# Share of the names of a window that change: real texts mix both forms.
_CHANGED = 0.7


def augmented(
    examples: Sequence[Example], names: OtherNames, settings: Augmentation, *, seed: int
) -> list[Example]:
    """Add copies with other names.

    Args:
        seed: Seed of the draw, which also depends on the position of a window.

    Returns:
        The windows, then the copies; each copy is a document of its own.
    """
    copies: list[Example] = []
    ways: tuple[tuple[str, float, _Draw], ...] = (
        ("shorten", settings.shorten, lambda e, rng: _shortened(e, names, rng)),
        ("swap", settings.entity_swap, lambda e, rng: _swapped(e, names, rng)),
        *(
            (f"team{n}-", 1.0, lambda e, rng: _as_towns(e, names, rng))
            for n in range(settings.teams)
        ),
    )
    for way, (label, share, draw) in enumerate(ways):
        if not share:
            continue
        for number, example in enumerate(examples):
            rng = np.random.default_rng([seed, way, number])
            if rng.random() < share:
                copy = draw(example, rng)
                if copy is not None:
                    copies.append(replace(copy, doc_id=f"{copy.doc_id}{_COPY}{label}{number}"))
    return [*examples, *copies]


def with_copies(
    examples: Sequence[Example], path: Path, entities: Records, settings: Augmentation, *, seed: int
) -> Sequence[Example]:
    """Add copies with other names, and synthetic pages.

    Args:
        path: entities.jsonl, which is read only if the settings ask for augmentation.
        entities: The same entities.
        seed: As in `augmented`.

    Returns:
        The windows, then the copies, then the synthetic pages.

    Raises:
        ConfigError: The knowledge base has too few records for the pages.
    """
    if settings == Augmentation():
        return examples
    rows = list(read_jsonl(path))
    names = OtherNames(rows, entities)
    copies = augmented(examples, names, settings, seed=seed)
    return [*copies, *_made(rows, entities, names, settings, seed=seed, path=path)]


def _made(
    rows: Sequence[dict[str, Any]],
    entities: Records,
    names: OtherNames,
    settings: Augmentation,
    *,
    seed: int,
    path: Path,
) -> list[Example]:
    kinds: dict[str, tuple[Callable[[], SportsPages | LifePages | PlacePages], str]] = {
        "sports_pages": (
            lambda: SportsPages(rows, entities, names),
            "teams, athletes, countries or cities",
        ),
        "life_pages": (
            lambda: LifePages(rows, entities),
            "people, sports, schools, towns or games",
        ),
        "place_pages": (
            lambda: PlacePages(rows, entities),
            'places with descriptions such as "town in Bavaria, Germany"',
        ),
    }
    made: list[Example] = []
    for name, (opened, needed) in kinds.items():
        n_pages = getattr(settings, name)
        if not n_pages:
            continue
        pages = opened()
        if not pages.possible:
            raise ConfigError(
                f"{path}: got too few {needed}, expected enough for {name.replace('_', ' ')}: set "
                f"[augmentation] {name} to 0"
            )
        made += [pages.window(number, seed=seed) for number in range(n_pages)]
    return made


def origin(doc_id: str) -> str:
    """Return the id of the original document of a window or of a copy."""
    return doc_id.partition(_COPY)[0]


def _shortened(example: Example, names: OtherNames, rng: np.random.Generator) -> Example | None:
    forms: dict[tuple[str, str], str] = {}
    for entity_id, mentions in _by_entity(example).items():
        for surface in sorted({example.surface(m) for m in mentions}):
            shorter = names.shorter(entity_id, surface)
            if shorter:
                forms[entity_id, surface] = shorter[int(rng.integers(len(shorter)))]
    kept = _some(sorted(forms), rng)
    new_names = {
        number: (mention.entity_id or "", forms[key])
        for number, mention in enumerate(example.mentions)
        if (key := (mention.entity_id or "", example.surface(mention))) in kept
    }
    return _renamed(example, new_names, names)


def _swapped(example: Example, names: OtherNames, rng: np.random.Generator) -> Example | None:
    by_entity = _by_entity(example)
    new_ids: dict[str, str] = {}
    for entity_id, mentions in by_entity.items():
        if all(_slot(names, entity_id, example.surface(m)) for m in mentions):
            drawn = names.another(entity_id, rng)
            if drawn is not None and drawn not in by_entity and drawn not in new_ids.values():
                new_ids[entity_id] = drawn
    kept = _some(sorted(new_ids), rng)
    new_names: dict[int, tuple[str, str]] = {}
    for number, mention in enumerate(example.mentions):
        if mention.entity_id in kept:
            new_id = new_ids[mention.entity_id]
            slot = _slot(names, mention.entity_id, example.surface(mention))
            name = names.name(new_id)
            new_names[number] = (new_id, name.split()[-1] if slot == "surname" else name)
    return _renamed(example, new_names, names)


def _as_towns(example: Example, names: OtherNames, rng: np.random.Generator) -> Example | None:
    by_entity = _by_entity(example)
    towns: dict[str, tuple[str, str]] = {}
    for entity_id in by_entity:
        if not names.is_team(entity_id):
            continue
        drawn = names.another(entity_id, rng) if rng.random() < 0.5 else None
        taken = {*by_entity, *(team for team, _ in towns.values())}
        team = drawn if drawn is not None and drawn not in taken else entity_id
        # Ambiguous: a town that the window also mentions, or the town of two of its teams.
        for town in names.places(team):
            if town not in example.text.replace(names.name(entity_id), "") and not any(
                town == other for _, other in towns.values()
            ):
                towns[entity_id] = (team, town)
    return _renamed(
        example,
        {
            number: towns[mention.entity_id]
            for number, mention in enumerate(example.mentions)
            if mention.entity_id in towns
        },
        names,
    )


def _renamed(
    example: Example, new_names: dict[int, tuple[str, str]], names: OtherNames
) -> Example | None:
    """Replace ids and surface forms of some mentions; None for an empty replacement."""
    if not new_names:
        return None
    mentions, edits = list(example.mentions), []
    for number, (entity_id, text) in sorted(new_names.items()):
        span = mentions[number].span
        # Drop the article: "the Chicago Bulls" becomes "Chicago".
        before = Span(max(0, span.start - 4), max(1, span.start))
        if text in names.places(entity_id) and _is_article(example, before):
            edits.append(Edit(start=before.start, end=before.end, text=""))
        edits.append(Edit(start=span.start, end=span.end, text=text))
        if entity_id != mentions[number].entity_id:
            mentions[number] = replace(mentions[number], entity_id=entity_id, group=entity_id)
    return edited(replace(example, mentions=tuple(mentions)), edits)


def _is_article(example: Example, span: Span) -> bool:
    text = example.text[max(0, span.start - 1) : span.end]
    spans = (*(mention.span for mention in example.mentions), *example.unknown)
    inside = any(s.overlaps(span) and not (s.start <= span.start < span.end < s.end) for s in spans)
    return not inside and re.fullmatch(r"\W?[Tt]he ", text) is not None


def _slot(names: OtherNames, entity_id: str, surface: str) -> str | None:
    """Return the kind of a replaceable surface form: name or surname; None for any other."""
    try:
        name = names.name(entity_id)
    except KeyError:
        return None
    if normalise(surface) == normalise(name):
        return "name"
    is_surname = names.is_person(entity_id) and surface == name.split()[-1]
    return "surname" if is_surname else None


def _by_entity(example: Example) -> dict[str, list[Mention]]:
    found: dict[str, list[Mention]] = {}
    for mention in example.mentions:
        if mention.entity_id:
            found.setdefault(mention.entity_id, []).append(mention)
    return found


def _some(keys: list[K], rng: np.random.Generator) -> set[K]:
    """Draw most of the keys, at least one unless there are none."""
    if not keys:
        return set()
    kept = {key for key in keys if rng.random() < _CHANGED}
    return kept or {keys[int(rng.integers(len(keys)))]}
