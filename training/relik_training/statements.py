"""Where the triples of a document stand among the mentions of a window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relik.types import Span

if TYPE_CHECKING:
    from relik_training.examples import Mention


@dataclass(frozen=True, slots=True)
class Statement:
    """A triple as a document states it: between spans, and so between what they mention.

    Args:
        subject: Span that the document names as subject.
        subject_group: What it mentions, as `Mention.group`.
        relation: Relation id.
        object: Span that the document names as object.
        object_group: What it mentions.
    """

    subject: Span
    subject_group: str
    relation: str
    object: Span
    object_group: str


def placed(
    statements: Sequence[Statement],
    inside: Sequence["Mention"],
    inverses: Mapping[str, str] | None = None,
) -> tuple[tuple[tuple[int, str, int], ...], frozenset[tuple[int, str, int]]]:
    """Place triples among the mentions of a window.

    A data set names one pair of mentions for each triple, often from another part of the text.
    It holds of the pair that is named and of the closest one; of others nobody knows.

    Args:
        statements: Triples of the document.
        inside: Mentions of the window.
        inverses: As `SourceConfig.inverses`.

    Returns:
        Triples as (subject index, relation id, object index) into the mentions, and those of which
        nobody knows.
    """
    place = {mention.span: i for i, mention in enumerate(inside)}
    groups: dict[str, list[int]] = {}
    for i, mention in enumerate(inside):
        groups.setdefault(mention.group, []).append(i)
    stated: dict[tuple[int, str, int], None] = {}
    doubtful: set[tuple[int, str, int]] = set()
    for one in statements:
        pairs = [
            (s, o)
            for s in groups.get(one.subject_group, ())
            for o in groups.get(one.object_group, ())
            if s != o
        ]
        if one.subject in place and one.object in place:
            stated[(place[one.subject], one.relation, place[one.object])] = None
        if pairs:
            s, o = min(pairs, key=lambda p: abs(inside[p[0]].span.start - inside[p[1]].span.start))
            stated[(s, one.relation, o)] = None
            doubtful.update((s, one.relation, o) for s, o in pairs)
    turned = {
        (o, inverses[relation], s)
        for s, relation, o in (*stated, *doubtful)
        if inverses and relation in inverses
    }
    return tuple(stated), frozenset((doubtful | turned) - stated.keys())
