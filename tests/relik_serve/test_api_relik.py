"""Upstream's path: GET and POST /api/relik against the app with a fake pipeline."""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from relik.errors import InferenceError
from relik.testing import FakePipeline, FakeView
from relik.types import Candidate, Span, WindowCandidates
from relik_serve.app import create_app
from relik_serve.batching.model import WARM_UP
from relik_serve.batching.pipeline_steps import Served
from relik_serve.dialects.relik_answer import RelikAnswer
from relik_serve.dialects.relik_request import EXAMPLE, EXAMPLE_OPTIONS, EXAMPLE_WORDS
from relik_serve.dialects.relik_words import join_words, split_words
from relik_serve.settings import Settings

PATH = "/api/relik"
NINE_WORDS = "Ada met two three four five six seven Bob"


class WithoutTriples(FakePipeline):
    """Its mentions are not related, so that those of nothing known are the ends of nothing."""

    def read(self, windows, candidates, *, options, view=None):
        return super().read(
            windows, candidates, options=replace(options, relations=False), view=view
        )


class CountingView(FakeView):
    """Counts what is looked up."""

    def __init__(self):
        super().__init__()
        object.__setattr__(self, "looked_up", Counter())

    def entity(self, entity_id):
        self.looked_up[entity_id] += 1
        return super().entity(entity_id)

    def relation(self, relation_id):
        self.looked_up[relation_id] += 1
        return super().relation(relation_id)


class Proposing(FakePipeline):
    """Proposes more than mentions are linked to, relations too."""

    def __init__(self):
        super().__init__()
        self.view = CountingView()
        self.split_texts = []

    def split(self, document):
        self.split_texts.append(document.text)
        return super().split(document)

    def retrieve(self, windows, *, options, view=None):
        more = [
            Candidate(entity_id=name, score=0.5, rank=9, source="dense") for name in ("E:Eve", "Q0")
        ]
        related = [
            Candidate(entity_id=name, score=0.5, rank=rank, source="dense")
            for rank, name in enumerate(("R:follows", "P0"))
        ]
        return [
            WindowCandidates(entities=(*found.entities, *more), relations=tuple(related))
            for found in super().retrieve(windows, options=options, view=view)
        ]


class Failing(FakePipeline):
    """Reading fails on a window that says Bang."""

    def read(self, windows, candidates, *, options, view=None):
        if any("Bang" in window.text for window in windows):
            raise InferenceError("the secret of the failure")
        return super().read(windows, candidates, options=options, view=view)


def query(**fields: object) -> str:
    plain = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in fields.items()
    }
    return urlencode(plain, doseq=True)


def both(client: TestClient, **fields: object) -> list[dict]:
    """The answer to a GET, which is that to a POST."""
    got = client.get(f"{PATH}?{query(**fields)}")
    posted = client.post(PATH, json=fields)
    assert (got.status_code, posted.status_code) == (200, 200), (got.text, posted.text)
    assert got.json() == posted.json()
    return got.json()


def refused(client: TestClient, status: int = 422, **fields: object) -> dict:
    """The problem that a GET gets, which is that of a POST."""
    problems = [client.get(f"{PATH}?{query(**fields)}"), client.post(PATH, json=fields)]
    for response in problems:
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
    got, posted = (response.json() for response in problems)
    assert got == posted
    return got


def ask(open_client, pipeline, fields, settings=None):
    async def scenario():
        async with open_client(pipeline, settings) as opened:
            return await opened.post(PATH, json=fields)

    return asyncio.run(scenario())


def test_the_answer_has_exactly_upstreams_shape(client):
    ada = {"text": "Ada", "id": "E:Ada", "metadata": {"description": "the word Ada", "types": []}}
    bob = {"text": "Bob", "id": "E:Bob", "metadata": {"description": "the word Bob", "types": []}}
    assert both(client, text="Ada met Bob.") == [
        {
            "text": "Ada met Bob.",
            "tokens": ["Ada", "met", "Bob", "."],
            "spans": [[0, 3, "Ada", "Ada"], [8, 11, "Bob", "Bob"]],
            "triplets": [[[8, 11, "Bob", "Bob"], "follows", [0, 3, "Ada", "Ada"], 0.5]],
            "candidates": {"span": [[[ada, bob]]], "triplet": [[[]]]},
        }
    ]


