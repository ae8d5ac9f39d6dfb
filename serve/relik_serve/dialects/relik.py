"""`/api/relik`: the one path of upstream's server, answered by the pipeline of this one."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from relik.errors import RelikError, TextTooLongError
from relik.types import Annotation, Document
from relik_serve.dialects.relik_answer import RelikAnswer, Shape, answer_of
from relik_serve.dialects.relik_request import (
    EXAMPLE,
    EXAMPLE_OPTIONS,
    EXAMPLE_WORDS,
    RelikRequest,
    parse_body,
    parse_query,
)
from relik_serve.dialects.relik_words import Words, join_words, split_words
from relik_serve.errors import FieldError, InvalidRequestError
from relik_serve.model import LoadedModel
from relik_serve.routes import (
    CLIENT_LEFT,
    PROBLEMS,
    _problem_responses,
    _read_body,
    _slot,
    _unless_client_leaves,
)
from relik_serve.settings import Settings
from relik_serve.stages import Stages

PATH = "/api/relik"
ABOUT = (
    "For clients of the server of ReLiK 1.0.7. Texts are answered all together: where one fails, "
    "the answer is the problem of the first that does."
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
    summary="Annotate, as ReLiK's own server does",
    description=ABOUT,
    response_model=list[RelikAnswer],
    responses=_problem_responses(*(each for each in PROBLEMS if each != 400)),
    openapi_extra={"parameters": _parameters()},
)
async def annotate_query(request: Request) -> Response:
    """Annotate the texts of a query."""
    model = _slot(request).ready()
    asked = await asyncio.to_thread(parse_query, request.scope["query_string"])
    return await _answer(request, model, asked)


@router.post(
    PATH,
    summary="Annotate, with the same fields as JSON",
    description=ABOUT,
    response_model=list[RelikAnswer],
    responses=_problem_responses(*PROBLEMS),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _body_schema(),
                    "examples": {
                        "short": {"summary": "One text", "value": EXAMPLE},
                        "options": {"summary": "With options", "value": EXAMPLE_OPTIONS},
                        "words": {"summary": "A text as words", "value": EXAMPLE_WORDS},
                    },
                }
            },
        }
    },
)
async def annotate_body(request: Request) -> Response:
    """Annotate the texts of a JSON body."""
    settings: Settings = request.app.state.settings
    model = _slot(request).ready()
    try:
        body = await _read_body(request, limit=settings.max_body_bytes)
    except ClientDisconnect:
        return Response(status_code=CLIENT_LEFT)
    asked = await asyncio.to_thread(parse_body, body)
    return await _answer(request, model, asked)


async def _answer(request: Request, model: LoadedModel, asked: RelikRequest) -> Response:
    settings: Settings = request.app.state.settings
    texts = await asyncio.to_thread(_texts, asked, settings)
    documents = [Document(doc_id=str(i), text=each.text) for i, each in enumerate(texts)]
    work = model.batcher.annotate(
        documents,
        options=asked.options(),
        on_overflow="window" if asked.window_size is None else "error",
    )
    outcome = await _unless_client_leaves(request, work)
    if outcome is None:
        return Response(status_code=CLIENT_LEFT)
    found = [_found(i, result, asked) for i, result in enumerate(outcome.results)]
    content = await asyncio.to_thread(_render, model.served.stages, texts, found, asked)
    return Response(content, media_type="application/json")


def _texts(asked: RelikRequest, settings: Settings) -> list[Words]:
    """Cut the texts into words, once it is known that there are not too many."""
    given = (
        [" ".join(words) for words in asked.word_lists()]
        if asked.is_split_into_words
        else asked.plain_texts()
    )
    if len(given) > settings.max_documents:
        message = (
            f"got {len(given)} texts, expected at most {settings.max_documents}: "
            "send them in several requests"
        )
        raise InvalidRequestError([FieldError(path="text", message=message)])
    for i, text in enumerate(given):
        if len(text) > settings.max_document_characters:
            raise TextTooLongError(
                f"text.{i}: got {len(text)} characters, expected at most "
                f"{settings.max_document_characters}: send it in parts"
            )
    characters = sum(map(len, given))
    if characters > settings.max_request_characters:
        raise TextTooLongError(
            f"got {characters} characters in all texts, expected at most "
            f"{settings.max_request_characters}: send them in several requests"
        )
    if asked.is_split_into_words:
        return [join_words(words) for words in asked.word_lists()]
    return [split_words(text) for text in given]


def _found(i: int, result: Annotation | RelikError, asked: RelikRequest) -> Annotation:
    if isinstance(result, Annotation):
        return result
    if isinstance(result, TextTooLongError) and asked.window_size is not None:
        message = f'text.{i} does not fit one window, expected one that does with "none": leave '
        message += "window_size out, or send the text in parts"
        raise InvalidRequestError([FieldError(path="window_size", message=message)])
    raise result


def _render(
    stages: Stages, texts: Sequence[Words], found: Sequence[Annotation], asked: RelikRequest
) -> bytes:
    shape = Shape(
        count_words=asked.annotation_type == "word",
        nil=not asked.remove_nmes,
        windows=asked.return_windows,
    )
    answers = [
        answer_of(
            i,
            words,
            annotation,
            windows=stages.split(Document(doc_id=annotation.doc_id, text=words.text)),
            stages=stages,
            shape=shape,
        )
        for i, (words, annotation) in enumerate(zip(texts, found, strict=True))
    ]
    return json.dumps(answers, ensure_ascii=False, separators=(",", ":")).encode()
