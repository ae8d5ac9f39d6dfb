"""A sealed folder is read back as it was written, and any change to it is refused by name."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.errors import (
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    BundleVersionError,
    InputError,
)
from relik.manifest import MANIFEST, publish, read_manifest, verify_files, write_manifest

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "index"
    (root / "deep").mkdir(parents=True)
    (root / "records.arrow").write_bytes(bytes(range(256)))
    (root / "deep" / "names.trie").write_bytes(b"names")
    write_manifest(root, kind="index", fields={"rows": 3})
    return root


def _rewrite(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Alter the manifest as someone would who can also seal it again."""
    from relik.manifest import _digest

    content = json.loads((folder / MANIFEST).read_text())
    change(content)
    content["digest"] = _digest(content)
    (folder / MANIFEST).write_text(json.dumps(content))


def test_a_sealed_folder_reads_back_and_verifies(folder: Path) -> None:
    manifest = read_manifest(folder, kind="index")
    assert (manifest.kind, manifest.format_version) == ("index", 1)
    assert manifest.fields == {"rows": 3}
    assert list(manifest.files) == ["deep/names.trie", "records.arrow"]
    assert manifest.files["records.arrow"].size == 256
    verify_files(folder, manifest)


def test_writing_returns_what_reading_gives(folder: Path) -> None:
    written = write_manifest(folder, kind="index", fields={"figures": {1: (0.5, 2)}})
    assert read_manifest(folder) == written
    assert written.fields == {"figures": {"1": [0.5, 2]}}


@given(fields=st.dictionaries(st.text("abcxyz", min_size=1), JSON_VALUES, max_size=4))
def test_any_json_fields_survive(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    write_manifest(folder, kind="index", fields=fields)
    assert read_manifest(folder).fields == fields


def test_a_value_of_another_type_is_refused(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest.value("rows", int) == 3
    with pytest.raises(BundleCorruptError, match="got rows = 3, expected a value of type str"):
        manifest.value("rows", str)
    with pytest.raises(BundleCorruptError, match="got dim = None"):
        manifest.value("dim", int)


def test_edits_in_the_overlay_do_not_break_the_seal(folder: Path) -> None:
    (folder / "overlay").mkdir()
    (folder / "overlay" / "state.json").write_text("{}")
    verify_files(folder, read_manifest(folder))
    assert "overlay/state.json" not in write_manifest(folder, kind="index", fields={}).files


@given(data=st.data())
def test_one_flipped_bit_anywhere_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    contents = {"a.onnx": b"\x00graph\xff", "b/config.json": b"{}", "c.bin": b"rest"}
    (folder / "b").mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    sealed = write_manifest(folder, kind="index", fields={"rows": 12, "name": "é"})
    name = data.draw(st.sampled_from([*contents, MANIFEST]))
    raw = bytearray((folder / name).read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / name).write_bytes(raw)
    found, refusal = None, ""
    try:
        found = read_manifest(folder)
        verify_files(folder, found)
    except (BundleCorruptError, BundleVersionError) as error:
        refusal = str(error)
    # A change of white space between JSON values is the one that says nothing else.
    assert name in refusal or (name == MANIFEST and found == sealed)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "deep" / "names.trie").unlink()
    with pytest.raises(BundleCorruptError, match=r"names\.trie: is missing"):
        verify_files(folder, read_manifest(folder))


def test_a_truncated_file_is_named_with_both_sizes(folder: Path) -> None:
    (folder / "records.arrow").write_bytes(b"short")
    with pytest.raises(BundleCorruptError, match=r"records\.arrow: was truncated .*5.*256"):
        verify_files(folder, read_manifest(folder))


def test_a_longer_file_is_named(folder: Path) -> None:
    (folder / "records.arrow").write_bytes(b"x" * 257)
    with pytest.raises(BundleCorruptError, match=r"records\.arrow: was altered"):
        verify_files(folder, read_manifest(folder))


def test_a_model_that_is_not_listed_is_refused(folder: Path) -> None:
    (folder / "notes.txt").write_text("harmless")
    verify_files(folder, read_manifest(folder))
    (folder / "deep" / "model.safetensors").write_bytes(b"planted")
    with pytest.raises(BundleCorruptError, match=r"model\.safetensors: is not listed"):
        verify_files(folder, read_manifest(folder))


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes((folder / "records.arrow").read_bytes())
    (folder / "records.arrow").unlink()
    (folder / "records.arrow").symlink_to(outside)
    with pytest.raises(BundleCorruptError, match=r"records\.arrow: is a link out of the folder"):
        verify_files(folder, read_manifest(folder))
    verify_files(folder, read_manifest(folder), within=tmp_path)
    with pytest.raises(BundleCorruptError, match="is a link"):
        write_manifest(folder, kind="index", fields={})


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "a/../../b", "a/./b", "a//b", "", ".", "C:/x", "a\\b"]
)
def test_paths_that_leave_the_folder_are_refused(folder: Path, path: str) -> None:
    entry = {"size": 1, "sha256": "0" * 64}
    _rewrite(folder, lambda content: content.update(files={path: entry}))
    with pytest.raises(BundleCorruptError, match="expected a path inside the folder"):
        read_manifest(folder)


