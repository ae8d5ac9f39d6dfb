"""The HTML report of an evaluation: figures, errors, groups, calibration, examples, and plots."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from relik.errors import ConfigError
from relik.evaluation.answers import Answer
from relik.evaluation.compare import differences
from relik.evaluation.counts import found_triples, gold_triples
from relik.evaluation.examples import Example
from relik.evaluation.markup import Cell, Markup, figure, section, table, text
from relik.evaluation.taxonomy import NOT_JUDGED, RIGHT, JudgedDocument

Figures = Mapping[str, object]
Scored = tuple[float, bool]
"""Score of a prediction, and whether it is right."""

BINS = 10
READINGS = {
    "inkb": "without predictions on gold mentions of no known id",
    "with_nil": "with predictions on gold mentions of no known id",
    "marked": "without predictions where gold marks no mention of a known id",
    "triples": "triples",
}
"""Readings with precision, recall and F1, and which predictions each judges."""

_RATES = ("precision", "recall", "f1")
_HEADERS = ("Precision", "Recall", "F1")

# Sizes of the plots in pixels.
_BAR_WIDTH = 160
_PLOT_WIDTH = 640
_LABEL_WIDTH = 150
_ROW_HEIGHT = 28
_SQUARE = 300
_MARGIN = 44
_HISTOGRAM_HEIGHT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with the lower and upper end of its interval, all 0..1."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Predictions with scores in one tenth of the scale.

    Args:
        low: Least score, inclusive.
        high: Greatest score, exclusive except for 1.
        mean_score: 0..1; 0.0 in an empty bin.
        share_right: 0..1; 0.0 in an empty bin.
    """

    low: float
    high: float
    count: int
    mean_score: float
    share_right: float


def summary_section(systems: Mapping[str, Figures], comparison: Figures | None = None) -> str:
    """Show precision, recall and F1 of one or two systems, and their difference.

    Args:
        systems: Figures by name of the system; a single system has the name "".
        comparison: `resamples`, their number, and `difference`, what `compare` returns, by name
            of the reading where there are several; None for a single system.
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
        table("Micro-averaged over all documents", columns, rows),
        figure(intervals(drawn), "F1 with its 95 % bootstrap interval over documents"),
    ]
    if comparison is not None:
        parts.append(_difference_table(comparison))
    return section("Summary", *parts)


def errors_section(errors: Figures, meanings: Mapping[str, Mapping[str, str]]) -> str:
    """Show the number and share of each verdict."""
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
        parts.append(table(caption, columns, rows))
    return section("Errors", *parts)


def breakdown_section(groups: Mapping[str, Mapping[str, Figures]]) -> str:
    """Show figures by group.

    Args:
        groups: Figures of `breakdown.rate` by group by caption; `name`, if any, is shown too.
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
        parts.append(table(caption, columns, rows))
    return section("Groups", *parts)


def scores_section(scored: Sequence[Scored], *, threshold: float | None) -> str:
    """Show how well scores are calibrated.

    Args:
        threshold: Where scores were cut; None where `scored` lacks predictions below it.
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
        table("The same in numbers", columns, rows),
    )


def examples_section(examples: Sequence[Example]) -> str:
    """Show errors in their sentences."""
    rows: list[list[Cell]] = [
        [
            each.verdict.replace("_", " "),
            Markup(f'<div class="text">{_mark_pieces(each)}</div>'),
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
    return section("Examples", legend, table(caption, columns, rows))


def check_report_path(path: Path) -> None:
    """Refuse a path that cannot be written, before the evaluation starts.

    Raises:
        ConfigError: It is a folder, or in a folder that is not there.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(
            f"got {path} for the report, expected a file in a folder that exists: "
            "make the folder or choose another name"
        )