def test_every_answer_fits_the_published_schema(client):
    answers = TypeAdapter(list[RelikAnswer])
    for body in (EXAMPLE, EXAMPLE_OPTIONS, EXAMPLE_WORDS):
        response = client.post(PATH, json=body)
        assert response.status_code == 200, response.text
        answers.validate_json(response.content, strict=True)


def test_repeated_texts_are_answered_in_order(client):
    answers = both(client, text=["Bob", "", "Ada", "Bob"])

    assert [answer["text"] for answer in answers] == ["Bob", "", "Ada", "Bob"]
    assert [len(answer["spans"]) for answer in answers] == [1, 0, 1, 1]
    assert answers[0] == answers[3]
    assert answers[1]["candidates"] == {"span": [[]], "triplet": [[]]}


def test_one_text_is_a_list_of_one_however_it_is_sent(client):
    assert client.post(PATH, json={"text": "Ada"}).json() == both(client, text=["Ada"])


@pytest.mark.parametrize(
    "text", ["😀 Zoë met 👩‍🚀 Ada\u0301\r\n", "\u05e2\u05d1\u05e8 [MASK] Bob + Ada&Eve"]
)
def test_offsets_count_code_points_of_the_text_as_sent(client, text):
    (answer,) = both(client, text=text)

    assert answer["text"] == text
    assert len(answer["spans"]) >= 2
    for start, end, _, mention in answer["spans"]:
        assert text[start:end] == mention


def test_offsets_count_words_where_asked(client):
    (answer,) = both(client, text="😀 Zoë, met (Ada).", annotation_type="word")

    assert answer["tokens"] == ["😀", "Zoë", ",", "met", "(", "Ada", ")", "."]
    assert answer["spans"] == [[1, 2, "Zoë", "Zoë"], [5, 6, "Ada", "Ada"]]
    assert answer["triplets"][0][0] == [5, 6, "Ada", "Ada"]


def test_words_are_joined_by_spaces_and_given_back(client):
    words = ["Ada", "Lovelace's", "friend", "(", "Bob"]
    (answer,) = both(client, text=words, is_split_into_words=True)
    (counted,) = both(client, text=words, is_split_into_words=True, annotation_type="word")

    assert answer["text"] == "Ada Lovelace's friend ( Bob"
    assert answer["tokens"] == counted["tokens"] == words
    assert answer["spans"][1] == [4, 12, "Lovelace", "Lovelace"]
    assert counted["spans"] == [
        [0, 1, "Ada", "Ada"],
        [1, 2, "Lovelace", "Lovelace"],
        [4, 5, "Bob", "Bob"],
    ]


def test_a_post_may_have_words_of_several_texts(client):
    body = {"text": [["Ada", "sat"], ["Bob"]], "is_split_into_words": True}
    answers = client.post(PATH, json=body).json()

    assert [answer["text"] for answer in answers] == ["Ada sat", "Bob"]


def test_windows_and_candidates_are_those_of_the_pipeline(client):
    (answer,) = both(client, text=NINE_WORDS, return_windows=True)

    first, second = answer["windows"]
    assert (first["window_id"], first["offset"]) == (0, 0)
    assert second == {
        "doc_id": 0,
        "window_id": 1,
        "text": "Bob",
        "offset": 38,
        "words": ["Bob"],
        "doc_topic": None,
        "token2char_start": {"0": 38},
        "token2char_end": {"0": 41},
        "char2token_start": {"38": 8},
        "char2token_end": {"41": 8},
    }
    (windows,) = answer["candidates"]["span"]
    assert [[each["id"] for each in window] for window in windows] == [["E:Ada"], ["E:Bob"]]


