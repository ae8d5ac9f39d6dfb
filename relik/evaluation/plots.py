"""Plots as SVG elements, drawn by hand: they take their colours from the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from relik.evaluation.markup import Markup, text
from relik.evaluation.reliability import Bin

_BAR = 160
_LABELS = 150
_WIDTH = 640
_ROW = 28
_SIDE = 300
_MARGIN = 44
_STRIP = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with its interval.

    Args:
        name: What it is.
        value: The figure, 0..1.
        low: Lower end of its interval, 0..1.
        high: Upper end, 0..1.
    """

    name: str
    value: float
    low: float
    high: float


def bar(share: float) -> Markup:
    """Draw a share as a bar. It says nothing that the number beside it does not.

    Args:
        share: 0..1.

    Returns:
        An SVG element that screen readers pass over.
    """
    return Markup(
        f'<svg viewBox="0 0 {_BAR} 12" width="{_BAR}" height="12" aria-hidden="true">'
        f'<rect class="axis" x="0.5" y="0.5" width="{_BAR - 1}" height="11"/>'
        f'<rect class="fill" width="{share * _BAR:.1f}" height="12"/></svg>'
    )


def intervals(figures: Sequence[Interval]) -> Markup:
    """Draw figures as dots with their intervals on one scale from 0 to 1.

    Args:
        figures: The figures.

    Returns:
        An SVG element.
    """
    height = _ROW * len(figures) + 24
    scale = _WIDTH - _LABELS - 20
    parts = [_ticks(scale, height - 22)]
    for i, each in enumerate(figures):
        y = _ROW * i + 14
        low, at, high = (_LABELS + scale * value for value in (each.low, each.value, each.high))
        parts.append(
            f'<text x="{_LABELS - 10}" y="{y + 4}" text-anchor="end">{text(each.name)}</text>'
            f'<path class="whisker" d="M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 5}v10'
            f'M{high:.1f} {y - 5}v10"/><circle class="fill" cx="{at:.1f}" cy="{y}" r="5"/>'
        )
    told = "; ".join(f"{f.name} {f.value:.3f}, {f.low:.3f} to {f.high:.3f}" for f in figures)
    return _svg(_WIDTH, height, told, parts)


def reliability_diagram(bins: Sequence[Bin], *, threshold: float | None) -> Markup:
    """Draw the share that is right against the score, and below it how many have that score.

    Args:
        bins: Bins from low to high.
        threshold: Where scores are cut, 0..1, drawn as a line; None draws none.

    Returns:
        An SVG element.
    """
    most = max((each.count for each in bins), default=0) or 1
    parts = [
        f'<path class="axis" d="M{_MARGIN} 10v{_SIDE}h{_SIDE}"/>',
        f'<path class="dashed" d="M{_MARGIN} {10 + _SIDE}L{_MARGIN + _SIDE} 10"/>',
        *(_bin(each, most) for each in bins if each.count),
        *(_grade(i / 5) for i in range(6)),
    ]
    if threshold is not None:
        x = _MARGIN + threshold * _SIDE
        parts.append(
            f'<path class="limit" d="M{x:.1f} 10v{_SIDE}"/>'
            f'<text x="{x + 4:.1f}" y="22">threshold {threshold:.2f}</text>'
        )
    foot = 10 + _SIDE + _STRIP + 44
    middle = _MARGIN + _SIDE / 2
    parts.append(
        f'<text x="{middle}" y="{foot}" text-anchor="middle">score; number of predictions</text>'
        f'<text transform="rotate(-90)" x="{-10 - _SIDE / 2}" y="11" text-anchor="middle">'
        "share that is right</text>"
    )
    told = "Share that is right by score: " + "; ".join(
        f"{each.low:.1f} to {each.high:.1f}, {each.share_right:.2f} of {each.count}"
        for each in bins
        if each.count
    )
    return _svg(_MARGIN + _SIDE + 20, foot + 10, told, parts)


def _bin(shown: Bin, most: int) -> str:
    x, width = _MARGIN + shown.low * _SIDE, (shown.high - shown.low) * _SIDE
    height, many = shown.share_right * _SIDE, max(1.0, shown.count / most * _STRIP)
    top = 10 + _SIDE
    dot_x, dot_y = _MARGIN + shown.mean_score * _SIDE, top - height
    return (
        f'<rect class="fill" opacity="0.35" x="{x + 1:.1f}" y="{top - height:.1f}"'
        f' width="{width - 2:.1f}" height="{height:.1f}"/>'
        f'<circle class="fill" cx="{dot_x:.1f}" cy="{dot_y:.1f}" r="4"/>'
        f'<rect class="soft" x="{x + 1:.1f}" y="{top + 24:.1f}" width="{width - 2:.1f}"'
        f' height="{many:.1f}"/>'
    )


def _grade(value: float) -> str:
    return (
        f'<text x="{_MARGIN + value * _SIDE:.1f}" y="{_SIDE + 26}" text-anchor="middle">'
        f'{value:.1f}</text><text x="{_MARGIN - 6}" y="{14 + (1 - value) * _SIDE:.1f}"'
        f' text-anchor="end">{value:.1f}</text>'
    )


def _ticks(scale: float, height: float) -> str:
    return "".join(
        f'<path class="axis" d="M{_LABELS + scale * i / 5:.1f} 0v{height}"/>'
        f'<text x="{_LABELS + scale * i / 5:.1f}" y="{height + 16}" text-anchor="middle">'
        f"{i / 5:.1f}</text>"
        for i in range(6)
    )


def _svg(width: float, height: float, told: str, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-label="{text(told)}">{"".join(parts)}</svg>'
    )
