"""Errors that only a server has.

RelikError
├── InputError
│   ├── InvalidRequestError   fields of the request are wrong      HTTP 422
│   ├── MalformedBodyError    the body is not JSON                 HTTP 400
│   └── BodyTooLargeError     the body has more bytes than allowed HTTP 413
├── OverloadedError           as many requests as may wait do      HTTP 429
├── NotReadyError             the model is not warm, or we stop    HTTP 503
└── DeadlineError             the answer took too long             HTTP 504
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relik.errors import InferenceError, InputError, RelikError

STOPPING = "the server is stopping: send the request again, to another one if there is one"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one field of a request.

    Args:
        path: Where it is, such as `documents.0.text`; empty for the body as a whole.
        message: What was received, what was expected.
    """

    path: str
    message: str


class InvalidRequestError(InputError):
    """Fields of the request are unknown, missing, or have wrong values.

    Args:
        errors: One per wrong field, at least one.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        super().__init__(f"{first.path or 'body'}: {first.message}{more}")


class MalformedBodyError(InputError):
    """The body is not JSON in UTF-8."""


class BodyTooLargeError(InputError):
    """The body has more bytes than the limit."""


class OverloadedError(RelikError):
    """As many requests as may wait are waiting.

    Args:
        message: What was received, what was expected, what to do.
        retry_after_s: Seconds after which to try again.
    """

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReadyError(RelikError):
    """The server does not take requests: not yet, or not any more."""

    retry_after_s = 1


class DeadlineError(RelikError):
    """The answer was not ready in the time that a request may take."""


class ListenError(RelikError):
    """The port is taken, or the address is not of this machine."""


def as_relik_error(error: Exception, step: str) -> RelikError:
    """Return an error as one that the status table knows.

    Args:
        error: Anything that a step of the pipeline raised.
        step: The step, such as `retrieve`.

    Returns:
        The error itself where it is of the library, else an InferenceError caused by it.
    """
    if isinstance(error, RelikError):
        return error
    failure = InferenceError(f"the {step} step failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
