"""Two views in one process, in any order, give the answers of two processes."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from relik.bundle import Bundle
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.layout import LAYOUT
from relik.pipeline import Pipeline
from relik.types import AnnotateOptions, Document
from relik.wire.document import document_to_wire
from relik_index import BuildOptions, build_index

TEXTS = (
    "Ada Lovelace was born in Paris, the capital of France.",
    "Paris Hilton is a writer. Hilton was born in Texas.",
    "A river in Berlin: the bank of Paris and the banks of Texas",
    "ada of paris and the writers of berlin",
)
# Terms, counted names, and ids that the other base does not have.
TERMS: list[dict[str, object]] = [
    {"id": "T1", "name": "river bank", "aliases": ["bank"], "types": ["thing"]},
    {"id": "T2", "name": "writer", "types": ["thing"]},
    {"id": "T3", "name": "Paris", "surfaces": {"Paris": 9}, "types": ["place"]},
    *({"id": f"T{k}", "name": f"term {k}"} for k in range(10, 24)),
]


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle) -> Path:
    folder = tmp_path_factory.mktemp("terms")
    source = folder / "terms.jsonl"
    source.write_text("".join(f"{json.dumps(record)}\n" for record in TERMS))
    build_index(
        source,
        folder / "index",
        encoder=tiny_bundle.encoder(),
        tokenizer=tiny_bundle.tokenizer(),
        encoder_fingerprint=tiny_bundle.encoder_fingerprint,
        options=BuildOptions(any_case=True),
    )
    return folder / "index"


@pytest.fixture(scope="module")
def views(tiny_bundle: Bundle, terms: Path) -> dict[str, KnowledgeView]:
    relations = KnowledgeBase.open(tiny_bundle.path / LAYOUT.relations)
    own = KnowledgeBase.open(tiny_bundle.path / LAYOUT.entities)
    return {
        "own": KnowledgeView(entities=own, relations=relations),
        "terms": KnowledgeView(entities=KnowledgeBase.open(terms), relations=relations),
    }


def _shown(pipeline: Pipeline, view: KnowledgeView, text: str) -> dict[str, object]:
    document = Document(doc_id="1", text=text)
    (annotation,) = pipeline.annotate([document], options=AnnotateOptions(), view=view)
    shown = document_to_wire(
        annotation, text, entity=view.entity, relation=view.relation, explain=False
    )
    answer: dict[str, object] = json.loads(json.dumps(shown))
    return answer


def _by_a_process(bundle: Bundle, kb: Path | None) -> list[dict[str, object]]:
    lines = "".join(f"{json.dumps({'id': '1', 'text': text})}\n" for text in TEXTS)
    extra = [] if kb is None else ["--kb", str(kb)]
    command = ["annotate", "--json", "--backend", "onnx", "--bundle", str(bundle.path), *extra]
    done = subprocess.run(
        [sys.executable, "-m", "relik", *command],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_alternating_views_answer_like_processes_of_their_own(
    tiny_bundle: Bundle, tiny_pipeline: Pipeline, views: dict[str, KnowledgeView], terms: Path
) -> None:
    expected = {
        "own": _by_a_process(tiny_bundle, None),
        "terms": _by_a_process(tiny_bundle, terms),
    }
    assert expected["own"] != expected["terms"]
    asked = [(name, i) for name in views for i in range(len(TEXTS))] * 3
    random.Random(13).shuffle(asked)
    for name, i in asked:
        assert _shown(tiny_pipeline, views[name], TEXTS[i]) == expected[name][i], name


def test_a_view_looks_records_up_and_names_its_version(views: dict[str, KnowledgeView]) -> None:
    own, terms = views["own"], views["terms"]
    assert own.version != terms.version
    found = terms.entity("T2")
    assert found is not None
    assert found.name == "writer"
    assert own.entity("T2") is None
    relation = own.relation("P1")
    assert relation is not None
    assert (relation.relation_id, relation.name) == ("P1", "born in")
    assert own.relation("T2") is None