def test_all_that_was_retrieved_for_each_window_is_given_in_its_order(open_client):
    (answer,) = ask(open_client, Proposing(), {"text": NINE_WORDS}).json()

    eve = {"text": "Eve", "id": "E:Eve", "metadata": {"description": "the word Eve", "types": []}}
    unknown = {"text": "Q0", "id": "Q0", "metadata": {}}
    ((first, second),) = answer["candidates"]["span"]
    assert [each["id"] for each in first] == ["E:Ada", "E:Eve", "Q0"]
    assert second[1:] == [eve, unknown]
    follows = {"text": "follows", "id": "R:follows", "metadata": {"description": ""}}
    related = [follows, {"text": "P0", "id": "P0", "metadata": {}}]
    assert answer["candidates"]["triplet"] == [[related, related]]


def test_a_text_is_split_once_and_a_record_looked_up_once(open_client):
    pipeline = Proposing()
    texts = [NINE_WORDS, NINE_WORDS + " Carl", "Ada Bob"]
    fields = {"text": texts, "return_windows": True}
    answers = ask(open_client, pipeline, fields).json()

    assert [len(answer["windows"]) for answer in answers] == [2, 2, 1]
    assert [text for text in pipeline.split_texts if text != WARM_UP.text] == texts
    ids = {"E:Ada", "E:Bob", "E:Carl", "E:Eve", "Q0", "R:follows", "P0"}
    assert pipeline.view.looked_up == dict.fromkeys(ids, 1)


def test_there_are_no_candidates_of_what_the_server_does_not_have():
    warm = threading.Event()
    served = Served(stages=FakePipeline(), n_entities=2, n_relations=0)
    app = create_app(Settings(), lambda: served, on_ready=lambda _: warm.set())
    with TestClient(app) as opened:
        assert warm.wait(5)
        (answer,) = opened.post(PATH, json={"text": "Ada"}).json()

    assert len(answer["candidates"]["span"]) == 1
    assert answer["candidates"]["triplet"] == []


def test_mentions_of_nothing_are_left_out_unless_asked_for(open_client):
    fields = {"text": "Ada Bob", "top_k": 1}
    without, asked = (
        ask(open_client, WithoutTriples(), fields | more).json()[0]["spans"]
        for more in ({}, {"remove_nmes": False})
    )

    assert without == [[0, 3, "Ada", "Ada"]]
    assert asked == [[0, 3, "Ada", "Ada"], [4, 7, "--NME--", "Bob"]]


def test_an_end_of_a_triplet_is_among_the_spans_even_if_it_is_nothing_known(client):
    (answer,) = both(client, text="Ada Bob", top_k=1)

    nothing = [4, 7, "--NME--", "Bob"]
    assert answer["spans"][1] == nothing
    assert answer["triplets"] == [[nothing, "follows", [0, 3, "Ada", "Ada"], 0.5]]


def test_options_reach_the_pipeline(open_client):
    seen = []

    class Watching(FakePipeline):
        def read(self, windows, candidates, *, options, view=None):
            seen.append(options)
            return super().read(windows, candidates, options=options, view=view)

    fields = {"text": "Ada", "top_k": 3, "relation_threshold": 0.25, "remove_nmes": False}
    assert ask(open_client, Watching(), fields).status_code == 200
    assert (seen[-1].top_k, seen[-1].relation_threshold, seen[-1].nil) == (3, 0.25, True)
    assert seen[-1].entities
    assert seen[-1].relations


def test_options_of_speed_change_nothing_and_are_checked_all_the_same(client):
    sizes = {"retriever_batch_size": 8, "reader_batch_size": 64, "num_workers": 0}

    assert both(client, text="Ada met Bob", **sizes) == both(client, text="Ada met Bob")
    assert refused(client, text="Ada", reader_batch_size=0)["errors"][0]["path"] == (
        "reader_batch_size"
    )


