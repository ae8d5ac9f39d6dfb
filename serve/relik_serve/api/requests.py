"""Steps that all paths share: read the body, check the limits, cancel when the client leaves."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from relik.errors import TextTooLongError
from relik_serve.batching.model import LoadedModel, ModelSlot
from relik_serve.errors import BodyTooLargeError, InvalidRequestError
from relik_serve.settings import Settings

T = TypeVar("T")


def settings_of(request: Request) -> Settings:
    """Return the settings of the server."""
    settings: Settings = request.app.state.settings
    return settings


def ready_model(request: Request) -> LoadedModel:
    """Return the model.

    Raises:
        NotReadyError: It is not warm yet, or the server stops.
    """
    slot: ModelSlot = request.app.state.slot
    return slot.ready()


async def read_body(request: Request, *, limit: int) -> bytes:
    """Read a body of at most `limit` bytes.

    Raises:
        BodyTooLargeError: It has, or announces, more bytes.
        ClientDisconnect: The client disconnected.
    """
    error = BodyTooLargeError(
        f"got a body of more than {limit} bytes, expected at most {limit}: send fewer documents "
        "at once"
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
    """Check the number and the total length of the texts of a request.

    Args:
        lengths: Code points of each text.
        field: Path of the texts in the request.
        noun: What the path calls the texts, in the plural.

    Raises:
        InvalidRequestError: There are too many texts.
        TextTooLongError: Their total length exceeds the limit.
    """
    if len(lengths) > settings.max_documents:
        raise InvalidRequestError.of(
            field,
            f"got {len(lengths)} {noun}, expected at most {settings.max_documents}: "
            "send them in several requests",
        )
    if sum(lengths) > settings.max_request_characters:
        raise TextTooLongError(
            f"got {sum(lengths)} characters in all {noun}, expected at most "
            f"{settings.max_request_characters}: send them in several requests"
        )


def too_long(length: int, settings: Settings, *, where: str = "") -> TextTooLongError | None:
    """Return the error for a text whose own length exceeds the limit, else None.

    Args:
        length: Code points of the text.
        where: Beginning of the message.
    """
    limit = settings.max_document_characters
    if length <= limit:
        return None
    return TextTooLongError(
        f"{where}got a text of {length} characters, expected at most {limit}: send it in parts"
    )


async def unless_client_leaves(request: Request, work: Awaitable[T]) -> T:
    """Await work, and cancel it if the client disconnects.

    Raises:
        ClientDisconnect: The client disconnected before the work was done.
        Exception: The error of the work.
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
