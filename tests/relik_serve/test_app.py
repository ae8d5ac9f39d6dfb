import asyncio
import json
import threading

import httpx
import pytest

from relik.errors import BundleCorruptError, InferenceError, InputError
from relik.testing import FakePipeline, FakeView
from relik_serve.app import create_app
from relik_serve.batching.pipeline_steps import Served
from relik_serve.settings import Settings

DOCUMENTS = {"documents": [{"text": "Ada"}]}


class HeldPipeline(FakePipeline):
    """Reading waits until it is let go, once it has been warmed."""

    def __init__(self):
        super().__init__()
        self.holds = False
        self.entered = threading.Event()
        self.let_go = threading.Event()

    def read(self, windows, candidates, *, options, view=None):
        if self.holds:
            self.entered.set()
            assert self.let_go.wait(10)
        return super().read(windows, candidates, options=options, view=view)


class FailingPipeline(FakePipeline):
    """Reading fails on a window that says Bang or Wrong."""

    def read(self, windows, candidates, *, options, view=None):
        text = " ".join(window.text for window in windows)
        if "Bang" in text:
            raise InferenceError("the secret of the failure")
        if "Wrong" in text:
            raise InputError("got Wrong, expected anything else")
        return super().read(windows, candidates, options=options, view=view)


def client_of(app):
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://relik")


async def entered(pipeline):
    assert await asyncio.to_thread(pipeline.entered.wait, 5)


def test_the_process_answers_while_the_model_works(open_client):
    async def scenario():
        pipeline = HeldPipeline()
        async with open_client(pipeline) as client:
            pipeline.holds = True
            answer = asyncio.create_task(client.post("/v1/annotate", json=DOCUMENTS))
            await entered(pipeline)
            assert (await client.get("/livez")).json() == {"status": "alive"}
            assert (await client.get("/readyz")).status_code == 200
            assert not answer.done()
            pipeline.let_go.set()
            assert (await answer).status_code == 200

    asyncio.run(scenario())


def test_the_server_is_live_before_it_is_ready():
    async def scenario():
        may_open, warm = threading.Event(), threading.Event()

        def open_model():
            assert may_open.wait(10)
            return Served(stages=FakePipeline(), n_entities=0, n_relations=0)

        app = create_app(Settings(), open_model, on_ready=lambda _: warm.set())
        async with app.router.lifespan_context(app), client_of(app) as client:
            assert (await client.get("/livez")).status_code == 200
            for refused in (
                await client.get("/readyz"),
                await client.get("/v1/info"),
                await client.post("/v1/annotate", json=DOCUMENTS),
            ):
                assert refused.status_code == 503
                assert refused.headers["retry-after"] == "1"
            may_open.set()
            assert await asyncio.to_thread(warm.wait, 5)
            assert (await client.get("/readyz")).json() == {"status": "ready"}

    asyncio.run(scenario())


def test_a_model_that_cannot_be_opened_is_reported_and_never_ready():
    async def scenario():
        failures, failed = [], threading.Event()

        def open_model():
            raise BundleCorruptError("reader.onnx: truncated")

        def on_failure(error):
            failures.append(error)
            failed.set()

        app = create_app(Settings(), open_model, on_failure=on_failure)
        async with app.router.lifespan_context(app), client_of(app) as client:
            assert await asyncio.to_thread(failed.wait, 5)
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/livez")).status_code == 200
        assert [str(error) for error in failures] == ["reader.onnx: truncated"]

    asyncio.run(scenario())


def test_too_many_requests_are_refused_at_once_and_told_when_to_return(open_client):
    async def scenario():
        pipeline = HeldPipeline()
        async with open_client(pipeline, Settings(max_concurrent_requests=1)) as client:
            pipeline.holds = True
            first = asyncio.create_task(client.post("/v1/annotate", json=DOCUMENTS))
            await entered(pipeline)
            refused = await client.post("/v1/annotate", json=DOCUMENTS)
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "1"
            assert refused.headers["content-type"] == "application/problem+json"
            pipeline.let_go.set()
            assert (await first).status_code == 200
            assert (await client.post("/v1/annotate", json=DOCUMENTS)).status_code == 200

    asyncio.run(scenario())


def test_a_request_past_its_deadline_gets_504(open_client):
    async def scenario():
        pipeline = HeldPipeline()
        async with open_client(pipeline, Settings(deadline_s=0.05)) as client:
            pipeline.holds = True
            late = await client.post("/v1/annotate", json=DOCUMENTS)
            pipeline.let_go.set()
            assert late.status_code == 504
            assert late.json()["type"] == "urn:relik:problem:deadline"

    asyncio.run(scenario())


