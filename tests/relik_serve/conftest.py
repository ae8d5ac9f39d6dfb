import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import httpx
import pytest
from fastapi.testclient import TestClient

from relik.testing import FakePipeline, FakeView
from relik.types import (
    AnnotateOptions,
    Annotation,
    Document,
    EntitySpan,
    Span,
    Triple,
    Window,
    WindowAnnotation,
    WindowCandidates,
)
from relik_serve.app import create_app
from relik_serve.batching.pipeline_steps import Served, Stages
from relik_serve.settings import Settings

OpenClient = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


class FakeGiven:
    """The same with mentions from the caller: each means the entity it spells, if proposed."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Sequence[Span] | None],
        view: FakeView,
    ) -> list[WindowAnnotation]:
        read = self._stages.read(windows, candidates, options=options, view=view)
        return [
            one if own is None else self._linked(one, proposed, own)
            for one, proposed, own in zip(read, candidates, mentions, strict=True)
        ]

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Span],
        view: FakeView,
    ) -> Annotation:
        merged = self._stages.merge(document, window_annotations, options=options, view=view)
        assert {found.span for found in merged.spans} == set(mentions)
        return merged

    def _linked(
        self, read: WindowAnnotation, proposed: WindowCandidates, own: Sequence[Span]
    ) -> WindowAnnotation:
        known = {candidate.entity_id for candidate in proposed.entities}
        window = read.window
        spans = []
        for span in sorted(own):
            at = window.span.start
            entity_id = f"E:{window.text[span.start - at : span.end - at]}"
            found = entity_id if entity_id in known else None
            spans.append(EntitySpan(span=span, entity_id=found, score=0.5))
        triples = [
            Triple(subject=later.span, relation_id="R:follows", object=earlier.span, score=0.5)
            for earlier, later in pairwise(spans)
        ]
        return replace(read, spans=tuple(spans), triples=tuple(triples))


def served(stages: Stages) -> Served:
    given = FakeGiven(stages) if type(stages) is FakePipeline else None
    return Served(stages=stages, n_entities=3, n_relations=1, given=given)


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
