"""Mention replacement: copies of annotated texts with other mentions of the same types.

Source: mention replacement, one of the augmentations that Dai and Adel (2020), "An analysis of
simple data augmentation for surfaces_of entity recognition", find to help small sets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from relik_training.augment.edits import Edit, edited
from relik_training.data.examples import Example

_SHARE = 0.5


def with_swaps(examples: Sequence[Example], copies: int, seed: int) -> list[Example]:
    """Add copies in which half of the mentions are replaced by others of the same type.

    Args:
        examples: Texts whose mentions have types as ids, and do not overlap.
        copies: Copies of each text; unchanged copies are left out.
    """
    surfaces_of: dict[str, set[str]] = {}
    for example in examples:
        for mention in example.mentions:
            surfaces_of.setdefault(mention.entity_id or "", set()).add(example.surface(mention))
    drawn = {kind: sorted(surfaces) for kind, surfaces in surfaces_of.items()}
    return [*examples, *_copies(examples, copies, drawn, np.random.default_rng(seed))]


def _copies(
    examples: Sequence[Example],
    copies: int,
    surfaces_of: dict[str, list[str]],
    rng: np.random.Generator,
) -> Iterator[Example]:
    for number in range(copies):
        for example in examples:
            edits = []
            for mention in sorted(example.mentions, key=lambda m: m.span):
                others = surfaces_of[mention.entity_id or ""]
                other = others[int(rng.integers(len(others)))]
                swapped = rng.random() < _SHARE
                if swapped and other != example.surface(mention):
                    span = mention.span
                    edits.append(Edit(start=span.start, end=span.end, text=other))
            if edits:
                copy = edited(example, edits)
                yield replace(copy, doc_id=f"{example.doc_id} swap {number}")
