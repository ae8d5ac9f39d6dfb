"""Prototypes of relations: vectors moved towards training windows that state the relation.

The retriever compares a window with names and descriptions of relations, but "a footballer who
plays for Fremantle" is far from "sport that the subject participates in". The mean of windows that
state a relation is its prototype (Snell et al., NeurIPS 2017), which is added to the vector of its
record. A relation without such windows keeps its vector, and a new one needs a record only.
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
"""Maximum windows of a relation that are encoded, spread evenly over all that state it."""
FEWEST_WINDOWS = 3
_ENOUGH = 10


def draw_to_examples(
    bundle: Path, examples: Sequence[Example], relations: Path, *, weight: float
) -> int:
    """Rebuild the relation index of a bundle with prototypes, and return how many it has.

    Args:
        relations: JSON Lines of the relations.
        weight: Weight of a prototype relative to the unit vector of a record; above 0.
    """
    encoder = open_encoder(bundle, "auto", records=True)
    texts = _texts(examples)
    found = prototypes({key: encoder.encode(each) for key, each in texts.items()})
    folder = bundle / LAYOUT.relations
    fields = read_manifest(folder).fields
    kb = KnowledgeBase.open(folder)
    by_text = {
        encoder_text(kb.record(row)): found[kb.entity_id(row)]
        for row in range(len(kb))
        if kb.entity_id(row) in found
    }
    draft = bundle / ".relations.part"
    build_index(
        relations,
        draft,
        encoder=_PrototypeEncoder(encoder, by_text, weight),
        tokenizer=Tokenizer.from_file(str(bundle / LAYOUT.tokenizer)),
        encoder_fingerprint=str(fields["encoder_fingerprint"]),
        options=BuildOptions(
            candidate_tokens=int(str(fields["candidate_tokens"])), sources=(relations.name,)
        ),
    )
    shutil.rmtree(folder)
    draft.rename(folder)
    return len(by_text)


def prototypes(vectors: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Compute the prototype of each relation: its mean window, less the mean of all relations.

    Args:
        vectors: Float32, (n_windows, dim), unit vectors of windows, by relation.

    Returns:
        Float32, (dim,), by relation. With fewer than ten windows a prototype is shrunk in
        proportion; with fewer than three there is none.
    """
    means = {
        key: mean / max(float(np.linalg.norm(mean)), 1e-6)
        for key, windows in vectors.items()
        if len(windows) >= FEWEST_WINDOWS
        for mean in (windows.mean(axis=0),)
    }
    if not means:
        return {}
    common = np.mean(list(means.values()), axis=0)
    return {
        key: (min(1.0, len(vectors[key]) / _ENOUGH) * (mean - common)).astype(np.float32)
        for key, mean in means.items()
    }


class _PrototypeEncoder:
    """An encoder of records that adds prototypes."""

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
            if (prototype := self._by_text.get(text)) is not None:
                vectors[row] += self._weight * prototype
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-6), dtype=np.float32)


def _texts(examples: Sequence[Example]) -> dict[str, list[str]]:
    """Return windows that state each relation, spread evenly over all that do."""
    stated: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        for relation in {relation for _, relation, _ in example.triples}:
            stated[relation].append(example.text)
    return {
        key: [texts[at * len(texts) // n] for at in range(n)]
        for key, texts in sorted(stated.items())
        for n in (min(len(texts), MOST_WINDOWS),)
    }
