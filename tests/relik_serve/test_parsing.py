import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik_serve.errors import MalformedBodyError
from relik_serve.parsing import parse_json, printable

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values, st.booleans())
def test_what_json_can_say_is_read_with_and_without_a_mark_of_order(value, marked):
    # Escapes, as half of a surrogate pair can be sent no other way.
    body = json.dumps(value).encode("utf-8-sig" if marked else "utf-8")

    assert parse_json(body, example="{}") == value


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b'{"a": -Infinity}', b'"\xff"', b"[" * 100_000, "{}".encode("utf-16")],
)
def test_anything_else_is_refused_with_an_example(body):
    with pytest.raises(MalformedBodyError, match=rf"got a body of {len(body)} bytes.*\['words'\]"):
        parse_json(body, example="['words']")


@given(st.text(alphabet=st.characters(), max_size=300))
def test_a_name_of_a_field_can_always_be_cited(name):
    cited = printable(name)

    assert len(cited) <= 200
    assert cited.encode().decode() == cited
    assert cited == name[:200] or any("\ud800" <= each <= "\udfff" for each in name)
