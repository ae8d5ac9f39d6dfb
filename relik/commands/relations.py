"""Measures how a bundle relates given pairs of mentions by given relations."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from relik.errors import InputError
from relik.evaluation import GoldDocument, Wanted, analyse_relations, with_candidates_only


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationSource:
    """Where what relates comes from.

    Args:
        bundle: Folder or name of the bundle.
        relations: Knowledge index of relations in place of the bundle's own.
        backend: What runs the encoder.
    """

    bundle: str
    relations: Path | None = None
    backend: str = "onnx"


def measure_relations(
    source: RelationSource,
    gold: Sequence[GoldDocument],
    *,
    candidates: Sequence[str] = (),
    threshold: float = 0.0,
    wanted: Wanted | None = None,
) -> dict[str, object]:
    """Open a bundle and classify the pairs of gold documents.

    Args:
        source: The bundle.
        gold: Gold documents; those without a triple of a candidate are left out.
        candidates: Ids of the relations to choose from; empty for all of the index.
        threshold: Least score of an answer, 0..1.
        wanted: Whether each relation is rated too.

    Returns:
        The figures, and what made them: `bundle`, `kb_version` of the relations, `model`,
        `documents`, `seconds`.

    Raises:
        InputError: No document has a triple of a candidate, or a candidate is not in the index.
        BundleError: The bundle cannot be used, or relations have no vectors.
    """
    # Opening pulls in ONNX Runtime and Arrow; `--help` shall not wait for them.
    from relik.bundle import open_bundle

    bundle = open_bundle(source.bundle)
    relater = bundle.relater(source.backend, relations=source.relations)
    kb = relater.relations
    chosen = sorted(set(candidates)) or [kb.entity_id(row) for row in range(len(kb))]
    judged = with_candidates_only(gold, frozenset(chosen))
    if not judged:
        raise InputError(
            f"got {len(gold)} gold documents, none of them with a triple of the {len(chosen)} "
            "candidates, expected some: check the file and the candidates"
        )

    def name_of(relation_id: str) -> str:
        row = kb.row_of(relation_id)
        return "" if row is None else kb.record(row).name

    began = time.perf_counter()
    found = analyse_relations(
        relater, judged, candidates=chosen, threshold=threshold, name_of=name_of, wanted=wanted
    )
    return {
        **found.figures,
        "bundle": source.bundle,
        "kb_version": kb.version,
        "model": bundle.config.model,
        "documents": len(judged),
        "seconds": round(time.perf_counter() - began, 2),
    }
