"""Published packages that use ReLiK find everything that they need here.

They are installed from the package index into an environment of their own, without the
distribution `relik` that they ask for: ours takes its place.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import relik

pytestmark = [pytest.mark.slow, pytest.mark.network]

PACKAGES = ("llama-index-extractors-relik", "langchain-experimental")
TIE = 1e-4
UNREACHABLE = ("connection broken", "could not fetch url", "name resolution", "timed out")

NEEDS = """
import re, sys
from importlib.metadata import requires

for package in sys.argv[1:]:
    for need in requires(package):
        if "extra ==" not in need and re.match(r"[\\w.-]+", need).group() != "relik":
            print(need)
"""

EXTRACT = """
import json, sys
import relik
from langchain_core.documents import Document
from langchain_experimental.graph_transformers.relik import RelikGraphTransformer
from llama_index.core.graph_stores.types import KG_NODES_KEY, KG_RELATIONS_KEY
from llama_index.core.schema import TextNode
from llama_index.extractors.relik import RelikPathExtractor

model, text = sys.argv[1:]
settings = {
    "model": model,
    "relationship_confidence_threshold": 0.0,
    "model_config": {"device": "cpu", "quirks": True},
    "ignore_self_loops": False,
}
(node,) = RelikPathExtractor(**settings)([TextNode(text=text)])
(graph,) = RelikGraphTransformer(**settings).convert_to_graph_documents(
    [Document(page_content=text)]
)
answer = {
    "relik": relik.__file__,
    "llama_nodes": [[each.name, each.label] for each in node.metadata[KG_NODES_KEY]],
    "llama_relations": [
        [each.source_id, each.label, each.target_id] for each in node.metadata[KG_RELATIONS_KEY]
    ],
    "langchain_nodes": [[each.id, each.type] for each in graph.nodes],
    "langchain_relations": [
        [[each.source.id, each.source.type], each.type, [each.target.id, each.target.type]]
        for each in graph.relationships
    ],
}
print(json.dumps(answer))
"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(Path(relik.__file__).parents[1]),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def install(python: Path, *arguments: str) -> None:
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--only-binary", ":all:")
    done = run(*pip, "--retries", "1", "--timeout", "20", "--quiet", *arguments)
    if done.returncode and any(sign in done.stderr.lower() for sign in UNREACHABLE):
        pytest.skip("the package index cannot be reached, so nothing can be installed from it")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the published packages beside everything that is here."""
    pytest.importorskip("pip", reason="pip installs the packages")
    folder = tmp_path_factory.mktemp("integrations")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    own = run(interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(here)]
    Path(own.stdout.strip(), "here.pth").write_text("".join(lines), encoding="utf-8")
    install(interpreter, "--no-deps", *PACKAGES)
    needs = run(interpreter, "-c", NEEDS, *PACKAGES)
    assert needs.returncode == 0, needs.stderr
    install(interpreter, *needs.stdout.split("\n")[:-1])
    return interpreter


def is_decided(case: dict[str, Any]) -> bool:
    """Whether no two candidates of a window score so near that their order is left open."""
    return all(
        better[2] - worse[2] > TIE
        for retrieved in case["retrieved"]
        for line in retrieved["results"]
        for better, worse in pairwise(line)
    )


def richest_case(released: Any) -> dict[str, Any]:
    """The plain call without ties in which upstream found most."""
    plain = (
        case
        for case in released.cases
        if case["variant"] == "default" and not case["kwargs"] and not case["is_list"]
    )
    return max(
        filter(is_decided, plain),
        key=lambda case: (len(case["outputs"][0]["triplets"]), len(case["outputs"][0]["spans"])),
    )


def node_of(span: list[Any], nothing: str) -> list[str]:
    _, _, label, text = span
    return [text, nothing if label == "--NME--" else label.strip()]


def relation_of(label: str) -> str:
    return label.replace(" ", "_").upper()


@pytest.mark.parametrize("form", ["released", "converted"])
def test_they_extract_what_upstream_answered(
    form: str, released: Any, python: Path, tmp_path: Path
) -> None:
    for library in ("torch", "transformers", "spacy", "yaml", "onnx"):
        pytest.importorskip(library)
    case = richest_case(released)
    folder = released.folder
    if form == "converted":
        from relik_index.convert import convert_pipeline

        folder = tmp_path / "converted"
        convert_pipeline(str(released.folder), folder)
    # Not from the working folder, which may be a checkout beside what is installed.
    done = run(python, "-P", "-c", EXTRACT, folder, case["text"])
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    upstream = case["outputs"][0]

    assert upstream["spans"]
    assert answer["relik"] == relik.__file__
    for name, nothing in (("llama", "Entity"), ("langchain", "Node")):
        nodes = [node_of(span, nothing) for span in upstream["spans"]]
        assert sorted(answer[f"{name}_nodes"]) == sorted(nodes)
    assert sorted(answer["llama_relations"]) == sorted(
        [subject[3], relation_of(label), object_[3]]
        for subject, label, object_, _ in upstream["triplets"]
    )
    assert sorted(answer["langchain_relations"]) == sorted(
        [node_of(subject, "Node"), relation_of(label), node_of(object_, "Node")]
        for subject, label, object_, _ in upstream["triplets"]
    )
