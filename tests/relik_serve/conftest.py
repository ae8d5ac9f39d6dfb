import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from fastapi.testclient import TestClient

from relik.testing import FakePipeline
from relik_serve.app import create_app
from relik_serve.settings import Settings
from relik_serve.stages import Served, Stages

OpenClient = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def served(stages: Stages) -> Served:
    return Served(stages=stages, n_entities=3, n_relations=1)


@pytest.fixture
def open_client() -> OpenClient:
    """A client of an app in this event loop, once its model is warm."""

    @asynccontextmanager
    async def opened(
        stages: Stages | None = None, settings: Settings | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        chosen = FakePipeline() if stages is None else stages
        warm = threading.Event()
        app = create_app(
            settings or Settings(), lambda: served(chosen), on_ready=lambda _: warm.set()
        )
        async with app.router.lifespan_context(app):
            assert warm.wait(5)
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://relik") as client:
                yield client

    return opened


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of an app with the fake pipeline and small limits."""
    settings = Settings(
        max_documents=4,
        max_document_characters=100,
        max_request_characters=250,
        max_body_bytes=2000,
    )
    warm = threading.Event()
    app = create_app(settings, lambda: served(FakePipeline()), on_ready=lambda _: warm.set())
    with contextlib.closing(TestClient(app, raise_server_exceptions=False)) as opened, opened:
        assert warm.wait(5)
        yield opened
