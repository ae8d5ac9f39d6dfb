"""A bundle opens from a folder, the package or the Hub, and is refused when it does not match."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from relik.bundle import Bundle, open_bundle
from relik.errors import (
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    BundleVersionError,
    ConfigError,
    DimensionMismatchError,
)
from relik.layout import LAYOUT
from relik.manifest import MANIFEST, write_manifest


def _build(root: Path, *, dim: int = 4, index: dict[str, object] | None = None) -> Path:
    for name in ("shared", "query_encoder", "reader", "entities"):
        (root / name).mkdir(parents=True)
    (root / LAYOUT.pipeline).write_text('model = "tiny"\n[reader]\nthreshold = 0.25\n')
    vocabulary = WordLevel({"[UNK]": 0, "relik": 1}, unk_token="[UNK]")
    Tokenizer(vocabulary).save(str(root / LAYOUT.tokenizer))
    (root / LAYOUT.word_embeddings).write_bytes(b"table")
    (root / "query_encoder" / "config.json").write_text(json.dumps({"dim": dim}))
    (root / "query_encoder" / "encoder.onnx").write_bytes(b"graph")
    (root / "reader" / "encode.onnx").write_bytes(b"stage")
    (root / "entities" / "records.arrow").write_bytes(b"records")
    write_manifest(root / "entities", kind="knowledge index", fields=index or {})
    write_manifest(root, kind="bundle", fields={"licence": "Apache-2.0"})
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return _build(tmp_path / "bundle")


def test_a_folder_opens_with_its_settings_and_fields(folder: Path) -> None:
    bundle = open_bundle(folder)
    assert bundle.path == folder
    assert bundle.config.model == "tiny"
    assert bundle.config.reader.threshold == 0.25
    assert bundle.manifest.fields == {"licence": "Apache-2.0"}
    assert bundle.dim == 4
    assert bundle.revision is None
    assert open_bundle(str(folder)) == bundle


def test_each_caller_has_a_tokenizer_of_its_own(folder: Path) -> None:
    bundle = open_bundle(folder)
    bundle.tokenizer().enable_truncation(1)
    assert bundle.tokenizer().truncation is None
    assert bundle.tokenizer().token_to_id("relik") == 1


def test_special_tokens_in_a_text_are_ordinary_text(tiny_bundle: Bundle) -> None:
    found = tiny_bundle.tokenizer().encode("a [MASK][SEP]").tokens
    assert found == ["[CLS]", "a", "[", "mask", "]", "[", "sep", "]", "[SEP]"]


def test_tampering_with_any_file_is_refused_by_name(folder: Path) -> None:
    names = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(names) == 9
    for path in names:
        before = path.read_bytes()
        middle = len(before) // 2
        for after in (before[:middle], before[:middle] + b"\x07" + before[middle + 1 :]):
            path.write_bytes(after)
            with pytest.raises(BundleCorruptError) as caught:
                open_bundle(folder)
            assert str(path) in str(caught.value)
        path.write_bytes(before)
    open_bundle(folder)


def test_links_sizes_and_settings_are_checked_even_unverified(folder: Path, tmp_path: Path) -> None:
    (folder / "reader" / "encode.onnx").write_bytes(b"other")
    assert open_bundle(folder, verify=False).config.model == "tiny"
    (folder / "reader" / "encode.onnx").write_bytes(b"cut")
    with pytest.raises(BundleCorruptError, match=r"encode\.onnx: was truncated"):
        open_bundle(folder, verify=False)
    (tmp_path / "elsewhere.toml").write_text("")
    (folder / LAYOUT.pipeline).unlink()
    (folder / LAYOUT.pipeline).symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(BundleCorruptError, match=r"pipeline\.toml: is a link out of the folder"):
        open_bundle(folder, verify=False)


def test_a_newer_bundle_says_what_to_install(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**content, "format_version": 2}))
    with pytest.raises(BundleVersionError, match="pip install --upgrade relik-server"):
        open_bundle(folder)


def test_an_index_folder_is_not_a_bundle(folder: Path) -> None:
    with pytest.raises(BundleError, match="folder of kind knowledge index"):
        open_bundle(folder / "entities")


@pytest.mark.parametrize("name", [LAYOUT.pipeline, LAYOUT.tokenizer])
def test_a_bundle_without_settings_or_tokenizer_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    write_manifest(folder, kind="bundle", fields={})
    with pytest.raises(BundleCorruptError, match=name):
        open_bundle(folder)


def test_a_wrong_setting_is_refused_with_the_nearest_name(folder: Path) -> None:
    (folder / LAYOUT.pipeline).write_text("[reader]\nthresold = 0.5\n")
    write_manifest(folder, kind="bundle", fields={})
    with pytest.raises(ConfigError, match="did you mean 'threshold'"):
        open_bundle(folder)


def test_a_file_that_is_no_tokenizer_is_named(folder: Path) -> None:
    (folder / LAYOUT.tokenizer).write_text("{}")
    write_manifest(folder, kind="bundle", fields={})
    with pytest.raises(BundleCorruptError, match=r"tokenizer\.json: is not a tokenizer"):
        open_bundle(folder).tokenizer()


@pytest.mark.parametrize("text", ["[1]", "{", '{"dim": "wide"}', "{}"])
def test_an_encoder_config_without_a_dimension_is_refused(folder: Path, text: str) -> None:
    (folder / "query_encoder" / "config.json").write_text(text)
    write_manifest(folder, kind="bundle", fields={})
    with pytest.raises(BundleCorruptError, match=r"config\.json"):
        _ = open_bundle(folder).dim


def test_an_index_of_another_width_is_refused(tmp_path: Path) -> None:
    folder = _build(tmp_path / "bundle", dim=4, index={"dim": 8})
    with pytest.raises(DimensionMismatchError, match="dimension 8, expected 4"):
        open_bundle(folder)


def test_an_index_of_another_encoder_is_refused(tmp_path: Path) -> None:
    folder = _build(tmp_path / "bundle", index={"dim": 4, "encoder_fingerprint": "0" * 64})
    with pytest.raises(BundleError, match="made by the encoder 000000000000"):
        open_bundle(folder)


def test_an_index_of_this_encoder_is_accepted(folder: Path, tmp_path: Path) -> None:
    bundle = open_bundle(folder)
    made_by = bundle.encoder_fingerprint
    again = _build(tmp_path / "again", index={"dim": 4, "encoder_fingerprint": made_by})
    assert open_bundle(again).check_index(again / "entities").fields["dim"] == 4
    with pytest.raises(BundleNotFoundError):
        bundle.check_index(tmp_path)


def test_the_fingerprint_names_the_encoder_and_nothing_else(folder: Path) -> None:
    def reseal_with(name: str) -> str:
        path = folder / name
        path.write_bytes(path.read_bytes() + b" ")
        write_manifest(folder, kind="bundle", fields={})
        return open_bundle(folder).encoder_fingerprint

    before = open_bundle(folder).encoder_fingerprint
    assert reseal_with("reader/encode.onnx") == before
    assert reseal_with(LAYOUT.pipeline) == before
    changed = [
        reseal_with(name)
        for name in (LAYOUT.tokenizer, LAYOUT.word_embeddings, "query_encoder/encoder.onnx")
    ]
    assert len({before, *changed}) == 4


def test_the_default_is_in_the_package_or_says_how_to_get_it() -> None:
    import relik

    inside = Path(relik.__file__).parent / "data" / "default"
    if (inside / MANIFEST).exists():
        assert open_bundle().path == inside
    else:
        with pytest.raises(BundleNotFoundError, match="has no default bundle: install a release"):
            open_bundle()


def test_an_absent_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match=r"nowhere: has no manifest\.json"):
        open_bundle(tmp_path / "nowhere")


class FakeHub(ModuleType):
    """Lays a repository out as the Hub's client caches it: a snapshot of links into a store."""

    def __init__(self, source: Path, cache: Path) -> None:
        super().__init__("huggingface_hub")
        self.source = source
        self.repository = cache / "models--org--name"
        self.patterns: Sequence[str] = ()

    def snapshot_download(self, name: str, *, revision: str, allow_patterns: Sequence[str]) -> str:
        if name != "org/name":
            raise OSError("no such repository")
        self.patterns = allow_patterns
        snapshot = self.repository / "snapshots" / revision
        (self.repository / "blobs").mkdir(parents=True, exist_ok=True)
        for number, path in enumerate(sorted(self.source.rglob("*"))):
            if path.is_file():
                blob = self.repository / "blobs" / str(number)
                blob.write_bytes(path.read_bytes())
                link = snapshot / path.relative_to(self.source)
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(blob)
        return str(snapshot)


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(folder, tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    monkeypatch.chdir(tmp_path)
    return fake


def test_a_pinned_revision_of_the_hub_opens_through_its_links(hub: FakeHub) -> None:
    bundle = open_bundle("org/name", revision="c0ffee")
    assert bundle.revision == "c0ffee"
    assert bundle.config.model == "tiny"
    assert open_bundle("org/name@beef").revision == "beef"
    assert "*.onnx" in hub.patterns
    assert not any(pattern.endswith((".bin", ".py", ".pkl", "*")) for pattern in hub.patterns)


def test_a_link_out_of_the_hubs_store_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    snapshot = open_bundle("org/name@beef").path
    (tmp_path / "outside").write_bytes(b"stage")
    (snapshot / "reader" / "encode.onnx").unlink()
    (snapshot / "reader" / "encode.onnx").symlink_to(tmp_path / "outside")
    with pytest.raises(BundleCorruptError, match="link out of the folder"):
        open_bundle("org/name@beef")


@pytest.mark.usefixtures("hub")
def test_a_hub_name_without_a_revision_fetches_nothing() -> None:
    with pytest.raises(BundleNotFoundError, match="name a commit"):
        open_bundle("org/name")


@pytest.mark.usefixtures("hub")
def test_a_hub_name_that_cannot_be_fetched_is_not_found() -> None:
    with pytest.raises(BundleNotFoundError, match="org/other@beef: cannot be fetched"):
        open_bundle("org/other@beef")


@pytest.mark.usefixtures("hub")
def test_a_folder_comes_before_a_hub_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "org").mkdir()
    folder.rename(tmp_path / "org" / "name")
    assert open_bundle("org/name").revision is None


def test_a_missing_hub_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BundleNotFoundError, match="pip install huggingface_hub"):
        open_bundle("org/name@beef")