def test_window_none_reads_a_text_in_one_window_or_refuses_it(client):
    assert both(client, text="Ada", window_size="none") == both(client, text="Ada")

    (error,) = refused(client, text=["Ada", NINE_WORDS], window_size="none")["errors"]
    assert error["path"] == "window_size"
    assert "text.1" in error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window_size", 32),
        ("window_size", "sentence"),
        ("window_stride", 16),
        ("use_doc_topic", True),
    ],
)
def test_what_the_pipeline_cannot_change_is_refused_with_what_to_do(client, field, value):
    for response in (
        client.get(f"{PATH}?{query(text='Ada', **{field: value})}"),
        client.post(PATH, json={"text": "Ada", field: value}),
    ):
        assert response.status_code == 422
        (error,) = response.json()["errors"]
        assert error["path"] == field
        assert str(value).lower() in error["message"]
        assert "leave it out" in error["message"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "text"),
        ({"text": []}, "text"),
        ({"text": "Ada", "topk": 1}, "topk"),
        ({"text": "Ada", "top_k": 0}, "top_k"),
        ({"text": "Ada", "top_k": 10**9}, "top_k"),
        ({"text": "Ada", "relation_threshold": 1.5}, "relation_threshold"),
        ({"text": "Ada", "annotation_type": "token"}, "annotation_type"),
        ({"text": ["Ada"] * 5}, "text"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(client, fields, path):
    for response in (client.get(f"{PATH}?{query(**fields)}"), client.post(PATH, json=fields)):
        assert response.status_code == 422, response.text
        assert [each["path"] for each in response.json()["errors"]] == [path]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], ""),
        ({"text": 1}, "text"),
        ({"text": None}, "text"),
        ({"text": ["Ada", 1]}, "text.1"),
        ({"text": [["Ada"]]}, "text.0"),
        ({"text": [["Ada", 2]], "is_split_into_words": True}, "text.0.1"),
        ({"text": ["Ada", ["Bob"]], "is_split_into_words": True}, "text"),
        ({"text": "Ada", "top_k": "3"}, "top_k"),
        ({"text": "Ada", "return_windows": 1}, "return_windows"),
    ],
)
def test_a_wrong_body_is_refused_by_its_path(client, body, path):
    response = client.post(PATH, json=body)

    assert response.status_code == 422
    paths = [each["path"] for each in response.json()["errors"]]
    assert path in paths
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("text=Ada&top_k=three", "top_k"),
        ("text=Ada&top_k=", "top_k"),
        ("text=Ada&relation_threshold=nan", "relation_threshold"),
        ("text=Ada&return_windows=perhaps", "return_windows"),
        ("text=Ada&top_k=1&top_k=2", "top_k"),
        ("text=%ff", ""),
    ],
)
def test_a_wrong_query_is_refused_by_its_path(client, sent, path):
    response = client.get(f"{PATH}?{sent}")

    assert response.status_code == 422
    assert [each["path"] for each in response.json()["errors"]] == [path]


def test_a_lone_surrogate_is_refused_and_a_plus_is_a_space(client):
    response = client.post(PATH, content=rb'{"text": ["a \ud800 b"]}')

    assert response.status_code == 422
    assert [each["path"] for each in response.json()["errors"]] == ["text.0"]
    assert client.get(f"{PATH}?text=Ada+met%2BBob").json()[0]["text"] == "Ada met+Bob"


@pytest.mark.parametrize("body", [b"", b"Ada", b'{"text": ', b'{"text": "\xff"}', b"[" * 1900])
def test_a_body_that_is_not_json_is_refused(client, body):
    response = client.post(PATH, content=body)

    assert response.status_code == 400
    assert response.json()["type"] == "urn:relik:problem:malformed-body"


def test_limits_are_those_of_the_server(client):
    assert "text.1" in refused(client, 413, text=["Ada", "x" * 101])["detail"]
    assert "270 characters" in refused(client, 413, text=["a" * 90] * 3)["detail"]
    words = {"text": ["a" * 60, "b" * 60], "is_split_into_words": True}
    assert "121 characters" in client.post(PATH, json=words).json()["detail"]
    assert client.post(PATH, json={"text": "a" * 2000}).status_code == 413


def test_one_failing_text_fails_the_request_and_keeps_its_reason_in_the_log(open_client, caplog):
    response = ask(open_client, Failing(), {"text": ["Ada", "Bang"]})

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert response.json()["error_id"] in caplog.text
    assert ask(open_client, Failing(), {"text": ["Ada"]}).status_code == 200