def test_a_newer_format_says_what_to_install(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    content["format_version"] = 7
    (folder / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(BundleVersionError) as caught:
        read_manifest(folder)
    assert "format version 7" in str(caught.value)
    assert "expected at most 1" in str(caught.value)
    assert "pip install --upgrade relik-server" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"kind": "index"}', "[" * 100_000, "\udcff", '{"files": {}}']
)
def test_a_malformed_manifest_is_corrupt(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BundleCorruptError, match=r"manifest\.json"):
        read_manifest(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": True},
        {"format_version": 0},
        {"kind": None},
        {"files": []},
        {"files": {"a": 3}},
        {"files": {"a": {"size": "1", "sha256": "0"}}},
    ],
)
def test_a_manifest_of_the_wrong_shape_is_corrupt(folder: Path, change: dict[str, object]) -> None:
    _rewrite(folder, lambda content: content.update(change))
    with pytest.raises(BundleCorruptError, match=r"manifest\.json.*expected"):
        read_manifest(folder)


def test_an_absent_folder_or_manifest_is_not_found(folder: Path) -> None:
    for absent in (folder / "nowhere", folder / "deep", folder / "records.arrow"):
        with pytest.raises(BundleNotFoundError, match=r"has no manifest\.json"):
            read_manifest(absent)
    (folder / "deep" / MANIFEST).mkdir()
    with pytest.raises(BundleNotFoundError, match="cannot be read"):
        read_manifest(folder / "deep")


def test_another_kind_is_refused(folder: Path) -> None:
    with pytest.raises(BundleError, match="folder of kind index, expected kind bundle"):
        read_manifest(folder, kind="bundle")


@pytest.mark.parametrize("fields", [{"x": float("nan")}, {"x": {1, 2}}, {"files": {}}])
def test_fields_that_cannot_be_written_are_refused(folder: Path, fields: dict[str, object]) -> None:
    before = (folder / MANIFEST).read_bytes()
    with pytest.raises(InputError):
        write_manifest(folder, kind="index", fields=fields)
    assert (folder / MANIFEST).read_bytes() == before


def test_publishing_moves_the_whole_folder(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "published"
    publish(folder, target)
    assert not folder.exists()
    verify_files(target, read_manifest(target))


def test_publishing_replaces_only_when_asked(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "published"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(InputError, match="expected a free path"):
        publish(folder, target)
    publish(folder, target, replace=True)
    assert sorted(path.name for path in target.iterdir()) == ["deep", MANIFEST, "records.arrow"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published"]


def test_a_file_that_is_replaced_does_not_stay_behind(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "published"
    target.write_text("a file")
    publish(folder, target, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_a_failed_replacement_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "published"
    target.mkdir()
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "nothing", target, replace=True)
    assert target.is_dir()
