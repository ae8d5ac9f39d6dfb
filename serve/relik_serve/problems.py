"""The table of errors and HTTP status codes, and RFC 9457 problem details."""

import logging
import re
import uuid
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from relik.errors import InputError, RelikError, TextTooLongError
from relik_serve.errors import (
    BodyTooLargeError,
    DeadlineError,
    InvalidRequestError,
    MalformedBodyError,
    NotReadyError,
    OverloadedError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
CLIENT_LEFT = 499  # appears in the access log only

# Looked up along the MRO: a subclass without an entry has that of its nearest base.
STATUS: dict[type[Exception], int] = {
    Exception: 500,
    RelikError: 500,
    InputError: 422,
    TextTooLongError: 413,
    MalformedBodyError: 400,
    BodyTooLargeError: 413,
    OverloadedError: 429,
    NotReadyError: 503,
    DeadlineError: 504,
}

# Error codes of the paths that annotate.
STATUSES = (400, 413, 422, 429, 500, 503, 504)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of a path that answers with these error codes."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": "Problem details, RFC 9457", "content": content}
        for status in statuses
    }


def json_body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI `requestBody` of a path that reads JSON."""
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error: that of its class, or of the nearest base."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem_of(error: Exception) -> dict[str, object]:
    """Describe an error as problem details.

    The reason of an internal error stays in the log, under an id that the client gets.

    Returns:
        `type`, `title`, `status` and `detail`; `errors` for wrong fields of the request,
        `error_id` for an internal error.
    """
    status = status_of(error)
    problem: dict[str, object] = {
        "type": f"urn:relik:problem:{_slug(error, status)}",
        "title": HTTPStatus(status).phrase,
        "status": status,
    }
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        error_id = uuid.uuid4().hex
        log.error("error %s: %s", error_id, error, exc_info=error)
        problem["detail"] = (
            "the server failed on a valid request: its log has the reason under this error_id"
        )
        problem["error_id"] = error_id
        return problem
    problem["detail"] = str(error)
    if isinstance(error, InvalidRequestError):
        problem["errors"] = [{"path": each.path, "message": each.message} for each in error.errors]
    return problem


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer with the problem details of an exception."""
    headers = {}
    if isinstance(error, OverloadedError | NotReadyError):
        headers["retry-after"] = str(error.retry_after_s)
    problem = problem_of(error)
    return JSONResponse(
        problem, status_code=status_of(error), headers=headers, media_type=MEDIA_TYPE
    )


async def answer_disconnect(request: Request, error: Exception) -> Response:
    """End a request whose client disconnected; the status appears in the access log only."""
    return Response(status_code=CLIENT_LEFT)


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a request with an unknown path or method.

    Args:
        error: A starlette `HTTPException`.

    Raises:
        TypeError: The exception is another one.
    """
    if not isinstance(error, HTTPException):
        raise TypeError(f"got {error!r}, expected an HTTPException")
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
        "detail": f"{request.method} {request.url.path}: {error.detail}; see /docs for the paths",
    }
    return JSONResponse(
        problem,
        status_code=error.status_code,
        headers=dict(error.headers or {}),
        media_type=MEDIA_TYPE,
    )


def _slug(error: Exception, status: int) -> str:
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return "inference"
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
