import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from relik.bundle import Bundle
from relik.cli import main
from relik.commands.measure import Source, run
from relik.errors import InputError
from relik.evaluation import (
    GoldDocument,
    GoldMention,
    GoldTriple,
    Wanted,
    analyse_entities,
    analyse_retrieval,
    analyse_triples,
)
from relik.evaluation.compare import differences
from relik.pipeline import Pipeline
from relik.retriever.encoder import open_encoder
from relik.testing import FakeNamePipeline
from relik.types import AnnotateOptions, Document, Entity, Span
from relik_index import build_index

OPTIONS = AnnotateOptions()


def opened() -> Pipeline:
    fake = FakeNamePipeline(
        [Entity(entity_id="Q1", name="Ada"), Entity(entity_id="Q2", name="Bob")],
        facts={("Q1", "Q2"): ("P1",)},
    )
    return cast(Pipeline, fake)


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
        lambda subject, docs: analyse_entities(
            subject.measured,
            docs,
            known=subject.known,
            records=subject.pipeline.entities,
            options=OPTIONS,
        ),
        Source(bundle="mine"),
        options=OPTIONS,
        wanted=Wanted(),
    ).report
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
            lambda subject, docs: analyse_triples(subject.measured, docs, options=OPTIONS),
            Source(bundle="mine", baseline=True, facts=path),
            options=OPTIONS,
            wanted=Wanted(),
        ).report

    assert f1(report(None), "triples") == 0.0
    assert f1(report(facts), "triples") == 0.6667
    assert report(None)["model"] == "longest alias match"


def test_retrieval_of_the_baseline_is_rated_in_the_windows_of_the_bundle() -> None:
    report = run(
        opened(),
        gold(),
        lambda subject, docs: analyse_retrieval(
            subject.measured, docs, known=subject.known, options=OPTIONS
        ),
        Source(bundle="mine", baseline=True),
        options=OPTIONS,
        wanted=Wanted(),
    ).report
    recall = report["recall_at"]
    assert isinstance(recall, dict)
    assert (recall["1"], recall["50"]) == (0.5, 1.0)


def test_a_file_without_documents_is_refused() -> None:
    with pytest.raises(InputError, match="no gold documents"):
        run(
            opened(),
            [],
            lambda subject, docs: analyse_triples(subject.measured, docs, options=OPTIONS),
            Source(bundle="mine"),
            options=OPTIONS,
            wanted=Wanted(),
        )


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


TEXTS = (
    "Ada Lovelace was born in Paris , the capital of France .",
    "A writer in Berlin and the bank of the river . Paris Hilton was in Texas <script>1</script>",
)


