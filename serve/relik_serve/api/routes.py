"""The native API: `/v1/annotate`, `/v1/info`, health checks and the root."""

import asyncio
import json
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

import relik
from relik.errors import RelikError
from relik.types import Document
from relik.wire.document import document_to_wire
from relik_serve.api.requests import (
    check_size,
    read_body,
    ready_model,
    settings_of,
    too_long,
    unless_client_leaves,
)
from relik_serve.api.schemas import (
    EXAMPLE,
    EXAMPLE_MENTIONS,
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
from relik_serve.batching.batcher import Outcome
from relik_serve.batching.model import LoadedModel
from relik_serve.batching.pipeline_steps import View
from relik_serve.errors import NotReadyError
from relik_serve.problems import STATUSES, json_body, problem_of, problem_responses
from relik_serve.settings import Settings

router = APIRouter()


@router.post(
    "/v1/annotate",
    summary="Link entities and extract triples",
    response_model=AnnotateResponse,
    responses=problem_responses(*STATUSES),
    openapi_extra=json_body(
        {"$ref": "#/components/schemas/AnnotateRequest"},
        {
            "short": {"summary": "One document", "value": EXAMPLE},
            "options": {"summary": "With options", "value": EXAMPLE_OPTIONS},
            "mentions": {"summary": "With mentions", "value": EXAMPLE_MENTIONS},
        },
    ),
)
async def annotate(request: Request) -> Response:
    """Link the entities of texts to the knowledge base and extract the triples between them.

    A document that fails has an `error` in its place; the others have their annotations.
    """
    settings = settings_of(request)
    model = ready_model(request)
    body = await read_body(request, limit=settings.max_body_bytes)
    # Parsing and rendering megabytes would block the event loop.
    parsed = await asyncio.to_thread(parse_request, body)
    documents = parsed.to_documents()
    check_size(
        [len(each.text) for each in documents], settings, field="documents", noun="documents"
    )
    view = model.served.stages.view
    work = _annotate(model, parsed, documents, view=view, settings=settings)
    outcome = await unless_client_leaves(request, work)
    content = await asyncio.to_thread(
        _render, model.served.stages.model, view, documents, outcome, explain=parsed.explain
    )
    return Response(content, media_type="application/json")


@router.get("/v1/info", summary="Describe this server", responses=problem_responses(503))
async def info(request: Request) -> InfoResponse:
    """Return the model, the knowledge base and the limits."""
    settings = settings_of(request)
    served = ready_model(request).served
    return InfoResponse(
        model=served.stages.model,
        kb_version=served.stages.view.version,
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
    """Answer 200 as long as the process runs."""
    return Status(status="alive")


@router.get("/readyz", summary="Is the model warm?", responses=problem_responses(503))
async def readyz(request: Request) -> Status:
    """Answer 200 once the model is warm and as long as its threads run."""
    if not ready_model(request).batcher.is_alive():
        raise NotReadyError("the threads that run the model have ended: restart the server")
    return Status(status="ready")


@router.get("/", include_in_schema=False)
async def root() -> Mapping[str, str]:
    """Point to the documentation."""
    return {"name": "relik", "version": relik.__version__, "docs": "/docs", "info": "/v1/info"}


async def _annotate(
    model: LoadedModel,
    parsed: AnnotateRequest,
    documents: list[Document],
    *,
    view: View,
    settings: Settings,
) -> Outcome:
    """Annotate the documents within the limit of length; the others get an error."""
    errors = [too_long(len(document.text), settings) for document in documents]
    short = [i for i, error in enumerate(errors) if error is None]
    # In a thread: a request may have very many mentions.
    mentions = await asyncio.to_thread(parsed.mentions)
    outcome = await model.batcher.annotate(
        [documents[i] for i in short],
        options=parsed.options(),
        on_overflow=parsed.on_overflow,
        mentions=[mentions[i] for i in short],
        view=view,
    )
    annotated = iter(outcome.results)
    results = tuple(next(annotated) if error is None else error for error in errors)
    return Outcome(results=results, timing=outcome.timing)


def _render(
    model: str, view: View, documents: list[Document], outcome: Outcome, *, explain: bool
) -> bytes:
    rendered: list[dict[str, object]] = []
    for document, result in zip(documents, outcome.results, strict=True):
        if isinstance(result, RelikError):
            rendered.append({"id": document.doc_id, "error": problem_of(result)})
        else:
            rendered.append(
                document_to_wire(
                    result,
                    document.text,
                    entity=view.entity,
                    relation=view.relation,
                    explain=explain,
                )
            )
    answer = {
        "model": model,
        "kb_version": view.version,
        "documents": rendered,
        "timing": outcome.timing,
    }
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


SCHEMAS = (AnnotateRequest, Problem)
