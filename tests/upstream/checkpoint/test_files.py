"""Parts of a pipeline are found in its folder or on the Hub, and nowhere else that it names."""

import fnmatch
from pathlib import Path

import pytest

from relik.errors import BundleError, BundleNotFoundError, ConfigError
from relik.upstream.checkpoint.files import FETCHED, Files, file_within, open_pipeline_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipeline" / "reader").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "pipeline"


def test_a_part_is_found_relative_to_the_pipeline(folder: Path) -> None:
    assert Files(folder=folder).resolve("reader") == folder / "reader"


def test_a_local_pipeline_may_name_an_absolute_folder(folder: Path) -> None:
    outside = folder.parent / "outside"
    assert Files(folder=folder).resolve(str(outside)) == outside


def test_a_fetched_pipeline_may_not_name_an_absolute_folder(folder: Path) -> None:
    with pytest.raises(BundleError, match="must not read other files"):
        Files(folder=folder, fetched=True).resolve(str(folder.parent / "outside"))


@pytest.mark.parametrize("name", ["../outside", "reader/../../outside", "..", "./../outside"])
def test_a_path_that_leaves_the_pipeline_is_refused(folder: Path, name: str) -> None:
    for fetched in (False, True):
        with pytest.raises(BundleError, match="expected one in its own folder"):
            Files(folder=folder, fetched=fetched).resolve(name)


def test_a_link_that_leaves_the_pipeline_is_refused(folder: Path) -> None:
    (folder / "index").symlink_to(folder.parent / "outside")
    with pytest.raises(BundleError, match="expected one in its own folder"):
        Files(folder=folder).resolve("index")


def test_a_caller_may_name_any_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert Files().resolve("../outside").samefile(folder.parent / "outside")


@pytest.mark.parametrize("name", ["missing", "a/b/c", "org/name@", "org name/x", "~nobody/x y"])
def test_what_is_neither_a_folder_nor_a_hub_name_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(BundleNotFoundError, match="there is no such folder"):
        Files(folder=folder).resolve(name)


def test_a_hub_name_that_cannot_be_fetched_is_named_with_its_revision(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest.importorskip("huggingface_hub.constants"), "HF_HUB_OFFLINE", True)
    files = Files(folder=folder, cache_dir=folder / "cache")
    with pytest.raises(BundleNotFoundError, match="relik-ie/no-such-reader@abc123: cannot be"):
        files.resolve("relik-ie/no-such-reader@abc123")


def test_a_snapshot_that_was_fetched_before_is_found_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest.importorskip("huggingface_hub.constants"), "HF_HUB_OFFLINE", True)
    commit = "0" * 40
    kept = folder / "cache" / "models--org--reader"
    (kept / "snapshots" / commit).mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    (kept / "snapshots" / commit / "config.json").write_text("{}")
    files = Files(folder=folder, cache_dir=folder / "cache")
    for name in ("org/reader", f"org/reader@{commit}"):
        assert files.resolve(name) == kept / "snapshots" / commit


def test_only_data_is_fetched() -> None:
    def fetched(name: str) -> bool:
        return any(fnmatch.fnmatch(name, f"*.{ending}") for ending in FETCHED)

    needed = ["config.yaml", "config.json", "model.safetensors", "pytorch_model.bin"]
    needed += ["embeddings.pt", "documents.jsonl", "vocab.txt", "spm.model", "index.faiss"]
    needed += ["model.safetensors.index.json", "model-00001-of-00002.safetensors"]
    needed += ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"]
    converted = ["manifest.json", "pipeline.toml", "reader/encode.onnx", "entities/documents.arrow"]
    converted += ["entities/names.trie", "entities/vectors.faiss", "entities/ids.rows"]
    assert [name for name in needed + converted if not fetched(name)] == []
    code = ["hf.py", "modeling_relik.py", "run.sh", "x.so", "x.dll", "x.pkl", "x.tar.gz", "x.ipynb"]
    assert [name for name in code if fetched(name)] == []


def test_the_folder_of_a_pipeline_says_where_it_came_from(folder: Path) -> None:
    files = open_pipeline_folder(folder)
    assert files.folder == folder
    assert not files.fetched
    with pytest.raises(BundleNotFoundError, match="there is no such folder"):
        open_pipeline_folder(folder / "missing")


@pytest.mark.parametrize("name", ["../config.yaml", "/etc/passwd", "a/b.yaml", "", "..", "a\\b"])
def test_a_file_name_with_a_folder_in_it_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a name without folders"):
        file_within(folder, name)
    assert file_within(folder, "other.yaml") == folder / "other.yaml"
