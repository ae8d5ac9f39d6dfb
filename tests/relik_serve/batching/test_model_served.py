"""Released and converted pipelines on the server: both of its interfaces, on its batches."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

for _library in ("torch", "transformers", "spacy", "yaml", "onnx"):
    pytest.importorskip(_library)

from relik import Relik  # noqa: E402  # needs torch
from relik.cli import main  # noqa: E402  # needs torch
from relik.find_pipeline import find_pipeline  # noqa: E402  # needs torch
from relik_index.convert import convert_pipeline  # noqa: E402  # needs torch
from relik_serve.app import create_app  # noqa: E402  # needs torch
from relik_serve.batching.model import open_served  # noqa: E402  # needs torch
from relik_serve.settings import Settings  # noqa: E402  # needs torch

RELEASED = Path(__file__).parents[2] / "golden" / "upstream"
TEXTS = [
    "Alan Turing worked at Bletchley Park on the Enigma machine. Ada Lovelace wrote about the "
    "Analytical Engine of Charles Babbage in London. Napoleon lost the Battle of Waterloo in "
    "Belgium. Jeff Bezos founded Amazon in Seattle. Steve Jobs founded Apple Inc. in Cupertino.",
    "Marie Curie was born in Warsaw.",
    "",
]


@pytest.fixture(scope="module", params=["tiny-re", "tiny-cie", "tinydeb-el"])
def source(request: pytest.FixtureRequest) -> Path:
    """A released pipeline."""
    return RELEASED / str(request.param)


@pytest.fixture(scope="module", params=["released", "converted"])
def client(
    request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A server of that pipeline, as it is or converted."""
    folder = source
    if request.param == "converted":
        folder = tmp_path_factory.mktemp("served") / source.name
        convert_pipeline(str(source), folder)
    found = find_pipeline(str(folder))
    warm = threading.Event()
    app = create_app(
        Settings(), lambda: open_served(found, backend="auto"), on_ready=lambda _: warm.set()
    )
    with contextlib.closing(TestClient(app, raise_server_exceptions=False)) as opened, opened:
        assert warm.wait(30)
        yield opened


def test_upstreams_path_answers_with_the_labels_of_relik(client: TestClient, source: Path) -> None:
    # Entity linking leaves mentions of nothing known out, unless told.
    kept = {"remove_nmes": False}
    answers = client.post("/api/relik", json={"text": TEXTS, **kept}).json()
    relik = Relik.from_pretrained(source)
    expected = relik(TEXTS, **kept)
    for answer, wanted in zip(answers, expected, strict=True):
        assert answer["spans"] == [list(span) for span in wanted.spans]
        assert sorted(triplet[:3] for triplet in answer["triplets"]) == sorted(
            [list(t.subject), t.label, list(t.object)] for t in wanted.triplets
        )
    query = client.get("/api/relik", params={"text": TEXTS[0], "remove_nmes": "false"})
    assert query.json() == answers[:1]


def test_candidates_are_the_documents_of_every_window(client: TestClient, source: Path) -> None:
    (answer,) = client.post("/api/relik", json={"text": TEXTS[0], "top_k": 5}).json()
    wanted = Relik.from_pretrained(source)(TEXTS[0], top_k=5).candidates
    for name in ("span", "triplet"):
        lines = answer["candidates"][name]
        texts = [[[one["text"] for one in line] for line in each] for each in lines]
        assert texts == [
            [[document.text for document in line] for line in each]
            for each in getattr(wanted, name)
        ]


def test_the_native_path_names_ids_and_what_it_cannot_do(client: TestClient, source: Path) -> None:
    body = {"documents": [{"id": str(n), "text": text} for n, text in enumerate(TEXTS)]}
    answer = client.post("/v1/annotate", json=body).json()
    assert answer["model"] == source.name
    spans = [span for document in answer["documents"] for span in document["spans"]]
    if source.name == "tinydeb-el":
        assert spans
        names = {
            str(one["id"]): one["text"]
            for one in map(
                json.loads, (source / "index-span" / "documents.jsonl").read_text().splitlines()
            )
        }
        assert all(names[span["entity_id"]] == span["name"] for span in spans)
    refused = client.post("/v1/annotate", json={**body, "types": ["person"]}).json()
    assert "have no types" in refused["documents"][0]["error"]["detail"]


WITHOUT = """
import json, sys, threading
for name in ("torch", "transformers", "yaml", "onnx", "spacy", "thinc"):
    sys.modules[name] = None
from fastapi.testclient import TestClient
from relik.find_pipeline import find_pipeline
from relik_serve.app import create_app
from relik_serve.batching.model import open_served
from relik_serve.settings import Settings
found = find_pipeline(sys.argv[1])
warm = threading.Event()
opening = lambda: open_served(found, backend="auto")
with TestClient(create_app(Settings(), opening, on_ready=lambda _: warm.set())) as client:
    assert warm.wait(60)
    body = {"text": json.loads(sys.argv[2]), "remove_nmes": False}
    print(client.post("/api/relik", json=body).text)
"""


def test_a_converted_pipeline_is_served_without_torch_and_without_spacy(
    source: Path, tmp_path: Path
) -> None:
    convert_pipeline(str(source), tmp_path / source.name)
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / source.name), json.dumps(TEXTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = Relik.from_pretrained(source)(TEXTS, remove_nmes=False)
    for answer, wanted in zip(json.loads(done.stdout), expected, strict=True):
        assert answer["spans"] == [list(span) for span in wanted.spans]


def test_the_command_annotates_with_a_released_pipeline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["annotate", "--json", "--bundle", str(RELEASED / "tiny-re"), TEXTS[0]])
    assert left.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["coverage"]["truncated"] is False


def test_what_is_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SystemExit) as left:
        main(["serve", "--bundle", str(RELEASED / "tiny-re")])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert "pip install 'relik-server[upstream]'" in error
    assert error.count("\n") == 1
