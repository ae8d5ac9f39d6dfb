"""How often linked text calls which record by which surface form.

Source: commonness counted over links (Milne and Witten 2008). Links of a text that somebody has,
such as a wiki, say what names mean there; nothing is trained.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from relik.errors import InputError
from relik.evaluation.gold import read_gold_lines

Surfaces = Mapping[str, Mapping[str, int]]
"""Counts by surface form, by id."""

LONGEST_SURFACE = 60
"""Code points of a longest surface form: what is longer is a description."""


def count_surfaces(files: Iterable[Path], same: Mapping[str, str] | None = None) -> Surfaces:
    """Count the surface forms of linked text.

    Args:
        files: Lines of `{"text", "spans": [[start, end, id or null, surface]]}`, gzipped or not.
        same: Ids that stand for others, by `relik_index.sources.duplicates`.

    Returns:
        For each id that is linked, its surface forms and how often each meant it.

    Raises:
        InputError: A file cannot be read, a line has another shape, or no text has a link.
    """
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    paths = tuple(files)
    for path in paths:
        for each in read_gold_lines(path):
            text = each.document.text
            for mention in each.mentions:
                if mention.entity_id is not None:
                    surface = text[mention.span.start : mention.span.end]
                    entity_id = mention.entity_id
                    counted[(same or {}).get(entity_id, entity_id)][surface] += 1
    if paths and not counted:
        raise InputError(
            f"{', '.join(map(str, paths))}: got no mention with an id, expected some: linked text "
            "says what names mean"
        )
    return counted


def trusted(surfaces: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    """Leave out surface forms that may be slips.

    Args:
        surfaces: Counts of the surface forms of a record.
        names: Its name and aliases.

    Returns:
        The forms of at most 60 characters that were seen more than once, or share a word with
        a name; most frequent first, ties by form.
    """
    words = {word for name in names for word in name.casefold().split()}
    kept = {
        form: count
        for form, count in surfaces.items()
        if len(form) <= LONGEST_SURFACE and (count > 1 or words & set(form.casefold().split()))
    }
    return dict(sorted(kept.items(), key=lambda item: (-item[1], item[0])))
