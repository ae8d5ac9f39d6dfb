import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from relik.errors import ConfigError
from relik.evaluation.compare import compare, match_ratios
from relik.evaluation.examples import Example, Piece
from relik.evaluation.metrics import Bootstrap, Counts, accuracy, precision_recall_f1
from relik.evaluation.report import (
    breakdown_section,
    check_report_path,
    errors_section,
    examples_section,
    scores_section,
    summary_section,
    write_report,
)

ONE, OTHER = [Counts(right=3, wrong=1)] * 4, [Counts(right=1, missed=3)] * 4


class Page(Protocol):
    tags: list[str]
    texts: list[str]
    attributes: list[tuple[str, str | None]]

    @property
    def text(self) -> str: ...


Read = Callable[[str], Page]


def test_a_summary_has_every_reading_with_its_interval(read_page: Read) -> None:
    figures = {"inkb": precision_recall_f1(ONE), "with_nil": precision_recall_f1(OTHER)}
    page = read_page(summary_section({"": figures}))
    assert [text for text in page.texts if text in ("inkb", "with_nil", "triples")] == [
        "inkb",
        "with_nil",
    ] * 2
    assert "0.857\u00a0to\u00a00.857" in page.texts
    assert page.tags.count("circle") == 2


def test_a_summary_of_given_mentions_has_nothing_that_was_missed(read_page: Read) -> None:
    page = read_page(summary_section({"": {"inkb": accuracy(ONE)}}))
    assert page.texts.count("0.750") == 3


def test_a_summary_of_two_shows_their_difference(read_page: Read) -> None:
    difference = compare(match_ratios(ONE), match_ratios(OTHER), bootstrap=Bootstrap(resamples=50))
    systems = {
        name: {"inkb": precision_recall_f1(counts)} for name, counts in (("A", ONE), ("B", OTHER))
    }
    page = read_page(summary_section(systems, {"difference": difference, "resamples": 50}))
    assert {"A inkb", "B inkb", "+0.457", "+0.457\u00a0to\u00a0+0.457", "< 0.04"} <= set(page.texts)


def test_errors_and_groups_are_shown_with_bars(read_page: Read) -> None:
    errors = {
        "gold": {"right": {"count": 3, "share": 0.75}, "missed_it": {"count": 1, "share": 0.25}}
    }
    page = read_page(errors_section(errors, {"gold": {"right": "ok", "missed_it": "<not>"}}))
    assert {"missed it", "<not>", "75.0 %", "25.0 %"} <= set(page.texts)
    rated = {"support": 4, "precision": 0.5, "recall": 0.25, "f1": 0.3333}
    page = read_page(
        breakdown_section({"By <b>": {"x": rated, "P1": {"name": "born <in>", **rated}}})
    )
    assert {"By <b>", "x", "born <in> (P1)", "4", "0.500", "0.250", "0.333"} <= set(page.texts)
    assert page.tags.count("svg") == 2


def test_scores_are_shown_with_their_error(read_page: Read) -> None:
    page = read_page(scores_section([(0.95, True), (0.95, False)], threshold=0.5))
    assert "Expected calibration error 0.450 over 2 predictions" in page.text
    assert {"0.9 to 1.0", "threshold 0.50"} <= set(page.texts)
    assert "threshold" not in read_page(scores_section([], threshold=None)).text


def test_text_of_documents_is_shown_and_never_run(read_page: Read) -> None:
    attack = "<script>alert(1)</script>"
    example = Example(
        verdict="wrong_entity",
        doc_id=attack,
        pieces=(
            Piece(text=f"{attack} "),
            Piece(text=attack, gold=True),
            Piece(text="both", gold=True, found=True),
            Piece(text=" & ", found=True),
        ),
        gold=attack,
        found=attack,
    )
    html = examples_section([example])
    page = read_page(html)
    assert page.text.count(attack) == 5
    assert "<script" not in html
    classes = [value for name, value in page.attributes if name == "class"]
    # The legend has the first three.
    assert [c for c in classes if c in ("gold", "found", "gold found")][3:] == [
        "gold",
        "gold found",
        "found",
    ]


def test_a_report_is_written_aside_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    for html in ("<p>old</p>", "<p>new é</p>"):
        write_report(path, html)
    assert path.read_text(encoding="utf-8") == "<p>new é</p>"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_report_that_cannot_be_written_leaves_nothing_and_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, "<p>old</p>")
    with pytest.raises(UnicodeEncodeError):
        write_report(path, "\ud800")
    assert path.read_text() == "<p>old</p>"
    assert os.listdir(tmp_path) == ["report.html"]
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(tmp_path / "gone" / "report.html", "")


def test_a_path_that_cannot_be_a_file_is_refused_early(tmp_path: Path) -> None:
    check_report_path(tmp_path / "report.html")
    for path in (tmp_path, tmp_path / "gone" / "report.html"):
        with pytest.raises(ConfigError, match="in a folder that exists"):
            check_report_path(path)
