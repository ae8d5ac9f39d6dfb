"""Parsing of JSON bodies, and error messages that name the field."""

import json
from collections.abc import Iterable, Mapping
from typing import Never

from pydantic_core import ErrorDetails

from relik_serve.errors import FieldError, MalformedBodyError

MAX_ERRORS = 20
_MAX_SHOWN = 40
# Larger whole numbers are too long for a message.
_MAX_BITS = 64

# By pydantic's type of an error: what was expected, and what to do.
_NUMBER = ("a number", "send one such as 0.5")
_WHOLE_NUMBER = ("a whole number", "send one such as 10")
_TRUTH = ("true or false", "send one of them")
_EXPECTED: Mapping[str, tuple[str, str]] = {
    "list_type": ("a list", "put it in brackets, [...]"),
    "string_type": ("a string", 'put it in quotes, "..."'),
    "model_type": ("an object", "send one in braces, {...}"),
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": ("a finite number", "send one such as 0.5"),
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "greater_than_equal": ("at least {ge}", "send a larger number"),
    "less_than_equal": ("at most {le}", "send a smaller number"),
    "too_short": ("at least {min_length} of them", "add some, or leave the field out"),
    "literal_error": ("{expected}", "send one of them"),
}
_BOUNDS = ("greater_than_equal", "less_than_equal")


def parse_json(body: bytes, *, example: str) -> object:
    """Parse a body as strict JSON, without NaN and infinities.

    Args:
        body: JSON in UTF-8, with or without a byte order mark.
        example: A valid object, for the message.

    Raises:
        MalformedBodyError: It is not JSON.
    """
    try:
        # Not pydantic's parser: it refuses a lone surrogate without naming the field.
        value: object = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedBodyError(
            f"got a body of {len(body)} bytes that is not JSON in UTF-8 ({error}): "
            f"send an object such as {example}"
        ) from error
    return value


def field_error(error: ErrorDetails, *, path: str, fields: Iterable[str]) -> FieldError:
    """Convert an error of pydantic to a message of got, expected and what to do.

    Args:
        error: One of a `ValidationError`, with its input and context.
        path: Path of the field, such as `documents.0.text`.
        fields: Known fields of the object, for the message on an unknown one.
    """
    if error["type"] == "extra_forbidden":
        message = f"got an unknown field, expected one of {', '.join(fields)}: leave it out"
    elif error["type"] == "missing":
        message = "got nothing, expected this field: add it"
    elif error["type"] in _EXPECTED:
        expected, advice = _EXPECTED[error["type"]]
        expected = expected.format_map(error.get("ctx", {}))
        got = shown(error["input"])
        if error["type"] in _BOUNDS:  # numbers of a query string are strings
            got = got.strip('"')
        message = f"got {got}, expected {expected}: {advice}"
    else:
        message = error["msg"]
    return FieldError(path=printable(path), message=message)


def printable(text: str) -> str:
    """Escape lone surrogates, which UTF-8 cannot encode, and cut to 200 code points."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:200]


def shown(value: object) -> str:
    """Describe a value of any size for a message, in printable ASCII."""
    if isinstance(value, str):
        cut = value[:_MAX_SHOWN]
        return json.dumps(cut) if cut == value else f"{json.dumps(cut)} and more"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return "a number of many digits"
    return json.dumps(value) if value is None or isinstance(value, int | float) else "a value"


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")
