"""Names in texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik_training.formats.name_alignment import align


@pytest.mark.parametrize(
    ("text", "name", "surface"),
    [
        ("at Aarhus-Airport.", "Aarhus_Airport", "Aarhus-Airport"),
        ("by Cafe\u0301 Rene\u0301 now", "Caf\u00e9_Ren\u00e9", "Cafe\u0301 Rene\u0301"),
        ("his AFC in Austin", "Austin,_Texas", "Austin"),
        ("Hook 'em, or so", "Hook_'em_(mascot)", "Hook 'em"),
        ("it is 2,776 m", '"2,776"', "2,776"),
        ("it is 25 m", "25.0", "25"),
        ("in \u0420\u0438\u043c\u0435", "\u0440\u0438\u043c\u0435", "\u0420\u0438\u043c\u0435"),
        ("of STRASSE", "Stra\u00dfe", "STRASSE"),
    ],
)
def test_names_are_found_as_texts_write_them(text: str, name: str, surface: str) -> None:
    found = align(text, [name])[name]
    assert found is not None
    assert text[found[0] : found[1]] == surface


def test_a_name_inside_a_longer_one_is_looked_for_elsewhere() -> None:
    found = align("Aarhus Airport is in Aarhus", ["Aarhus", "Aarhus_Airport"])
    assert found == {"Aarhus": (21, 27), "Aarhus_Airport": (0, 14)}
    assert align("Aarhus Airport", ["Aarhus", "Aarhus_Airport"])["Aarhus"] == (0, 6)


@pytest.mark.parametrize("name", ["", "()", "Aar", "Oslo", '""'])
def test_what_is_not_there_is_not_found(name: str) -> None:
    assert align("Aarhus Airport", [name]) == {name: None}


@given(st.text(), st.text())
def test_offsets_lie_in_the_text(text: str, name: str) -> None:
    found = align(text, [name])[name]
    assert found is None or 0 <= found[0] < found[1] <= len(text)
