"""`--bundle` takes a bundle, a converted pipeline or a released one, here or on the Hub."""

import shutil
import sys
from pathlib import Path

import pytest

from relik.bundle import Bundle
from relik.errors import BundleError, BundleNotFoundError, ConfigError
from relik.find_pipeline import find_pipeline
from relik.manifest import write_manifest
from relik.types import Document

RELEASED = Path(__file__).parent / "golden" / "upstream" / "tiny-re"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the Hub's client, which may not reach the Hub."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


def put(hub: Path, name: str, folder: Path) -> str:
    """Put a folder into the cache; return its name with its commit."""
    commit = "c0ffee" + "0" * 34
    snapshot = hub / f"models--{name.replace('/', '--')}" / "snapshots" / commit
    shutil.copytree(folder, snapshot)
    return f"{name}@{commit}"


def test_a_bundle_of_ours_opens_by_folder_and_by_name(tiny_bundle: Bundle, hub: Path) -> None:
    assert isinstance(find_pipeline(str(tiny_bundle.path)), Bundle)
    named = find_pipeline(put(hub, "org/ours", tiny_bundle.path))
    assert isinstance(named, Bundle)
    assert named.revision is not None


def test_a_bundle_opens_over_another_knowledge_index(tiny_bundle: Bundle, tmp_path: Path) -> None:
    index = tmp_path / "index"
    shutil.copytree(tiny_bundle.path / "relations", index)
    own = find_pipeline(str(tiny_bundle.path)).pipeline("onnx")
    pipeline = find_pipeline(str(tiny_bundle.path), kb=index).pipeline("onnx")
    assert pipeline.kb_version != own.kb_version
    assert len(pipeline.entities) == 3
    with pytest.raises(BundleNotFoundError, match="missing"):
        find_pipeline(str(tiny_bundle.path), kb=tmp_path / "missing")
    with (index / "names.trie").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match="altered"):
        find_pipeline(str(tiny_bundle.path), kb=index)


def test_a_released_pipeline_takes_no_other_knowledge_index(tiny_bundle: Bundle, hub: Path) -> None:
    for library in ("torch", "transformers", "spacy", "yaml"):
        pytest.importorskip(library)
    with pytest.raises(ConfigError, match="expected a bundle"):
        find_pipeline(str(RELEASED), kb=tiny_bundle.path / "entities")


def test_a_released_pipeline_opens_by_folder_and_by_name(hub: Path) -> None:
    for library in ("torch", "transformers", "spacy", "yaml"):
        pytest.importorskip(library)
    for name in (str(RELEASED), put(hub, "org/released", RELEASED)):
        found = find_pipeline(name)
        assert not isinstance(found, Bundle)
        pipeline = found.pipeline("auto")
        assert (len(pipeline.entities), len(pipeline.relations)) == (0, 24)
    assert pipeline.model.startswith("org/released@c0ffee")


def test_a_converted_pipeline_opens_by_folder_and_by_name(hub: Path, tmp_path: Path) -> None:
    for library in ("torch", "transformers", "spacy", "yaml", "onnx"):
        pytest.importorskip(library)
    from relik.upstream.bundle.released import ConvertedSource
    from relik_index.convert import convert_pipeline

    convert_pipeline(str(RELEASED), tmp_path / "made")
    for name in (str(tmp_path / "made"), put(hub, "org/converted", tmp_path / "made")):
        found = find_pipeline(name)
        assert isinstance(found, ConvertedSource)
        assert len(found.pipeline("onnx").relations) == 24
    assert found.bundle.revision is not None


def test_a_name_on_the_hub_needs_a_revision(hub: Path) -> None:
    put(hub, "org/released", RELEASED)
    with pytest.raises(BundleNotFoundError, match="org/released@<commit>"):
        find_pipeline("org/released")
    with pytest.raises(BundleNotFoundError, match="cannot be fetched"):
        find_pipeline("org/missing@beef")


def test_other_folders_are_told_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match=r"neither manifest\.json nor config\.yaml"):
        find_pipeline(str(tmp_path))
    write_manifest(tmp_path, kind="knowledge-index", fields={})
    with pytest.raises(BundleError, match="kind knowledge-index, expected kind bundle or convert"):
        find_pipeline(str(tmp_path))
    with pytest.raises(BundleNotFoundError, match="no-such"):
        find_pipeline(str(tmp_path / "no-such"))


@pytest.mark.parametrize("library", ["torch", "transformers", "spacy", "yaml"])
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With None in its place a library counts as not installed.
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=r"pip install 'relik-server\[upstream\]'"):
        find_pipeline(str(RELEASED))


def test_a_converted_pipeline_needs_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries = ("torch", "transformers", "spacy", "yaml", "onnx")
    for library in libraries:
        pytest.importorskip(library)
    from relik_index.convert import convert_pipeline

    convert_pipeline(str(RELEASED), tmp_path / "made")
    for library in libraries:
        monkeypatch.setitem(sys.modules, library, None)
    document = Document(doc_id="1", text="Marie Curie was born in Warsaw.")
    pipeline = find_pipeline(str(tmp_path / "made")).pipeline()
    assert pipeline.annotate([document])[0].coverage.windows == 1