@pytest.fixture
def gold_file(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    lines = []
    for text in TEXTS * 3:
        places = [(word, text.index(word)) for word in ("Paris", "Berlin", "Ada") if word in text]
        ids = {"Paris": "Q1", "Berlin": "Q5", "Ada": "Q4"}
        spans = [[at, at + len(word), ids[word], word] for word, at in places]
        lines.append(json.dumps({"text": text, "spans": spans, "triples": [[0, "P1", 1]]}))
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def evaluated(
    tiny_bundle: Bundle, gold_file: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a command on the tiny bundle and return what it prints."""

    def run_command(command: str, *options: str) -> str:
        argv = (command, str(gold_file), "--bundle", str(tiny_bundle.path), *options)
        assert code_of(*argv) in (0, None)
        return capsys.readouterr().out

    return run_command


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (("entities",), {"inkb", "with_nil"}),
        (("entities", "--given-mentions"), {"inkb", "with_nil"}),
        (("entities", "--errors"), {"inkb", "with_nil", "errors"}),
        (("entities", "--breakdown"), {"inkb", "with_nil", "breakdown"}),
        (("triples",), {"triples"}),
        (("triples", "--breakdown"), {"triples", "breakdown"}),
        (("retrieval",), {"recall_at", "ci95", "counts"}),
        (("relations",), {"relations", "candidates"}),
        (("relations", "--breakdown"), {"relations", "candidates", "breakdown"}),
    ],
)
def test_a_report_has_what_was_asked_for(
    evaluated: Callable[..., str], command: tuple[str, ...], keys: set[str]
) -> None:
    report = json.loads(evaluated(*command, "--json"))
    assert set(report) == keys | {"bundle", "kb_version", "model", "documents", "seconds"}
    assert report["documents"] == 6
    assert evaluated(*command).strip()


def test_errors_and_groups_leave_the_figures_as_they_are(evaluated: Callable[..., str]) -> None:
    plain = json.loads(evaluated("entities", "--json", "--threshold", "0.3"))
    full = json.loads(
        evaluated("entities", "--json", "--threshold", "0.3", "--errors", "--breakdown")
    )
    assert full["inkb"] == plain["inkb"]
    assert full["with_nil"] == plain["with_nil"]
    assert (full["errors"]["threshold"], full["errors"]["top_k"]) == (0.3, 5)
    missed = sum(each["count"] for each in full["errors"]["gold"].values())
    assert missed == plain["inkb"]["counts"]["right"] + plain["inkb"]["counts"]["missed"]


def test_the_threshold_and_candidates_of_the_bundle_are_those_that_explain(
    evaluated: Callable[..., str],
) -> None:
    errors = json.loads(evaluated("entities", "--json", "--errors"))["errors"]
    assert (errors["threshold"], errors["top_k"]) == (0.1, 5)
    baseline = json.loads(evaluated("entities", "--json", "--errors", "--baseline"))["errors"]
    assert baseline["gold"]["below_threshold"]["count"] == 0
    assert baseline["gold"]["right"]["count"] > 0


@pytest.mark.parametrize("command", ["entities", "triples", "retrieval"])
def test_a_bundle_does_not_differ_from_itself(
    evaluated: Callable[..., str], tiny_bundle: Bundle, command: str
) -> None:
    report = json.loads(evaluated(command, "--json", "--compare", str(tiny_bundle.path)))
    assert set(report) == {"a", "b", "difference", "resamples", "seed"}
    assert report["resamples"] == 1000
    plain = json.loads(evaluated(command, "--json"))
    for side in ("a", "b"):
        assert report[side].pop("seconds") >= 0
        assert report[side] == {key: value for key, value in plain.items() if key != "seconds"}
    found = differences(report["difference"])
    assert found
    assert all((each.delta, each.low, each.high, each.p) == (0, 0, 0, 1) for each in found)
    assert "A minus B" in evaluated(command, "--compare", str(tiny_bundle.path))


def test_the_encoder_alone_ranks_by_cosine(
    evaluated: Callable[..., str], tiny_bundle: Bundle
) -> None:
    report = json.loads(
        evaluated("retrieval", "--json", "--dense-only", "--compare", str(tiny_bundle.path))
    )
    # B has the names too, and they stand in these texts.
    assert report["a"]["recall_at"]["1"] < report["b"]["recall_at"]["1"]
    dense = tiny_bundle.config.retriever.dense_only().fusion
    assert (dense.dense_weight, dense.exact_weight, dense.popularity_weight) == (
        tiny_bundle.config.retriever.fusion.dense_weight,
        0.0,
        0.0,
    )
    plain, alone = (
        json.loads(evaluated("entities", "--json", "--top-k", "1", *option))["inkb"]
        for option in ((), ("--dense-only",))
    )
    assert plain["counts"] != alone["counts"]


def test_a_model_is_compared_with_its_baseline(
    evaluated: Callable[..., str], tiny_bundle: Bundle
) -> None:
    options = ("--baseline", "--compare", str(tiny_bundle.path), "--resamples", "70", "--seed", "2")
    report = json.loads(evaluated("entities", "--json", *options))
    delta = report["a"]["inkb"]["f1"] - report["b"]["inkb"]["f1"]
    assert report["difference"]["f1"]["delta"] == pytest.approx(delta, abs=1.1e-4)
    assert delta > 0
    assert report["a"]["model"] == "longest alias match"
    assert report["b"]["model"] == "tiny"
    assert (report["resamples"], report["seed"]) == (70, 2)
    assert set(report["difference"]) == {"f1", "precision", "recall", "with_nil"}


def test_two_bundles_are_judged_on_what_both_know(
    evaluated: Callable[..., str], tiny_bundle: Bundle, tmp_path: Path
) -> None:
    source = tmp_path / "entities.jsonl"
    source.write_text('{"id": "Q1", "name": "Paris"}\n{"id": "Q9", "name": "Berlin"}\n')
    index = tmp_path / "index"
    build_index(
        source,
        index,
        encoder=open_encoder(tiny_bundle.path, "onnx"),
        tokenizer=tiny_bundle.tokenizer(),
        encoder_fingerprint=tiny_bundle.encoder_fingerprint,
    )
    options = ("--kb", str(index), "--compare", str(tiny_bundle.path))
    report = json.loads(evaluated("entities", "--json", *options))
    n_gold = [
        report[side]["inkb"]["counts"]["right"] + report[side]["inkb"]["counts"]["missed"]
        for side in ("a", "b")
    ]
    assert n_gold == [6, 6]
    assert report["a"]["kb_version"] != report["b"]["kb_version"]


@pytest.mark.parametrize("command", ["entities", "triples"])
def test_a_page_is_written(
    evaluated: Callable[..., str], tiny_bundle: Bundle, tmp_path: Path, command: str
) -> None:
    page = tmp_path / "page.html"
    evaluated(command, "--report", str(page))
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert html.endswith("</html>\n")
    assert "gold.jsonl" in html
    assert "<dd>tiny</dd>" in html
    assert "<script" not in html
    assert "A minus B" not in html
    evaluated(command, "--report", str(page), "--compare", str(tiny_bundle.path))
    html = page.read_text(encoding="utf-8")
    assert "A minus B" in html
    assert "<dt>B model</dt>" in html


def test_what_cannot_be_done_is_refused_before_it_is_begun(
    gold_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = str(tmp_path / "gone" / "page.html")
    assert code_of("entities", str(gold_file), "--report", lost) == 2
    assert "in a folder that exists" in capsys.readouterr().err
    for option in (("--compare", str(tmp_path / "gone")), ("--bundle", str(tmp_path / "gone"))):
        assert code_of("triples", str(gold_file), *option) == 3
    assert code_of("entities", str(gold_file), "--resamples", "0") == 2
    assert code_of("retrieval", str(gold_file), "--baseline", "--dense-only") == 2
    assert "leave one out" in capsys.readouterr().err