def test_a_failing_document_takes_no_other_with_it_and_keeps_its_reason_in_the_log(
    open_client, caplog
):
    async def scenario():
        async with open_client(FailingPipeline()) as client:
            texts = ["Ada", "Bang", "Bob", "Wrong"]
            body = {"documents": [{"text": text} for text in texts]}
            response = await client.post("/v1/annotate", json=body)
            assert response.status_code == 200
            return response

    response = asyncio.run(scenario())
    documents = response.json()["documents"]
    assert [each.get("error", {}).get("status") for each in documents] == [None, 500, None, 422]
    assert "secret" not in response.text
    error_id = documents[1]["error"]["error_id"]
    assert any(
        error_id in record.getMessage() and "secret" in record.getMessage()
        for record in caplog.records
    )


def test_a_failure_outside_of_the_model_is_a_problem_without_its_message(open_client, caplog):
    class Forgetful(FakeView):
        def entity(self, entity_id):
            raise RuntimeError("a secret path")

    pipeline = FakePipeline()
    pipeline.view = Forgetful()

    async def scenario():
        async with open_client(pipeline) as client:
            return await client.post("/v1/annotate", json=DOCUMENTS)

    response = asyncio.run(scenario())
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert response.json()["error_id"] in caplog.text


def test_a_client_that_hangs_up_gives_its_place_back():
    async def scenario():
        pipeline, warm = HeldPipeline(), threading.Event()
        app = create_app(
            Settings(max_concurrent_requests=1),
            lambda: Served(stages=pipeline, n_entities=0, n_relations=0),
            on_ready=lambda _: warm.set(),
        )
        async with app.router.lifespan_context(app):
            assert await asyncio.to_thread(warm.wait, 5)
            pipeline.holds = True
            hung_up = asyncio.Event()
            body = [{"type": "http.request", "body": json.dumps(DOCUMENTS).encode()}]

            async def receive():
                if body:
                    return body.pop()
                await hung_up.wait()
                return {"type": "http.disconnect"}

            sent = []

            async def send(message):
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/annotate",
                "raw_path": b"/v1/annotate",
                "query_string": b"",
                "headers": [],
                "server": ("relik", 80),
                "client": ("relik", 1),
                "scheme": "http",
                "http_version": "1.1",
                "root_path": "",
            }
            request = asyncio.create_task(app(scope, receive, send))
            await entered(pipeline)
            hung_up.set()
            await asyncio.wait_for(request, 5)
            pipeline.let_go.set()
            assert sent[0]["status"] == 499
            async with client_of(app) as client:
                answer = await client.post("/v1/annotate", json=DOCUMENTS)
            assert answer.status_code == 200, "the permit was not given back"

    asyncio.run(scenario())


def test_stopping_lets_running_requests_finish_and_refuses_new_ones():
    async def scenario():
        pipeline, warm = HeldPipeline(), threading.Event()
        app = create_app(
            Settings(),
            lambda: Served(stages=pipeline, n_entities=0, n_relations=0),
            on_ready=lambda _: warm.set(),
        )
        client = client_of(app)
        async with client:
            lifespan = app.router.lifespan_context(app)
            await lifespan.__aenter__()
            assert await asyncio.to_thread(warm.wait, 5)
            pipeline.holds = True
            running = asyncio.create_task(client.post("/v1/annotate", json=DOCUMENTS))
            await entered(pipeline)
            stopping = asyncio.create_task(lifespan.__aexit__(None, None, None))
            while (await client.get("/readyz")).status_code == 200:
                await asyncio.sleep(0)
            assert (await client.post("/v1/annotate", json=DOCUMENTS)).status_code == 503
            pipeline.let_go.set()
            assert (await running).status_code == 200
            await stopping

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def openapi():
    app = create_app(Settings(), lambda: Served(stages=FakePipeline(), n_entities=0, n_relations=0))
    return app.openapi()


def test_the_paths_are_the_documented_ones(openapi):
    assert {(path, method) for path, item in openapi["paths"].items() for method in item} == {
        ("/v1/annotate", "post"),
        ("/v1/info", "get"),
        ("/api/relik", "get"),
        ("/api/relik", "post"),
        ("/livez", "get"),
        ("/readyz", "get"),
    }


def test_every_reference_of_the_description_resolves(openapi):
    def references(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(node, list):
            for each in node:
                yield from references(each)

    found = set(references(openapi))
    assert "#/components/schemas/AnnotateRequest" in found
    for reference in found:
        node = openapi
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_the_description_names_every_status_that_annotate_answers(openapi):
    responses = openapi["paths"]["/v1/annotate"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "422", "429", "500", "503", "504"}
