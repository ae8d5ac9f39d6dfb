import asyncio
import json

import pytest
from fastapi.testclient import TestClient

from relik.testing import FakePipeline
from relik_serve.api.schemas import EXAMPLE, EXAMPLE_MENTIONS, EXAMPLE_OPTIONS, AnnotateResponse


def annotate(client: TestClient, *texts: str, **options: object) -> dict:
    body = {"documents": [{"text": text} for text in texts], **options}
    response = client.post("/v1/annotate", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_answer_has_exactly_the_documented_shape(client):
    answer = annotate(client, "ada met Bob and Carl")

    assert list(answer) == ["model", "kb_version", "documents", "timing"]
    assert (answer["model"], answer["kb_version"]) == ("fake", "fake-1")
    assert list(answer["timing"]) == ["queue_ms", "retrieve_ms", "read_ms"]
    assert answer["documents"] == [
        {
            "id": "0",
            "spans": [
                {
                    "start": 8,
                    "end": 11,
                    "text": "Bob",
                    "entity_id": "E:Bob",
                    "name": "Bob",
                    "score": 0.8765,
                },
                {
                    "start": 16,
                    "end": 20,
                    "text": "Carl",
                    "entity_id": "E:Carl",
                    "name": "Carl",
                    "score": 0.8765,
                },
            ],
            "triples": [
                {
                    "subject": 1,
                    "relation_id": "R:follows",
                    "relation": "follows",
                    "object": 0,
                    "score": 0.5,
                }
            ],
            "coverage": {"characters": 20, "windows": 1, "truncated": False},
        }
    ]


def test_every_answer_fits_the_published_schema(client):
    for body in (EXAMPLE, EXAMPLE_OPTIONS, EXAMPLE_MENTIONS):
        response = client.post("/v1/annotate", json=body)
        assert response.status_code == 200
        AnnotateResponse.model_validate(response.json(), strict=True)


def test_documents_are_answered_in_order_with_their_ids(client):
    body = {"documents": [{"id": "z", "text": "Ada"}, {"text": ""}, {"id": "z", "text": "Bob"}]}
    documents = client.post("/v1/annotate", json=body).json()["documents"]

    assert [each["id"] for each in documents] == ["z", "1", "z"]
    assert [[span["text"] for span in each["spans"]] for each in documents] == [
        ["Ada"],
        [],
        ["Bob"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "😀 Zoë\r\n",
        "e\u0301 Ada\u0301",
        "\u202e\u05e2\u05d1\u05e8 Bob",
        "[E-3] --NME-- [MASK] \x00 Ada",
        " ",
    ],
)
def test_offsets_count_code_points_of_the_text_as_sent(client, text):
    for span in annotate(client, text)["documents"][0]["spans"]:
        assert text[span["start"] : span["end"]] == span["text"]


def test_explain_adds_description_and_candidates(client):
    (span,) = annotate(client, "Ada", explain=True)["documents"][0]["spans"]

    assert span["description"] == "the word Ada"
    assert [each["entity_id"] for each in span["candidates"]] == ["E:Ada"]


def test_relations_alone_leave_only_the_ends_of_triples(client):
    documents = annotate(client, "Ada Bob", "Carl", tasks=["relations"])["documents"]

    assert [len(each["spans"]) for each in documents] == [2, 0]
    assert len(documents[0]["triples"]) == 1


def test_a_mention_without_a_candidate_is_nil(client):
    spans = annotate(client, "Ada Bob", top_k=1)["documents"][0]["spans"]

    assert [(span["entity_id"], span["name"]) for span in spans] == [
        ("E:Ada", "Ada"),
        (None, None),
    ]


def ask_given(client: TestClient, *documents: tuple[str, list | None], **options: object) -> list:
    body = {
        "documents": [
            {"text": text}
            if mentions is None
            else {
                "text": text,
                "mentions": [{"start": start, "end": end} for start, end in mentions],
            }
            for text, mentions in documents
        ],
        **options,
    }
    response = client.post("/v1/annotate", json=body)
    assert response.status_code == 200, response.text
    return response.json()["documents"]


def test_given_mentions_are_linked_and_no_others(client):
    text = "ada met Bob and Carl"
    given, found, none = ask_given(client, (text, [(16, 20), (0, 3)]), (text, None), (text, []))
    assert [(s["start"], s["end"], s["entity_id"]) for s in given["spans"]] == [
        (0, 3, None),
        (16, 20, "E:Carl"),
    ]
    assert [(t["subject"], t["object"]) for t in given["triples"]] == [(1, 0)]
    assert [span["text"] for span in found["spans"]] == ["Bob", "Carl"]
    assert none["spans"] == none["triples"] == []


def test_given_mentions_may_lie_in_any_window(client):
    text = " ".join(["Ada"] * 20)
    (answer,) = ask_given(client, (text, [(0, 3), (76, 79)]))
    assert [(s["start"], s["entity_id"]) for s in answer["spans"]] == [(0, "E:Ada"), (76, "E:Ada")]


@pytest.mark.parametrize(
    ("mentions", "message"),
    [([(0, 6)], "expected it within the 5 characters"), ([(0, 3), (2, 5)], "none that overlap")],
)
def test_mentions_that_cannot_be_fail_in_their_place(client, mentions, message):
    failed, fine = ask_given(client, ("Paris", mentions), ("Paris", [(0, 5)]))
    assert message in failed["error"]["detail"]
    assert failed["error"]["status"] == 422
    assert [span["text"] for span in fine["spans"]] == ["Paris"]


def test_a_pipeline_that_finds_mentions_itself_takes_none(open_client):
    class Own(FakePipeline):
        """Another pipeline: not one that the fake of given mentions stands beside."""

    async def ask():
        async with open_client(Own()) as client:
            documents = [{"text": "Ada", "mentions": [{"start": 0, "end": 3}]}, {"text": "Bob"}]
            return (await client.post("/v1/annotate", json={"documents": documents})).json()

    refused, found = asyncio.run(ask())["documents"]
    assert "this pipeline cannot link given ones" in refused["error"]["detail"]
    assert [span["text"] for span in found["spans"]] == ["Bob"]


def test_a_document_that_is_too_long_fails_in_its_place(client):
    documents = annotate(client, "Ada", "x" * 101, "Bob")["documents"]

    assert [list(each) for each in documents][1] == ["id", "error"]
    assert documents[1]["error"]["status"] == 413
    assert "101 characters" in documents[1]["error"]["detail"]
    assert documents[2]["spans"][0]["text"] == "Bob"


def test_on_overflow_error_refuses_a_text_of_several_windows(client):
    texts = ("Ada", "one two three four five six seven eight nine")
    documents = annotate(client, *texts, on_overflow="error")["documents"]

    assert documents[0]["spans"]
    assert documents[1]["error"]["type"] == "urn:relik:problem:text-too-long"
    assert annotate(client, *texts)["documents"][1]["coverage"]["windows"] == 2


def problem(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert {"type", "title", "status", "detail"} <= set(response.json())
    return response.json()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], ""),
        ({}, "documents"),
        ({"documents": {}}, "documents"),
        ({"documents": ["Ada"]}, "documents.0"),
        ({"documents": [{}]}, "documents.0.text"),
        ({"documents": [{"text": 1}]}, "documents.0.text"),
        ({"documents": [{"text": None}]}, "documents.0.text"),
        ({"documents": [{"text": "a"}, {"text": ["a"]}]}, "documents.1.text"),
        ({"documents": [{"text": "a", "id": 7}]}, "documents.0.id"),
        ({"documents": [{"text": "a", "spans": []}]}, "documents.0.spans"),
        ({"documents": [{"text": "a", "mentions": {}}]}, "documents.0.mentions"),
        ({"documents": [{"text": "a", "mentions": [[0, 1]]}]}, "documents.0.mentions.0"),
        (
            {"documents": [{"text": "a", "mentions": [{"start": 0}]}]},
            "documents.0.mentions.0.end",
        ),
        (
            {"documents": [{"text": "a", "mentions": [{"start": -1, "end": 1}]}]},
            "documents.0.mentions.0.start",
        ),
        (
            {"documents": [{"text": "a", "mentions": [{"start": 1, "end": 1}]}]},
            "documents.0.mentions.0",
        ),
        (
            {"documents": [{"text": "a", "mentions": [{"start": 0, "end": True}]}]},
            "documents.0.mentions.0.end",
        ),
        (
            {"documents": [{"text": "a", "mentions": [{"start": 0, "end": 1, "id": "Q1"}]}]},
            "documents.0.mentions.0.id",
        ),
        ({"documents": [], "entities": []}, "entities"),
        ({"documents": [], "tasks": []}, "tasks"),
        ({"documents": [], "tasks": ["nouns"]}, "tasks.0"),
        ({"documents": [], "top_k": "8"}, "top_k"),
        ({"documents": [], "top_k": 0}, "top_k"),
        ({"documents": [], "top_k": True}, "top_k"),
        ({"documents": [], "top_k": 10**9}, "top_k"),
        ({"documents": [], "threshold": 1.5}, "threshold"),
        ({"documents": [], "relation_threshold": "high"}, "relation_threshold"),
        ({"documents": [], "explain": 1}, "explain"),
        ({"documents": [], "types": "person"}, "types"),
        ({"documents": [], "on_overflow": "cut"}, "on_overflow"),
        ({"documents": [{"text": "a"}] * 5}, "documents"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(client, body, path):
    answer = problem(client.post("/v1/annotate", json=body), 422)

    assert path in [each["path"] for each in answer["errors"]]
    assert all(each["message"] for each in answer["errors"])


def test_an_unknown_field_is_told_what_is_known(client):
    answer = problem(client.post("/v1/annotate", json={"documents": [], "topk": 3}), 422)

    assert "top_k" in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (rb'{"documents": [{"text": "a \ud800 b"}]}', "documents.0.text"),
        (rb'{"documents": [{"text": "a", "id": "\udc00"}]}', "documents.0.id"),
        (rb'{"documents": [], "\ud800": 1}', ""),
        (rb'{"documents": [], "types": ["\ud800"]}', "types.0"),
    ],
)
def test_a_lone_surrogate_is_refused_by_its_path(client, body, path):
    answer = problem(client.post("/v1/annotate", content=body), 422)

    assert [each["path"] for each in answer["errors"]] == [path]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Ada",
        b'{"documents": [',
        b'{"documents": [{"text": "\xff\xfe"}]}',
        b'{"documents": [], "threshold": NaN}',
        b"[" * 1900,
        b'{"documents": [], "top_k": ' + b"1" * 1900 + b"e}",
    ],
)
def test_a_body_that_is_not_json_is_refused(client, body):
    problem(client.post("/v1/annotate", content=body), 400)


def test_a_body_over_the_limit_is_refused_whether_or_not_it_tells_its_length(client):
    body = json.dumps({"documents": [{"text": "a" * 2000}]}).encode()

    problem(client.post("/v1/annotate", content=body), 413)
    problem(client.post("/v1/annotate", content=iter([body[:1000], body[1000:]])), 413)


def test_too_much_text_in_one_request_is_refused(client):
    body = {"documents": [{"text": "a" * 90}] * 3}

    assert "270 characters" in problem(client.post("/v1/annotate", json=body), 413)["detail"]


def test_unknown_paths_and_methods_are_problems_too(client):
    problem(client.get("/v2/annotate"), 404)
    assert problem(client.get("/v1/annotate"), 405)["title"] == "Method Not Allowed"


def test_info_names_the_model_and_the_limits(client):
    info = client.get("/v1/info").json()

    assert (info["model"], info["kb_version"]) == ("fake", "fake-1")
    assert (info["entities"], info["relations"]) == (3, 1)
    assert info["limits"]["documents"] == 4
    assert info["version"]


def test_root_points_to_the_docs(client):
    assert client.get(client.get("/").json()["docs"]).status_code == 200