def write_report(path: Path, html: str) -> None:
    """Write a report under another name and rename it, so that no reader finds half a file.

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


def bar(share: float) -> Markup:
    """Draw a share, 0..1, as a bar that screen readers skip, since its number stands beside it."""
    return Markup(
        f'<svg viewBox="0 0 {_BAR_WIDTH} 12" width="{_BAR_WIDTH}" height="12" aria-hidden="true">'
        f'<rect class="axis" x="0.5" y="0.5" width="{_BAR_WIDTH - 1}" height="11"/>'
        f'<rect class="fill" width="{share * _BAR_WIDTH:.1f}" height="12"/></svg>'
    )


def intervals(figures: Sequence[Interval]) -> Markup:
    """Draw figures as dots with their intervals on one scale from 0 to 1."""
    height = _ROW_HEIGHT * len(figures) + 24
    scale = _PLOT_WIDTH - _LABEL_WIDTH - 20
    parts = [_ticks(scale, height - 22)]
    for i, each in enumerate(figures):
        y = _ROW_HEIGHT * i + 14
        low, at, high = (
            _LABEL_WIDTH + scale * value for value in (each.low, each.value, each.high)
        )
        parts.append(
            f'<text x="{_LABEL_WIDTH - 10}" y="{y + 4}" text-anchor="end">{text(each.name)}</text>'
            f'<path class="whisker" d="M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 5}v10'
            f'M{high:.1f} {y - 5}v10"/><circle class="fill" cx="{at:.1f}" cy="{y}" r="5"/>'
        )
    description = "; ".join(f"{f.name} {f.value:.3f}, {f.low:.3f} to {f.high:.3f}" for f in figures)
    return _svg(_PLOT_WIDTH, height, description, parts)


def reliability_diagram(bins: Sequence[Bin], *, threshold: float | None) -> Markup:
    """Draw the share that is right by score, above a histogram of scores.

    Args:
        threshold: Drawn as a line, 0..1; None draws none.
    """
    most = max((each.count for each in bins), default=0) or 1
    parts = [
        f'<path class="axis" d="M{_MARGIN} 10v{_SQUARE}h{_SQUARE}"/>',
        f'<path class="dashed" d="M{_MARGIN} {10 + _SQUARE}L{_MARGIN + _SQUARE} 10"/>',
        *(_draw_bin(each, most) for each in bins if each.count),
        *(_tick_labels(i / 5) for i in range(6)),
    ]
    if threshold is not None:
        x = _MARGIN + threshold * _SQUARE
        parts.append(
            f'<path class="limit" d="M{x:.1f} 10v{_SQUARE}"/>'
            f'<text x="{x + 4:.1f}" y="22">threshold {threshold:.2f}</text>'
        )
    foot = 10 + _SQUARE + _HISTOGRAM_HEIGHT + 44
    middle = _MARGIN + _SQUARE / 2
    parts.append(
        f'<text x="{middle}" y="{foot}" text-anchor="middle">score; number of predictions</text>'
        f'<text transform="rotate(-90)" x="{-10 - _SQUARE / 2}" y="11" text-anchor="middle">'
        "share that is right</text>"
    )
    description = "Share that is right by score: " + "; ".join(
        f"{each.low:.1f} to {each.high:.1f}, {each.share_right:.2f} of {each.count}"
        for each in bins
        if each.count
    )
    return _svg(_MARGIN + _SQUARE + 20, foot + 10, description, parts)


def _difference_table(comparison: Figures) -> str:
    resamples = cast(int, comparison["resamples"])
    rows: list[list[Cell]] = [
        [
            found.name,
            f"{found.delta:+.3f}",
            _interval(f"{found.low:+.3f}", f"{found.high:+.3f}"),
            found.p_text(resamples),
        ]
        for found in differences(cast(Figures, comparison["difference"]))
    ]
    caption = f"A minus B: paired bootstrap over documents, {resamples:,} resamples"
    columns = ("Figure", "Difference", "95 %", "p")
    return table(caption, columns, rows)


def _interval(low: str, high: str) -> str:
    return f"{low}\u00a0to\u00a0{high}"


def _mark_pieces(example: Example) -> str:
    parts = []
    for piece in example.pieces:
        classes = [name for name, on in (("gold", piece.gold), ("found", piece.found)) if on]
        inside = text(piece.text)
        parts.append(f'<mark class="{" ".join(classes)}">{inside}</mark>' if classes else inside)
    return "".join(parts).strip()


def _draw_bin(shown: Bin, most: int) -> str:
    x, width = _MARGIN + shown.low * _SQUARE, (shown.high - shown.low) * _SQUARE
    height, many = shown.share_right * _SQUARE, max(1.0, shown.count / most * _HISTOGRAM_HEIGHT)
    top = 10 + _SQUARE
    dot_x, dot_y = _MARGIN + shown.mean_score * _SQUARE, top - height
    return (
        f'<rect class="fill" opacity="0.35" x="{x + 1:.1f}" y="{top - height:.1f}"'
        f' width="{width - 2:.1f}" height="{height:.1f}"/>'
        f'<circle class="fill" cx="{dot_x:.1f}" cy="{dot_y:.1f}" r="4"/>'
        f'<rect class="soft" x="{x + 1:.1f}" y="{top + 24:.1f}" width="{width - 2:.1f}"'
        f' height="{many:.1f}"/>'
    )


def _tick_labels(value: float) -> str:
    return (
        f'<text x="{_MARGIN + value * _SQUARE:.1f}" y="{_SQUARE + 26}" text-anchor="middle">'
        f'{value:.1f}</text><text x="{_MARGIN - 6}" y="{14 + (1 - value) * _SQUARE:.1f}"'
        f' text-anchor="end">{value:.1f}</text>'
    )


def _ticks(scale: float, height: float) -> str:
    return "".join(
        f'<path class="axis" d="M{_LABEL_WIDTH + scale * i / 5:.1f} 0v{height}"/>'
        f'<text x="{_LABEL_WIDTH + scale * i / 5:.1f}" y="{height + 16}" text-anchor="middle">'
        f"{i / 5:.1f}</text>"
        for i in range(6)
    )


def _svg(width: float, height: float, description: str, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-label="{text(description)}">{"".join(parts)}</svg>'
    )


def scored_mentions(documents: Sequence[JudgedDocument]) -> list[Scored]:
    """Return score and correctness of every linked mention that can be judged."""
    return [
        (found.score, found.verdict == RIGHT)
        for each in documents
        for found in (*each.predictions, *each.rejected)
        if found.verdict != NOT_JUDGED
    ]


def scored_triples(answers: Sequence[Answer], *, entity_ids: bool) -> list[Scored]:
    """Return score and correctness of every triple."""
    scored: list[Scored] = []
    for answer in answers:
        wanted = gold_triples(answer.gold, entity_ids=entity_ids)
        found = found_triples(answer.annotation, entity_ids=entity_ids)
        scored += [(triple.score, key in wanted) for key, triple in found.items()]
    return scored


def reliability(scored: Sequence[Scored]) -> tuple[Bin, ...]:
    """Sort predictions into ten bins of equal width, lowest scores first."""
    members: list[list[Scored]] = [[] for _ in range(BINS)]
    for score, right in scored:
        members[min(int(score * BINS), BINS - 1)].append((score, right))
    return tuple(
        Bin(
            low=i / BINS,
            high=(i + 1) / BINS,
            count=len(inside),
            mean_score=sum(score for score, _ in inside) / len(inside) if inside else 0.0,
            share_right=sum(right for _, right in inside) / len(inside) if inside else 0.0,
        )
        for i, inside in enumerate(members)
    )


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean over predictions of |mean score - share right| of their bin, 0..1."""
    total = sum(each.count for each in bins)
    gaps = sum(each.count * abs(each.mean_score - each.share_right) for each in bins)
    return gaps / total if total else 0.0
