import re
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from relik.evaluation.report import Interval, bar, intervals, reliability, reliability_diagram


def widths(html: str) -> list[float]:
    return [float(found) for found in re.findall(r'class="fill" width="([\d.]+)"', html)]


def test_a_bar_is_as_long_as_its_share() -> None:
    assert [widths(bar(share).html)[0] for share in (0.0, 0.5, 1.0)] == [0.0, 80.0, 160.0]


def test_figures_are_told_and_drawn_from_left_to_right(
    read_page: Callable[[str], object],
) -> None:
    shown = [
        Interval(name="<A>", value=0.2, low=0.1, high=0.3),
        Interval(name="B", value=0.8, low=0.7, high=0.9),
    ]
    html = intervals(shown).html
    read_page(html)
    assert "&lt;A&gt; 0.200, 0.100 to 0.300; B 0.800, 0.700 to 0.900" in html
    first, second = (float(x) for x in re.findall(r'circle class="fill" cx="([\d.]+)"', html))
    low, high = (float(x) for x in re.findall(r'"whisker" d="M([\d.]+) \d+H([\d.]+)', html)[0])
    assert low < first < high < second


@given(
    scored=st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=20),
    threshold=st.none() | st.floats(0, 1),
)
def test_a_diagram_has_a_dot_for_each_bin_that_is_not_empty(
    scored: list[tuple[float, bool]], threshold: float | None
) -> None:
    bins = reliability(scored)
    html = reliability_diagram(bins, threshold=threshold).html
    assert html.count("<circle") == sum(each.count > 0 for each in bins)
    assert html.count('class="limit"') == (threshold is not None)
    assert "nan" not in html
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', html)[0])
    for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', html):
        assert float(x) <= width
        assert float(y) <= height
