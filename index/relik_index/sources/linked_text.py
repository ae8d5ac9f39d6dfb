"""Counts of surface forms in linked text, from which priors are computed.

Source: commonness counted over links (Milne and Witten 2008). The links of your own text, such as
a wiki, give the priors of names in its domain; nothing is trained.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from relik.errors import InputError
from relik.evaluation.gold import read_gold_lines

Surfaces = Mapping[str, Mapping[str, int]]
"""Counts by surface form, by entity id."""

LONGEST_SURFACE = 60
"""Code points of the longest surface form: longer ones are descriptions."""


def count_surfaces(files: Iterable[Path], same: Mapping[str, str] | None = None) -> Surfaces:
    """Count the surface forms of linked text.

    Args:
        files: Lines of `{"text", "spans": [[start, end, id or null, surface]]}`, gzipped or not.
        same: Ids of duplicates, by `relik_index.sources.duplicates`; None for none.

    Raises:
        InputError: A file cannot be read, a line has another shape, or no mention has an id.
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
            f"{', '.join(map(str, paths))}: got no mention with an id, expected one or more: give "
            "text whose mentions are linked"
        )
    return counted


def trusted(surfaces: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    """Drop surface forms that may be annotation errors.

    Returns:
        The forms of at most 60 characters that occur more than once or share a word with a name;
        most frequent first, ties by form.
    """
    words = {word for name in names for word in name.casefold().split()}
    kept = {
        form: count
        for form, count in surfaces.items()
        if len(form) <= LONGEST_SURFACE and (count > 1 or words & set(form.casefold().split()))
    }
    return dict(sorted(kept.items(), key=lambda item: (-item[1], item[0])))
