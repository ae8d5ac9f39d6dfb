import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik_serve.api.parsing import parse_json, printable, shown
from relik_serve.api.schemas import parse_request
from relik_serve.errors import InvalidRequestError, MalformedBodyError

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


@pytest.mark.parametrize(
    ("request_", "path", "message"),
    [
        ({"documents": "x"}, "documents", 'got "x", expected a list: put it in brackets'),
        ({"documents": ["x"]}, "documents.0", 'got "x", expected an object: send one in braces'),
        ({"documents": [{"text": 5}]}, "documents.0.text", "got 5, expected a string: put it in"),
        ({}, "documents", "got nothing, expected this field: add it"),
        (
            {"documents": [], "top_k": 0},
            "top_k",
            "got 0, expected at least 1: send a larger number",
        ),
        ({"documents": [], "top_k": 1.5}, "top_k", "got 1.5, expected a whole number: send one"),
        (
            {"documents": [], "threshold": 2},
            "threshold",
            "got 2, expected at most 1.0: send a smaller",
        ),
        ({"documents": [], "threshold": 10**400}, "threshold", "got a number of many digits, ex"),
        ({"documents": [], "explain": None}, "explain", "got null, expected true or false: send"),
        ({"documents": [], "tasks": []}, "tasks", "got a list of 0, expected at least 1 of them"),
        ({"documents": [], "tasks": ["x"]}, "tasks.0", "got \"x\", expected 'entities' or"),
        ({"documents": [], "colour": 1}, "colour", "got an unknown field, expected one of docum"),
    ],
)
def test_a_wrong_field_is_told_with_what_came_what_was_expected_and_what_to_do(
    request_, path, message
):
    with pytest.raises(InvalidRequestError) as raised:
        parse_request(json.dumps(request_).encode())

    (error,) = raised.value.errors
    assert error.path == path
    assert error.message.startswith(message)
    assert ": " in error.message


@given(values | st.integers(min_value=10**5000) | st.text(alphabet=st.characters()))
def test_any_value_can_be_shown_in_a_short_message(value):
    message = shown(value)

    assert message.isascii()
    assert message.isprintable()
    assert 0 < len(message) < 600
