"""The ASGI application: routes, error handlers, and the lifespan that owns the model."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import relik
from relik_serve.api.routes import SCHEMAS, router
from relik_serve.batching.model import ModelSlot
from relik_serve.batching.pipeline_steps import Served
from relik_serve.dialects import relik as relik_dialect
from relik_serve.problems import answer_disconnect, answer_error, answer_http_error
from relik_serve.settings import Settings

TITLE = "relik"
ABOUT = "Entity linking to a knowledge base, and relation extraction between the entities."


def create_app(
    settings: Settings,
    open_model: Callable[[], Served],
    *,
    on_ready: Callable[[Served], None] = lambda served: None,
    on_failure: Callable[[Exception], None] = lambda error: None,
) -> FastAPI:
    """Build the application, which opens the model when its lifespan starts.

    Args:
        open_model: Opens the pipeline; called once, in a thread.
        on_ready: Called from that thread once the model is warm.
        on_failure: Called from that thread if the model cannot be opened or warmed up.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        slot = ModelSlot(open_model, settings, on_ready=on_ready, on_failure=on_failure)
        app.state.slot = slot
        slot.start()
        try:
            yield
        finally:
            await asyncio.to_thread(slot.close)

    app = FastAPI(title=TITLE, description=ABOUT, version=relik.__version__, lifespan=lifespan)
    app.state.settings = settings
    app.include_router(router)
    app.include_router(relik_dialect.router)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(ClientDisconnect, answer_disconnect)
    app.add_exception_handler(relik.RelikError, answer_error)
    app.add_exception_handler(Exception, answer_error)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own way
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI schema with the models that FastAPI does not see in signatures."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _, definitions = models_json_schema(
            [(model, "validation") for model in SCHEMAS],
            ref_template="#/components/schemas/{model}",
        )
        schema["components"]["schemas"].update(definitions["$defs"])
        app.openapi_schema = schema
    return app.openapi_schema
