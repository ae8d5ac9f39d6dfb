"""What every path does with a request: read its body, hold its limits, wait for its client."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from relik.errors import TextTooLongError
from relik_serve.batching.model import LoadedModel, ModelSlot
from relik_serve.errors import BodyTooLargeError, FieldError, InvalidRequestError
from relik_serve.settings import Settings

T = TypeVar("T")


def settings_of(request: Request) -> Settings:
    """Return the settings of the server.

    Args:
        request: Any request.

    Returns:
        The settings.
    """
    settings: Settings = request.app.state.settings
    return settings


def ready_model(request: Request) -> LoadedModel:
    """Return the model.

    Args:
        request: Any request.

    Returns:
        The warm model with its batcher.

    Raises:
        NotReadyError: It is not there yet, or not any more.
    """
    slot: ModelSlot = request.app.state.slot
    return slot.ready()


async def read_body(request: Request, *, limit: int) -> bytes:
    """Read a body, no further than it may be long.

    Args:
        request: The request.
        limit: Bytes.

    Returns:
        The body.

    Raises:
        BodyTooLargeError: It has, or announces, more bytes.
        ClientDisconnect: The client hung up.
    """
    error = BodyTooLargeError(
        f"got a body of more than {limit} bytes, which is the limit: send fewer documents at once"
    )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise error
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise error
    return bytes(body)


def check_size(lengths: Sequence[int], settings: Settings, *, field: str, noun: str) -> None:
    """Refuse more texts, or more text in all, than a request may have.

    Args:
        lengths: Code points of each text.
        settings: Have the limits.
        field: Where the texts are in the request.
        noun: What the path calls them, in the plural.

    Raises:
        InvalidRequestError: There are too many.
        TextTooLongError: They are too long together.
    """
    if len(lengths) > settings.max_documents:
        message = (
            f"got {len(lengths)} {noun}, expected at most {settings.max_documents}: "
            "send them in several requests"
        )
        raise InvalidRequestError([FieldError(path=field, message=message)])
    if sum(lengths) > settings.max_request_characters:
        raise TextTooLongError(
            f"got {sum(lengths)} characters in all {noun}, expected at most "
            f"{settings.max_request_characters}: send them in several requests"
        )


def too_long(length: int, settings: Settings, *, where: str = "") -> TextTooLongError | None:
    """Make the error of a text that is too long by itself.

    Args:
        length: Its code points.
        settings: Have the limit.
        where: What the message begins with.

    Returns:
        The error, or None where it is not too long.
    """
    limit = settings.max_document_characters
    if length <= limit:
        return None
    return TextTooLongError(
        f"{where}got a text of {length} characters, expected at most {limit}: send it in parts"
    )


async def unless_client_leaves(request: Request, work: Awaitable[T]) -> T:
    """Await work, cancelling it when the client hangs up.

    Args:
        request: The request, its body read.
        work: What makes the answer.

    Returns:
        The answer.

    Raises:
        ClientDisconnect: The client hung up before.
        Exception: What the work raised.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_client_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _client_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
