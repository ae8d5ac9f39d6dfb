import json
from pathlib import Path

import pytest

from relik.cli import main
from relik.commands.evaluate import run
from relik.errors import InputError
from relik.evaluation import (
    GoldDocument,
    GoldMention,
    GoldTriple,
    evaluate_entities,
    evaluate_retrieval,
    evaluate_triples,
)
from relik.testing import FakeNamePipeline
from relik.types import AnnotateOptions, Document, Entity, Span

OPTIONS = AnnotateOptions()


def opened() -> FakeNamePipeline:
    return FakeNamePipeline(
        [Entity(entity_id="Q1", name="Ada"), Entity(entity_id="Q2", name="Bob")],
        facts={("Q1", "Q2"): ("P1",)},
    )


def gold() -> list[GoldDocument]:
    ada = GoldMention(span=Span(0, 3), entity_id="Q1")
    bob = GoldMention(span=Span(8, 11), entity_id="Q2")
    return [
        GoldDocument(
            document=Document(doc_id="d", text="Ada met Bob"),
            mentions=(ada, bob),
            triples=(GoldTriple(subject=ada, relation_id="P1", object=bob),),
        )
    ]


def code_of(*argv: str) -> object:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", *argv])
    return left.value.code


def f1(report: dict[str, object], key: str) -> object:
    rated = report[key]
    assert isinstance(rated, dict)
    return rated["f1"]


def test_a_report_names_what_made_it() -> None:
    report = run(
        opened(),
        gold(),
        lambda measured, known, docs: evaluate_entities(
            measured, docs, known=known, options=OPTIONS
        ),
        bundle="mine",
    )
    assert f1(report, "inkb") == f1(report, "with_nil") == 1.0
    assert (report["bundle"], report["kb_version"], report["model"]) == ("mine", "fake-1", "fake")
    assert report["documents"] == 1
    assert isinstance(report["seconds"], float)
    assert json.loads(json.dumps(report)) == report


def test_the_baseline_stands_in_for_the_model(tmp_path: Path) -> None:
    facts = tmp_path / "facts.jsonl"
    facts.write_text('{"h": "Q1", "r": ["P1", "P2"], "t": "Q2"}')

    def report(path: Path | None) -> dict[str, object]:
        return run(
            opened(),
            gold(),
            lambda measured, known, docs: evaluate_triples(measured, docs, options=OPTIONS),
            bundle="mine",
            baseline=True,
            facts=path,
        )

    assert f1(report(None), "triples") == 0.0
    assert f1(report(facts), "triples") == 0.6667
    assert report(None)["model"] == "longest alias match"


def test_retrieval_of_the_baseline_is_rated_in_the_windows_of_the_bundle() -> None:
    report = run(
        opened(),
        gold(),
        lambda measured, known, docs: evaluate_retrieval(
            measured, docs, known=known, options=OPTIONS
        ),
        bundle="mine",
        baseline=True,
    )
    recall = report["recall_at"]
    assert isinstance(recall, dict)
    assert (recall["1"], recall["50"]) == (0.5, 1.0)


def test_a_file_without_documents_is_refused() -> None:
    with pytest.raises(InputError, match="no gold documents"):
        run(opened(), [], lambda measured, known, docs: {}, bundle="mine")


def test_wrong_input_is_refused_before_a_model_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text("{}")
    for command in ("entities", "triples", "retrieval"):
        assert code_of(command, str(path)) == 2
        assert "gold.jsonl, line 1" in capsys.readouterr().err
    assert code_of("triples", str(path), "--triples", "x") == 2
    assert "--baseline" in capsys.readouterr().err
    assert code_of("entities", str(path), "--limit", "0") == 2


def test_a_missing_bundle_leaves_with_3(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text('{"text": "a", "spans": []}')
    assert code_of("retrieval", str(path), "--bundle", str(tmp_path / "gone")) == 3
