"""Errors that only the server raises.

RelikError
├── InputError
│   ├── InvalidRequestError   a field of the request is wrong            HTTP 422
│   ├── MalformedBodyError    the body is not JSON                       HTTP 400
│   └── BodyTooLargeError     the body exceeds the limit                 HTTP 413
├── OverloadedError           too many concurrent requests               HTTP 429
├── NotReadyError             the model is not warm, or the server stops HTTP 503
├── DeadlineError             the deadline of the request passed         HTTP 504
└── ListenError               the port cannot be bound                   the command ends
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relik.errors import InferenceError, InputError, RelikError

STOPPING = "the server is stopping: send the request again, to another replica if there is one"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """A wrong field of a request.

    Args:
        path: Path of the field, such as `documents.0.text`; empty for the whole body.
        message: Got, expected, and what to do.
    """

    path: str
    message: str


class InvalidRequestError(InputError):
    """Fields of the request are unknown, missing, or have wrong values.

    Args:
        errors: One per wrong field; at least one.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        super().__init__(f"{first.path or 'body'}: {first.message}{more}")

    @classmethod
    def of(cls, path: str, message: str) -> "InvalidRequestError":
        """Return the error of one field."""
        return cls([FieldError(path=path, message=message)])


class MalformedBodyError(InputError):
    """The body is not JSON in UTF-8."""


class BodyTooLargeError(InputError):
    """The body has more bytes than the limit."""


class OverloadedError(RelikError):
    """The maximum of concurrent requests is reached."""

    retry_after_s = 1
    """Seconds until the client should retry."""


class NotReadyError(RelikError):
    """The server does not accept requests: the model is not warm yet, or the server stops."""

    retry_after_s = 1


class DeadlineError(RelikError):
    """The deadline of the request passed before its answer was complete."""


class ListenError(RelikError):
    """The port is in use, or the address is not one of this machine."""


def as_relik_error(error: Exception, step: str) -> RelikError:
    """Wrap any other error of a step in an `InferenceError`; return a `RelikError` unchanged."""
    if isinstance(error, RelikError):
        return error
    failure = InferenceError(f"the {step} step failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
