"""`/api/relik`: the path of upstream's server (ReLiK 1.0.7)."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from relik.errors import RelikError, TextTooLongError
from relik.types import Annotation, Document
from relik_serve.api.requests import (
    check_size,
    read_body,
    ready_model,
    settings_of,
    too_long,
    unless_client_leaves,
)
from relik_serve.batching.batcher import Outcome
from relik_serve.batching.model import LoadedModel
from relik_serve.batching.pipeline_steps import Served, View
from relik_serve.dialects.relik_answer import Records, RelikAnswer, answer_of
from relik_serve.dialects.relik_request import (
    EXAMPLE,
    EXAMPLE_OPTIONS,
    EXAMPLE_WORDS,
    RelikRequest,
    parse_body,
    parse_query,
)
from relik_serve.dialects.relik_words import Words, join_words, split_words
from relik_serve.errors import InvalidRequestError
from relik_serve.problems import STATUSES, json_body, problem_responses
from relik_serve.settings import Settings

PATH = "/api/relik"
ABOUT = (
    "For clients of the server of ReLiK 1.0.7. If a text fails, the whole request fails with the "
    "problem of the first such text."
)

router = APIRouter(tags=["ReLiK 1.0.7"])


def _body_schema() -> dict[str, Any]:
    schema = RelikRequest.model_json_schema()
    text = schema["properties"]["text"]
    schema["properties"]["text"] = {
        "title": text.pop("title"),
        "description": text.pop("description"),
        "anyOf": [{"type": "string"}, text],
    }
    return schema


def _parameters() -> list[dict[str, Any]]:
    schema = RelikRequest.model_json_schema()
    parameters = []
    for name, values in schema["properties"].items():
        parameter: dict[str, Any] = {
            "name": name,
            "in": "query",
            "required": name in schema["required"],
            "description": values.pop("description"),
            "schema": values,
        }
        if name == "text":
            parameter["schema"] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
            parameter["examples"] = {
                "one": {"summary": "One text", "value": [EXAMPLE["text"]]},
                "several": {"summary": "Repeated", "value": EXAMPLE_OPTIONS["text"]},
            }
        parameters.append(parameter)
    return parameters


@router.get(
    PATH,
    summary="Annotate texts, as the server of ReLiK does",
    description=ABOUT,
    response_model=list[RelikAnswer],
    responses=problem_responses(*(each for each in STATUSES if each != 400)),
    openapi_extra={"parameters": _parameters()},
)
async def annotate_query(request: Request) -> Response:
    """Annotate the texts of a query."""
    model = ready_model(request)
    parsed = await asyncio.to_thread(parse_query, request.scope["query_string"])
    return await _answer(request, model, parsed)


@router.post(
    PATH,
    summary="Annotate texts, with the same fields in a JSON body",
    description=ABOUT,
    response_model=list[RelikAnswer],
    responses=problem_responses(*STATUSES),
    openapi_extra=json_body(
        _body_schema(),
        {
            "short": {"summary": "One text", "value": EXAMPLE},
            "options": {"summary": "With options", "value": EXAMPLE_OPTIONS},
            "words": {"summary": "A text as words", "value": EXAMPLE_WORDS},
        },
    ),
)
async def annotate_body(request: Request) -> Response:
    """Annotate the texts of a JSON body."""
    model = ready_model(request)
    body = await read_body(request, limit=settings_of(request).max_body_bytes)
    parsed = await asyncio.to_thread(parse_body, body)
    return await _answer(request, model, parsed)


async def _answer(request: Request, model: LoadedModel, parsed: RelikRequest) -> Response:
    texts = await asyncio.to_thread(_texts, parsed, settings_of(request))
    documents = [Document(doc_id=str(i), text=each.text) for i, each in enumerate(texts)]
    view = model.served.stages.view
    work = model.batcher.annotate(
        documents,
        options=parsed.options(),
        on_overflow="window" if parsed.window_size is None else "error",
        keep_candidates=True,
        view=view,
    )
    outcome = await unless_client_leaves(request, work)
    content = await asyncio.to_thread(_render, model.served, view, texts, outcome, parsed)
    return Response(content, media_type="application/json")


def _texts(parsed: RelikRequest, settings: Settings) -> list[Words]:
    """Check the limits, then split the texts into words."""
    split = parsed.is_split_into_words
    lists = parsed.word_lists() if split else []
    raw_texts = [" ".join(words) for words in lists] if split else parsed.plain_texts()
    check_size([len(text) for text in raw_texts], settings, field="text", noun="texts")
    for i, text in enumerate(raw_texts):
        error = too_long(len(text), settings, where=f"text.{i}: ")
        if error is not None:
            raise error
    return [*map(join_words, lists)] if split else [*map(split_words, raw_texts)]


def _annotation_of(i: int, result: Annotation | RelikError, parsed: RelikRequest) -> Annotation:
    if isinstance(result, Annotation):
        return result
    if isinstance(result, TextTooLongError) and parsed.window_size is not None:
        raise InvalidRequestError.of(
            "window_size",
            f'got text.{i} of several windows, expected one window with "none": leave '
            "window_size out, or send the text in parts",
        )
    raise result


def _render(
    served: Served, view: View, texts: Sequence[Words], outcome: Outcome, parsed: RelikRequest
) -> bytes:
    found = [_annotation_of(i, result, parsed) for i, result in enumerate(outcome.results)]
    records = Records(view)
    answers = []
    for i, (words, annotation) in enumerate(zip(texts, found, strict=True)):
        answer = answer_of(
            i,
            words,
            annotation,
            retrieved=outcome.retrieved[i],
            records=records,
            served=served,
            request=parsed,
        )
        # Candidates are much longer than the text: encoded per text, to save memory.
        answers.append(json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode())
    return b"[" + b",".join(answers) + b"]"
