"""Offsets that count something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik_training.formats.offsets import CODE_POINTS, UTF_8, UTF_16, in_code_points

ENCODINGS = {UTF_16: ("utf-16-le", 2), UTF_8: ("utf-8", 1)}


def counted(text: str, unit: str) -> int:
    encoding, width = ENCODINGS[unit]
    return len(text.encode(encoding)) // width


@given(st.text(), st.text(min_size=1), st.sampled_from(sorted(ENCODINGS)))
def test_a_text_is_found_whatever_its_offsets_count(before: str, surface: str, unit: str) -> None:
    text = f"{before}{surface}\U0001f600"
    start = counted(before, unit)
    claim = (start, start + counted(surface, unit), surface)
    found, spans = in_code_points(text, [claim])
    assert text[spans[0][0] : spans[0][1]] == surface
    if found == unit:
        assert spans == [(len(before), len(before) + len(surface))]


def test_what_most_texts_agree_on_is_taken() -> None:
    text = "\U0001f600 Ann Ann"
    claims = [(3, 6, "Ann"), (7, 10, "Ann"), (2, 5, "Ann")]
    assert in_code_points(text, claims)[0] == UTF_16


@pytest.mark.parametrize("claims", [[], [(2, 5, None)], [(3, 6, "Bob")]])
def test_without_a_text_that_fits_offsets_count_code_points(
    claims: list[tuple[int, int, str | None]],
) -> None:
    unit, spans = in_code_points("\U0001f600 Ann", claims)
    assert unit == CODE_POINTS
    assert spans == [claim[:2] for claim in claims]


def test_an_offset_inside_a_character_is_no_offset() -> None:
    unit, spans = in_code_points("\U0001f600 Ann", [(3, 6, "Ann"), (1, 6, "Ann"), (3, 99, "Ann")])
    assert (unit, spans) == (UTF_16, [(2, 5), (-1, 5), (2, -1)])
