"""The report of an evaluation as HTML: figures, errors, groups, scores, examples; and its file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from relik.errors import ConfigError
from relik.evaluation.compare import differences
from relik.evaluation.examples import Example
from relik.evaluation.markup import Cell, Markup, Table, figure, section, table, text
from relik.evaluation.plots import Interval, bar, intervals, reliability_diagram
from relik.evaluation.reliability import Scored, expected_calibration_error, reliability

Figures = Mapping[str, object]
READINGS = {
    "inkb": "without predictions on gold mentions of no known id",
    "with_nil": "with predictions on gold mentions of no known id",
    "marked": "without predictions where gold marks no mention of a known id",
    "triples": "triples",
}
"""Readings of a report that are rated by precision, recall and F1, and what they are."""

_RATES = ("precision", "recall", "f1")
_HEADERS = ("Precision", "Recall", "F1")


def summary_section(systems: Mapping[str, Figures], comparison: Figures | None = None) -> str:
    """Show precision, recall and F1 of one or two systems, and their difference.

    Args:
        systems: Figures by name of the system, empty where there is one.
        comparison: Their `difference`, as of `compare` or by name of a reading such, and the
            number of `resamples`; None where there is one system.

    Returns:
        HTML.
    """
    rows: list[list[Cell]] = []
    drawn = []
    for system, figures in systems.items():
        for reading, meaning in READINGS.items():
            rated = cast(Figures | None, figures.get(reading))
            if rated is None:
                continue
            low, high = cast(Sequence[float], rated["ci95"])
            counts = cast(Mapping[str, int], rated["counts"])
            rates = [cast(float, rated[name]) for name in _RATES]
            name = f"{system} {reading}".strip()
            drawn.append(Interval(name=name, value=rates[2], low=low, high=high))
            tallies = [counts.get(key, "") for key in ("right", "wrong", "missed")]
            rows.append([name, meaning, *rates, _interval(f"{low:.3f}", f"{high:.3f}"), *tallies])
    columns = ("Reading", "Judged", *_HEADERS, "95 % of F1", "Right", "Wrong", "Missed")
    parts = [
        table(Table(caption="Micro-averaged over all documents", columns=columns, rows=rows)),
        figure(intervals(drawn), "F1 with its 95 % bootstrap interval over documents"),
    ]
    if comparison is not None:
        parts.append(_difference_table(comparison))
    return section("Summary", *parts)


def errors_section(errors: Figures, meanings: Mapping[str, Mapping[str, str]]) -> str:
    """Show verdicts with bars.

    Args:
        errors: As of `taxonomy`.
        meanings: By key of `errors`, its verdicts and what they mean.

    Returns:
        HTML.
    """
    parts = []
    for side, verdicts in meanings.items():
        tallied = cast(Mapping[str, Mapping[str, float]], errors[side])
        rows: list[list[Cell]] = [
            [
                verdict.replace("_", " "),
                meaning,
                int(tallied[verdict]["count"]),
                f"{100 * tallied[verdict]['share']:.1f} %",
                bar(tallied[verdict]["share"]),
            ]
            for verdict, meaning in verdicts.items()
        ]
        columns = ("Verdict", "Meaning", "Count", "Share", "")
        caption = f"{side.capitalize()}: every one has exactly one verdict"
        parts.append(table(Table(caption=caption, columns=columns, rows=rows)))
    return section("Errors", *parts)


def breakdown_section(groups: Mapping[str, Mapping[str, Figures]]) -> str:
    """Show figures by group.

    Args:
        groups: By caption, by group, as of `breakdown.rate`, with a `name` where groups have one.

    Returns:
        HTML.
    """
    parts = []
    for caption, rated in groups.items():
        rows: list[list[Cell]] = [
            [
                f"{figures['name']} ({group})" if figures.get("name") else group,
                cast(int, figures["support"]),
                *(cast(float, figures[name]) for name in _RATES),
                bar(cast(float, figures["f1"])),
            ]
            for group, figures in rated.items()
        ]
        columns = ("Group", "Support", *_HEADERS, "")
        parts.append(table(Table(caption=caption, columns=columns, rows=rows)))
    return section("Groups", *parts)


def scores_section(scored: Sequence[Scored], *, threshold: float | None) -> str:
    """Show whether scores mean what they say.

    Args:
        scored: Score and rightness of each prediction that can be judged.
        threshold: Where scores were cut; None where predictions below it are not there.

    Returns:
        HTML.
    """
    bins = reliability(scored)
    error = expected_calibration_error(bins)
    rows: list[list[Cell]] = [
        [f"{b.low:.1f} to {b.high:.1f}", b.count, b.mean_score, b.share_right]
        for b in bins
        if b.count
    ]
    columns = ("Score", "Predictions", "Mean score", "Share right")
    return section(
        "Scores",
        figure(
            reliability_diagram(bins, threshold=threshold),
            f"Expected calibration error {error:.3f} over {len(scored):,} predictions that can be "
            "judged. On the dashed line, scores are the share that is right.",
        ),
        table(Table(caption="The same in numbers", columns=columns, rows=rows)),
    )


def examples_section(examples: Sequence[Example]) -> str:
    """Show errors in their sentences.

    Args:
        examples: The errors.

    Returns:
        HTML.
    """
    rows: list[list[Cell]] = [
        [
            each.verdict.replace("_", " "),
            Markup(f'<div class="text">{_marked(each)}</div>'),
            each.gold,
            each.found,
            each.doc_id,
        ]
        for each in examples
    ]
    legend = (
        '<p>In the text: <mark class="gold">gold</mark>, <mark class="found">predicted</mark>, '
        '<mark class="gold found">both</mark>.</p>\n'
    )
    columns = ("Verdict", "Text", "Gold", "Predicted", "Document")
    caption = f"{len(examples)} errors, equally many of each kind where there are enough"
    return section("Examples", legend, table(Table(caption=caption, columns=columns, rows=rows)))


def check_report_path(path: Path) -> None:
    """Refuse a path that cannot be written, before the work is done.

    Args:
        path: Where a report is to be written.

    Raises:
        ConfigError: It is a folder, or in a folder that is not there.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(
            f"got {path} for the report, expected a file in a folder that exists: "
            "make the folder or choose another name"
        )


def write_report(path: Path, html: str) -> None:
    """Write a report: aside first, so that a reader finds the whole of the old or of the new.

    Args:
        path: Where; a file that is there is replaced.
        html: The page.

    Raises:
        ConfigError: It cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        try:
            aside.write_text(html, encoding="utf-8")
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error}): choose another path") from error


def _difference_table(comparison: Figures) -> str:
    resamples = cast(int, comparison["resamples"])
    rows: list[list[Cell]] = [
        [
            found.name,
            f"{found.delta:+.3f}",
            _interval(f"{found.low:+.3f}", f"{found.high:+.3f}"),
            found.told_p(resamples),
        ]
        for found in differences(cast(Figures, comparison["difference"]))
    ]
    caption = f"A minus B: paired bootstrap over documents, {resamples:,} resamples"
    columns = ("Figure", "Difference", "95 %", "p")
    return table(Table(caption=caption, columns=columns, rows=rows))


def _interval(low: str, high: str) -> str:
    return f"{low}\u00a0to\u00a0{high}"


def _marked(example: Example) -> str:
    parts = []
    for piece in example.pieces:
        classes = [name for name, on in (("gold", piece.gold), ("found", piece.found)) if on]
        inside = text(piece.text)
        parts.append(f'<mark class="{" ".join(classes)}">{inside}</mark>' if classes else inside)
    return "".join(parts).strip()
