"""Settings that are written as TOML are read back the same."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik_training.run.run_files import toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.one_of(
    TEXTS, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)
)
VALUES = st.recursive(
    st.one_of(PLAIN, st.lists(PLAIN, max_size=3)),
    lambda inner: st.one_of(
        st.dictionaries(TEXTS, inner, max_size=3),
        st.lists(st.dictionaries(TEXTS, inner, max_size=3), min_size=1, max_size=3),
    ),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_any_settings_read_back(settings: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(settings)) == settings


def test_a_table_follows_the_plain_values_of_the_one_it_is_in() -> None:
    text = toml_text({"a": {"x": 1}, "b": 2, "c": [{"n": {"k": "v"}, "m": ()}], "d": None})
    assert text == 'b = 2\n\n[a]\nx = 1\n\n[[c]]\nm = []\n\n[c.n]\nk = "v"\n'


def test_what_toml_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        toml_text({"a": object()})
