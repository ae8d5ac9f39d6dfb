"""The paths of the server."""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

import relik
from relik.errors import RelikError, TextTooLongError
from relik.types import Document
from relik.wire import document_to_wire
from relik_serve.batcher import Outcome
from relik_serve.errors import (
    BodyTooLargeError,
    FieldError,
    InvalidRequestError,
    NotReadyError,
)
from relik_serve.model import LoadedModel, ModelSlot
from relik_serve.problems import MEDIA_TYPE, problem_of
from relik_serve.schemas import (
    EXAMPLE,
    EXAMPLE_OPTIONS,
    MAX_TOP_K,
    AnnotateRequest,
    AnnotateResponse,
    InfoResponse,
    LimitsOut,
    Problem,
    Status,
    parse_request,
)
from relik_serve.settings import Settings
from relik_serve.stages import Stages

T = TypeVar("T")

CLIENT_LEFT = 499  # nobody reads it; the access log does
PROBLEMS = (400, 413, 422, 429, 500, 503, 504)

router = APIRouter()


def _problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": "Problem details, RFC 9457", "content": content}
        for status in statuses
    }


@router.post(
    "/v1/annotate",
    summary="Link entities and extract triples",
    response_model=AnnotateResponse,
    responses=_problem_responses(*PROBLEMS),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/AnnotateRequest"},
                    "examples": {
                        "short": {"summary": "One document", "value": EXAMPLE},
                        "options": {"summary": "With options", "value": EXAMPLE_OPTIONS},
                    },
                }
            },
        }
    },
)
async def annotate(request: Request) -> Response:
    """Link the entities of texts to the knowledge base and extract the triples between them.

    A document that fails has an `error` in its place; the others are answered.
    """
    settings: Settings = request.app.state.settings
    model = _slot(request).ready()
    try:
        body = await _read_body(request, limit=settings.max_body_bytes)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)
    # Parsing and rendering of megabytes would hold up the event loop.
    asked = await asyncio.to_thread(parse_request, body)
    documents = asked.to_documents()
    _check_size(documents, settings)
    work = _annotate(model, asked, documents, settings=settings)
    outcome = await _unless_client_leaves(request, work)
    if outcome is None:
        return Response(status_code=CLIENT_LEFT)
    content = await asyncio.to_thread(
        _render, model.served.stages, documents, outcome, explain=asked.explain
    )
    return Response(content, media_type="application/json")


@router.get("/v1/info", summary="What this server runs", responses=_problem_responses(503))
async def info(request: Request) -> InfoResponse:
    """Name the model, the knowledge base and the limits."""
    settings: Settings = request.app.state.settings
    served = _slot(request).ready().served
    return InfoResponse(
        model=served.stages.model,
        kb_version=served.stages.kb_version,
        entities=served.n_entities,
        relations=served.n_relations,
        backend=settings.backend,
        version=relik.__version__,
        limits=LimitsOut(
            documents=settings.max_documents,
            document_characters=settings.max_document_characters,
            request_characters=settings.max_request_characters,
            body_bytes=settings.max_body_bytes,
            top_k=MAX_TOP_K,
            deadline_s=settings.deadline_s,
        ),
    )


@router.get("/livez", summary="Is the process up?")
async def livez() -> Status:
    """Answer as long as the process can."""
    return Status(status="alive")


@router.get("/readyz", summary="Is the model warm?", responses=_problem_responses(503))
async def readyz(request: Request) -> Status:
    """Answer 200 once the model is warm, while its threads live."""
    if not _slot(request).ready().batcher.is_alive():
        raise NotReadyError("the threads that run the model have ended: restart the server")
    return Status(status="ready")


@router.get("/", include_in_schema=False)
async def root() -> Mapping[str, str]:
    """Point to the documentation."""
    return {"name": "relik", "version": relik.__version__, "docs": "/docs", "info": "/v1/info"}


def _slot(request: Request) -> ModelSlot:
    slot: ModelSlot = request.app.state.slot
    return slot


async def _read_body(request: Request, *, limit: int) -> bytes:
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


def _check_size(documents: list[Document], settings: Settings) -> None:
    if len(documents) > settings.max_documents:
        message = (
            f"got {len(documents)} documents, expected at most {settings.max_documents}: "
            "send them in several requests"
        )
        raise InvalidRequestError([FieldError(path="documents", message=message)])
    characters = sum(len(document.text) for document in documents)
    if characters > settings.max_request_characters:
        raise TextTooLongError(
            f"got {characters} characters in all documents, expected at most "
            f"{settings.max_request_characters}: send them in several requests"
        )


async def _annotate(
    model: LoadedModel, asked: AnnotateRequest, documents: list[Document], *, settings: Settings
) -> Outcome:
    """Annotate what is short enough, and put an error in the place of the rest."""
    limit = settings.max_document_characters
    outcome = await model.batcher.annotate(
        [document for document in documents if len(document.text) <= limit],
        options=asked.options(),
        on_overflow=asked.on_overflow,
    )
    answered = iter(outcome.results)
    results = tuple(
        next(answered)
        if len(document.text) <= limit
        else TextTooLongError(
            f"got a text of {len(document.text)} characters, expected at most {limit}: "
            "send it in parts"
        )
        for document in documents
    )
    return Outcome(results=results, timing=outcome.timing)


async def _unless_client_leaves(request: Request, work: Awaitable[T]) -> T | None:
    """Await work, cancelling it when the client hangs up; None stands for that."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_client_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _client_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _render(stages: Stages, documents: list[Document], outcome: Outcome, *, explain: bool) -> bytes:
    rendered: list[dict[str, object]] = []
    for document, result in zip(documents, outcome.results, strict=True):
        if isinstance(result, RelikError):
            rendered.append({"id": document.doc_id, "error": problem_of(result)})
        else:
            rendered.append(
                document_to_wire(
                    result,
                    document.text,
                    entity=stages.entity,
                    relation=stages.relation,
                    explain=explain,
                )
            )
    answer = {
        "model": stages.model,
        "kb_version": stages.kb_version,
        "documents": rendered,
        "timing": outcome.timing,
    }
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


SCHEMAS = (AnnotateRequest, Problem)
