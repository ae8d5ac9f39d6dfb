"""What a run of an encoder of relations ends with: a bundle, measured and sealed."""

from pathlib import Path

from tokenizers import Tokenizer

from relik.bundle import open_bundle
from relik.evaluation import analyse_relations, read_gold, with_candidates_only
from relik.layout import KIND, LAYOUT
from relik.manifest import publish, write_manifest
from relik.retriever.encoder import open_encoder
from relik_index import build_index
from relik_training.export import export_encoder
from relik_training.recipes.relation_settings import RelationTraining
from relik_training.relations.unseen import draw_unseen
from relik_training.retriever.retriever_bundle import fingerprint
from relik_training.run.run_files import BUNDLE_FOLDER, begin_bundle

TEXTS = "unseen.jsonl.gz"
"""File of a run: all texts with a relation that is measured."""
RELATIONS = "relations.jsonl"
"""File of a run: records of the relations that are measured."""


def build_relation_bundle(config: RelationTraining) -> dict[str, object]:
    """Export the encoder of a finished run and index the relations that were left out; measure.

    Returns:
        The folder, and the figures on the texts of the relations that were left out.

    Raises:
        ConfigError: The run is not finished, or was made with other settings.
    """
    run = Path(config.out)
    aside, fields = begin_bundle(config, "relations")
    export_encoder(run, aside)
    build_index(
        run / RELATIONS,
        aside / LAYOUT.relations,
        encoder=open_encoder(aside, "auto"),
        tokenizer=Tokenizer.from_file(str(aside / LAYOUT.tokenizer)),
        encoder_fingerprint=fingerprint(aside),
    )
    fields["unseen"] = sorted(draw_unseen(config.unseen, Path(config.data)).all)
    write_manifest(aside, kind=KIND, fields=fields)
    figures = _measured(aside, run / TEXTS)
    write_manifest(aside, kind=KIND, fields={**fields, "metrics": figures})
    target = run / BUNDLE_FOLDER
    publish(aside, target, replace=True)
    return {"bundle": str(target), **figures}


def _measured(bundle: Path, texts: Path) -> dict[str, object]:
    """Choose among the relations of the bundle, none of which was trained on."""
    if not texts.is_file():
        return {}
    relater = open_bundle(bundle, verify=False).relater("auto")
    kb = relater.relations
    candidates = [kb.entity_id(row) for row in range(len(kb))]
    gold = with_candidates_only(read_gold(texts), frozenset(candidates))
    return analyse_relations(relater, gold, candidates=candidates).figures
