"""Relations by what is said where they hold, beside what a record says of them.

A window is compared with the name and description of each relation, and of the 200 there are some
dozens are read. "A footballer who plays for Fremantle" is far from "sport that the subject
participates in". The mean of some windows that state a relation is a prototype of it (Snell et
al., NeurIPS 2017); added to the vector of its description it draws the relation to such windows. A
relation that no window states keeps its vector, and a new one needs nothing but a record.
"""

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from relik.kb import KnowledgeBase
from relik.kb.records import encoder_text
from relik.layout import LAYOUT
from relik.manifest import read_manifest
from relik.retriever.encoder import open_encoder
from relik.types import FloatArray, TextEncoder
from relik_index import BuildOptions, build_index
from relik_training.data.examples import Example

MOST_WINDOWS = 24
"""Windows of a relation that are encoded, spread over all that state it."""
FEWEST_WINDOWS = 3
_ENOUGH = 10


def draw_to_examples(
    bundle: Path, examples: Sequence[Example], relations: Path, *, weight: float
) -> int:
    """Build the relations of a bundle again, drawn to windows that state them.

    Args:
        bundle: The bundle; its query encoder makes all vectors.
        examples: Windows with triples.
        relations: relations.jsonl, which the index of relations was built from.
        weight: Length of a prototype beside the unit vector of a description; above 0.

    Returns:
        How many relations have a prototype.
    """
    encoder = open_encoder(bundle, "auto", records=True)
    texts = _texts(examples)
    found = prototypes({key: encoder.encode(each) for key, each in texts.items()})
    folder = bundle / LAYOUT.relations
    held = read_manifest(folder).fields
    kb = KnowledgeBase.open(folder)
    by_text = {
        encoder_text(kb.record(row)): found[kb.entity_id(row)]
        for row in range(len(kb))
        if kb.entity_id(row) in found
    }
    aside = bundle / ".relations.part"
    build_index(
        relations,
        aside,
        encoder=_Drawn(encoder, by_text, weight),
        tokenizer=Tokenizer.from_file(str(bundle / LAYOUT.tokenizer)),
        encoder_fingerprint=str(held["encoder_fingerprint"]),
        options=BuildOptions(
            candidate_tokens=int(str(held["candidate_tokens"])), sources=(relations.name,)
        ),
    )
    shutil.rmtree(folder)
    aside.rename(folder)
    return len(by_text)


def prototypes(vectors: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Give what the windows of each relation have in common, and those of others have not.

    Args:
        vectors: Float32, (n_windows, dim), unit vectors of windows, by relation.

    Returns:
        Float32, (dim,), by relation: the direction of the mean of its windows, less the mean of
        all such directions; of fewer than ten windows in proportion, of fewer than three none.
    """
    means = {
        key: mean / max(float(np.linalg.norm(mean)), 1e-6)
        for key, own in vectors.items()
        if len(own) >= FEWEST_WINDOWS
        for mean in (own.mean(axis=0),)
    }
    if not means:
        return {}
    common = np.mean(list(means.values()), axis=0)
    return {
        key: (min(1.0, len(vectors[key]) / _ENOUGH) * (mean - common)).astype(np.float32)
        for key, mean in means.items()
    }


class _Drawn:
    """Encodes records as another encoder does, drawn to prototypes."""

    def __init__(
        self, encoder: TextEncoder, by_text: Mapping[str, FloatArray], weight: float
    ) -> None:
        self._encoder, self._by_text, self._weight = encoder, by_text, weight

    @property
    def dim(self) -> int:
        return self._encoder.dim

    def encode(self, texts: Sequence[str]) -> FloatArray:
        vectors = np.array(self._encoder.encode(texts), dtype=np.float32)
        for row, text in enumerate(texts):
            if (drawn := self._by_text.get(text)) is not None:
                vectors[row] += self._weight * drawn
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-6), dtype=np.float32)


def _texts(examples: Sequence[Example]) -> dict[str, list[str]]:
    """Give windows that state each relation, spread over all that do."""
    stated: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        for relation in {relation for _, relation, _ in example.triples}:
            stated[relation].append(example.text)
    return {
        key: [texts[at * len(texts) // n] for at in range(n)]
        for key, texts in sorted(stated.items())
        for n in (min(len(texts), MOST_WINDOWS),)
    }
