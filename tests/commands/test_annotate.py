import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from relik.cli import main
from relik.commands.annotate import write_annotations
from relik.errors import InputError
from relik.testing import FakeNamePipeline
from relik.types import AnnotateOptions, Document, Entity, Relation

CURIE, SPOUSE = "Q7186", "P26"
TEXT = "Marie Curie married Pierre Curie.\r\nThey met in Paris [bold]."


def pipeline() -> FakeNamePipeline:
    return FakeNamePipeline(
        [
            Entity(entity_id=CURIE, name="Marie Curie", description="physicist and chemist"),
            Entity(entity_id="Q37463", name="Pierre Curie"),
            Entity(entity_id="Q90", name="Paris"),
        ],
        relations=[Relation(relation_id=SPOUSE, name="spouse")],
        facts={(CURIE, "Q37463"): (SPOUSE,)},
    )


def documents(*texts: str) -> list[Document]:
    return [Document(doc_id=str(n), text=text) for n, text in enumerate(texts)]


def code_of(*argv: str) -> object:
    with pytest.raises(SystemExit) as left:
        main(["annotate", *argv])
    return left.value.code


def shown(text: str, *, explain: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system="standard")
    options = AnnotateOptions(explain=explain)
    write_annotations(pipeline(), documents(text), options=options, console=console)
    return out.getvalue()


def test_json_is_a_document_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    options = AnnotateOptions()
    write_annotations(pipeline(), documents(TEXT, ""), options=options, console=None)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert [TEXT[s["start"] : s["end"]] for s in first["spans"]] == [
        s["text"] for s in first["spans"]
    ]
    assert [s["entity_id"] for s in first["spans"]] == [CURIE, "Q37463", "Q90"]
    assert first["triples"] == [
        {"subject": 0, "relation_id": SPOUSE, "relation": "spouse", "object": 1, "score": 1.0}
    ]
    assert (second["id"], second["spans"]) == ("1", [])


def test_half_a_surrogate_pair_is_still_written(capsys: pytest.CaptureFixture[str]) -> None:
    document = Document(doc_id="\ud800 é", text="Paris")
    write_annotations(pipeline(), [document], options=AnnotateOptions(), console=None)
    assert json.loads(capsys.readouterr().out)["id"] == "\ud800 é"


def test_a_stream_is_written_before_its_end_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    written: list[int] = []

    def endless() -> Iterator[Document]:
        for n in range(200):
            written.append(capsys.readouterr().out.count("\n"))
            yield Document(doc_id=str(n), text="Paris")
        raise InputError("the last line is wrong")

    with pytest.raises(InputError):
        write_annotations(pipeline(), endless(), options=AnnotateOptions(), console=None)
    assert sum(written) == 192


def test_a_terminal_is_shown_the_text_and_two_tables() -> None:
    out = shown(TEXT)
    for part in ("Marie Curie", CURIE, "spouse (P26)", "They met in", "[bold].", "Score"):
        assert part in out
    assert "physicist" not in out
    assert "physicist" in shown(TEXT, explain=True)


def test_a_mention_is_coloured_where_it_stands() -> None:
    line = next(
        line for line in shown("\a\r\N{ESCAPE}[2J Paris fell").splitlines() if "fell" in line
    )
    assert "Paris\x1b[0m fell" in line
    assert "\x1b[2J" not in line


def test_text_without_mentions_is_shown_without_tables() -> None:
    assert "Score" not in shown("nothing here")


def test_wrong_options_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert code_of("--tasks", "entities,triples", "text") == 2
    assert "expected entities or relations" in capsys.readouterr().err
    assert code_of("--tasks", ",", "text") == 2
    assert code_of("--threshold", "1.5", "text") == 2
    assert code_of("--top-k", "0", "text") == 2


def test_a_missing_bundle_leaves_with_3(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert code_of("--bundle", str(tmp_path / "gone"), "text") == 3
    assert capsys.readouterr().err.startswith("relik: error: ")