def test_before_the_model_is_warm_and_past_the_deadline_it_says_so(open_client):
    class Slow(FakePipeline):
        def read(self, windows, candidates, *, options, view=None):
            if any("Late" in window.text for window in windows):
                time.sleep(0.3)
            return super().read(windows, candidates, options=options, view=view)

    late = ask(open_client, Slow(), {"text": "Late"}, Settings(deadline_s=0.05))
    assert late.status_code == 504
    assert late.json()["type"] == "urn:relik:problem:deadline"

    may_open = threading.Event()

    def open_model():
        may_open.wait(10)
        return Served(stages=FakePipeline(), n_entities=0, n_relations=0)

    with TestClient(create_app(Settings(), open_model)) as cold:
        for response in (cold.get(f"{PATH}?text=Ada"), cold.post(PATH, json={"text": "Ada"})):
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
        may_open.set()


@pytest.mark.parametrize("spelled", ["true", "True", "1"])
def test_a_query_may_spell_true_as_its_client_does(client, spelled):
    answer = client.get(f"{PATH}?text=Ada&text=met&is_split_into_words={spelled}").json()

    assert [each["text"] for each in answer] == ["Ada met"]


def test_other_methods_are_problems(client):
    assert client.put(PATH).status_code == 405


@pytest.fixture(scope="module")
def operations():
    app = create_app(Settings(), lambda: Served(stages=FakePipeline(), n_entities=0, n_relations=0))
    return app.openapi()["paths"][PATH]


def test_the_description_has_upstreams_parameters_and_a_body_with_the_same_fields(operations):
    parameters = {each["name"]: each for each in operations["get"]["parameters"]}
    body = operations["post"]["requestBody"]["content"]["application/json"]

    assert set(parameters) >= {
        "text",
        "top_k",
        "window_size",
        "window_stride",
        "is_split_into_words",
        "retriever_batch_size",
        "reader_batch_size",
        "return_windows",
        "use_doc_topic",
        "annotation_type",
        "relation_threshold",
    }
    assert [name for name, each in parameters.items() if each["required"]] == ["text"]
    assert set(body["schema"]["properties"]) == set(parameters)
    assert all(each["description"] for each in parameters.values())
    assert [each["value"] for each in body["examples"].values()] == [
        EXAMPLE,
        EXAMPLE_OPTIONS,
        EXAMPLE_WORDS,
    ]


def test_the_description_names_every_status(operations):
    assert set(operations["post"]["responses"]) == {
        "200",
        "400",
        "413",
        "422",
        "429",
        "500",
        "503",
        "504",
    }
    assert set(operations["get"]["responses"]) == set(operations["post"]["responses"]) - {"400"}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("don't stop_me 3.5%", ["don", "'", "t", "stop_me", "3", ".", "5", "%"]),
        ("e\u0301te\u0301 नमस्ते", ["e\u0301te\u0301", "नमस्ते"]),
        ("👩‍🚀!", ["👩‍🚀", "!"]),
        (" \n", []),
    ],
)
def test_words_keep_their_marks(text, tokens):
    assert split_words(text).tokens() == tokens


@given(st.text())
def test_words_are_in_order_and_leave_out_nothing_but_white_space(text):
    words = split_words(text)
    places = list(zip(words.starts, words.ends, strict=True))

    assert all(start < end for start, end in places)
    assert sorted(places) == places
    assert "".join(words.tokens()) == "".join(text.split())


@given(st.lists(st.text(alphabet="ab😀", min_size=1), min_size=1), st.data())
def test_a_span_of_whole_words_is_found_again(given_words, data):
    words = join_words(given_words)
    first = data.draw(st.integers(0, len(given_words) - 1))
    last = data.draw(st.integers(first, len(given_words) - 1))

    assert words.tokens() == given_words
    assert words.range_of(Span(words.starts[first], words.ends[last])) == (first, last + 1)


def test_a_text_in_the_path_encoding_arrives_whole(client):
    text = "Ada & Bob = 100% 😀 #1?"

    assert client.get(f"{PATH}?text={quote(text, safe='')}").json()[0]["text"] == text
