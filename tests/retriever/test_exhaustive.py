"""A closed schema: all records are candidates, and no encoder is needed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from relik.bundle import Bundle, open_bundle
from relik.errors import BundleError, ConfigError, InputError
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.layout import KIND, LAYOUT
from relik.manifest import write_manifest
from relik.retriever.exhaustive import ExhaustiveRetriever
from relik.retriever.window_retriever import open_retriever
from relik.types import AnnotateOptions, Document, Span, Window
from relik_index import build_index, verify_index

TYPES = [("Peop", "person"), ("Loc", "place"), ("Org", "company")]
RELATIONS = [("Live_In", "lives in"), ("Work_For", "works for")]
WINDOW = Window(doc_id="a", index=0, span=Span(0, 3), text="Ada")
TEXT = "Ada Lovelace was born in Paris, the capital of France. A writer in Berlin."


def _index(folder: Path, records: list[tuple[str, str]], tokenizer: Tokenizer) -> Path:
    source = folder.with_suffix(".jsonl")
    source.write_text(
        "".join(json.dumps({"id": k, "name": n, "types": [k]}) + "\n" for k, n in records)
    )
    build_index(source, folder, encoder=None, tokenizer=tokenizer)
    return folder


@pytest.fixture
def types(tmp_path: Path, bert_tokenizer: Tokenizer) -> Path:
    return _index(tmp_path / "types", TYPES, bert_tokenizer)


@pytest.fixture
def schema_bundle(tmp_path: Path, tiny_bundle: Bundle, bert_tokenizer: Tokenizer) -> Bundle:
    """The tiny bundle without its encoder, over three types and two relations."""
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.path, folder)
    for name in (LAYOUT.query_encoder, LAYOUT.entities, LAYOUT.relations):
        shutil.rmtree(folder / name)
    for name, records in ((LAYOUT.entities, TYPES), (LAYOUT.relations, RELATIONS)):
        shutil.copytree(_index(tmp_path / name, records, bert_tokenizer), folder / name)
    write_manifest(folder, kind=KIND, fields={})
    return open_bundle(folder)


def test_every_window_gets_all_records_in_the_order_of_their_ids(types: Path) -> None:
    retriever, windows = ExhaustiveRetriever(), [WINDOW, WINDOW]
    vectors = retriever.encode(windows)
    found = retriever.retrieve_encoded(windows, vectors, KnowledgeBase.open(types), top_k=3)
    assert [[c.entity_id for c in each] for each in found] == [["Loc", "Org", "Peop"]] * 2
    assert [(c.rank, c.score, c.source) for c in found[0]] == [(k, 1.0, "given") for k in range(3)]


def test_fewer_candidates_than_records_are_refused(types: Path) -> None:
    with pytest.raises(InputError, match="got top_k 2, expected at least 3"):
        ExhaustiveRetriever().retrieve_encoded(
            [WINDOW], np.zeros((1, 0), dtype=np.float32), KnowledgeBase.open(types), top_k=2
        )


def test_an_index_without_an_encoder_has_no_vectors(types: Path) -> None:
    kb = KnowledgeBase.open(types, verify=True)
    assert (len(kb), kb.dim, kb.record(0).name) == (3, 0, "person")
    assert not (types / "vectors.faiss").exists()
    with pytest.raises(BundleError, match="has no vectors"):
        kb.index.search(np.zeros((1, 0), dtype=np.float32), top_k=1)
    with pytest.raises(BundleError, match="has no vectors"):
        kb.index.reconstruct(np.zeros(1, dtype=np.int64))


def test_an_index_without_vectors_passes_verification(types: Path) -> None:
    found = verify_index(types)
    assert (found["rows"], found["vectors"], found["self_recall"]) == (3, "none", None)


def test_a_bundle_without_an_encoder_annotates(schema_bundle: Bundle) -> None:
    assert schema_bundle.dim is None
    pipeline = schema_bundle.pipeline("onnx")
    options = AnnotateOptions(threshold=0.02, relation_threshold=0.02, explain=True, nil=True)
    (found,) = pipeline.annotate([Document(doc_id="a", text=TEXT)], options=options)
    assert {s.entity_id for s in found.spans} <= {"Peop", "Loc", "Org", None}
    weighed = [{c.entity_id for c in s.candidates} for s in found.spans]
    assert weighed
    assert all(each == {"Peop", "Loc", "Org"} for each in weighed)
    assert {t.relation_id for t in found.triples} <= {"Live_In", "Work_For"}


def test_types_asked_for_are_kept_alone(schema_bundle: Bundle) -> None:
    pipeline = schema_bundle.pipeline("onnx")
    options = AnnotateOptions(threshold=0.02, relations=False, types=("Loc",))
    (found,) = pipeline.annotate([Document(doc_id="a", text=TEXT)], options=options)
    assert {s.entity_id for s in found.spans} <= {"Loc"}


def test_settings_that_leave_a_record_out_are_refused(schema_bundle: Bundle) -> None:
    retriever = replace(schema_bundle.config.retriever, relation_top_k=1)
    config = replace(schema_bundle.config, retriever=retriever)
    with pytest.raises(ConfigError, match="relation_top_k 1, expected at least 2"):
        replace(schema_bundle, config=config).pipeline("onnx")


def test_relations_are_given_beside_entities_that_are_searched(
    tiny_bundle: Bundle, tmp_path: Path, bert_tokenizer: Tokenizer
) -> None:
    relations = _index(tmp_path / "relations", RELATIONS, bert_tokenizer)
    pipeline = tiny_bundle.pipeline("onnx", relations=relations)
    (window,) = pipeline.split(Document(doc_id="a", text="Ada was born in Paris"))
    (found,) = pipeline.retrieve([window], options=AnnotateOptions())
    assert [c.entity_id for c in found.relations] == ["Live_In", "Work_For"]
    assert {c.source for c in found.entities} <= {"dense", "lexical"}


def test_relations_cannot_be_searched_where_entities_are_given(
    tiny_bundle: Bundle, types: Path
) -> None:
    relations = KnowledgeBase.open(tiny_bundle.path / LAYOUT.relations)
    with pytest.raises(BundleError, match="relations with vectors beside entities without"):
        open_retriever(
            tiny_bundle.path,
            "onnx",
            config=tiny_bundle.config.retriever,
            view=KnowledgeView(entities=KnowledgeBase.open(types), relations=relations),
        )
