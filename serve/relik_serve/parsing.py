"""From what a client sent to values: JSON in a body, and errors that name the field."""

import json
from collections.abc import Iterable
from typing import Never

from pydantic_core import ErrorDetails

from relik_serve.errors import FieldError, MalformedBodyError

MAX_ERRORS = 20


def parse_json(body: bytes, *, example: str) -> object:
    """Read the JSON of a body.

    Args:
        body: JSON in UTF-8.
        example: An object that could be sent, for the message.

    Returns:
        What it says; NaN and infinities are not JSON.

    Raises:
        MalformedBodyError: It is not JSON.
    """
    try:
        # Not by pydantic: its parser refuses a lone surrogate without naming the field.
        value: object = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedBodyError(
            f"got a body of {len(body)} bytes that is not JSON in UTF-8 ({error}): "
            f"send an object such as {example}"
        ) from error
    return value


def field_error(error: ErrorDetails, *, path: str, fields: Iterable[str]) -> FieldError:
    """Say what pydantic found wrong with a field in the words of the other errors.

    Args:
        error: One of a `ValidationError`.
        path: Where the field is, such as `documents.0.text`.
        fields: Names that may stand there, for a field that is not known.

    Returns:
        The error.
    """
    if error["type"] == "extra_forbidden":
        message = f"got an unknown field, expected one of {', '.join(fields)}: leave it out"
    elif error["type"] == "model_type":
        message = "expected an object"
    else:
        message = error["msg"]
    return FieldError(path=printable(path), message=message)


def printable(text: str) -> str:
    """Keep what the client named a field from breaking the answer that cites it.

    Args:
        text: Any string, of any length.

    Returns:
        At most 200 code points that UTF-8 can carry.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:200]


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")
