"""A released pipeline becomes a bundle: whole, sealed, of data alone, or not at all."""

import json
import re
import resource
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

for _library in ("torch", "transformers", "spacy", "yaml", "onnx"):
    pytest.importorskip(_library)

import torch  # noqa: E402  # a plain install has none
from safetensors.torch import load_file  # noqa: E402  # needs torch

from relik.cli import main  # noqa: E402  # needs torch
from relik.errors import BundleCorruptError, ConfigError, InputError  # noqa: E402  # needs torch
from relik.kb import KnowledgeBase  # noqa: E402  # needs torch
from relik.manifest import read_manifest  # noqa: E402  # needs torch
from relik.upstream.bundle.converted import open_converted  # noqa: E402  # needs torch
from relik.upstream.bundle.released import ConvertedSource  # noqa: E402  # needs torch
from relik.upstream.index.document_index import DocumentIndex  # noqa: E402  # needs torch
from relik.upstream.text.word_rules import WordRules, spacy_rules  # noqa: E402  # needs torch
from relik_index.convert import ConvertOptions, convert_pipeline  # noqa: E402  # needs torch
from relik_index.verify import verify_index  # noqa: E402  # needs torch

RELEASED = Path(__file__).parents[2] / "golden" / "upstream"


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A released pipeline of relations, to be changed."""
    return Path(shutil.copytree(RELEASED / "tiny-re", tmp_path / "tiny-re"))


def convert(source: Path, out: Path, **options: object) -> Path:
    convert_pipeline(str(source), out, options=ConvertOptions(**options))  # type: ignore[arg-type]
    return out


def code_of(*argv: str) -> object:
    with pytest.raises(SystemExit) as left:
        main(["convert", *argv])
    return left.value.code


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        ("tiny-re", {"query_encoder", "reader", "relations"}),
        ("tinydeb-el", {"query_encoder", "reader", "entities"}),
        (
            "tiny-cie",
            {"query_encoder", "relation_encoder", "reader", "entities", "relations"},
        ),
    ],
)
def test_a_bundle_has_the_parts_of_its_task_and_nothing_but_data(
    tmp_path: Path, name: str, folders: set[str]
) -> None:
    source = Path(shutil.copytree(RELEASED / name, tmp_path / "source"))
    (source / "reader" / "modeling_relik.py").write_text("raise SystemExit('run')")
    (source / "reader" / "spm.model").write_bytes(b"unused")
    out = convert(source, tmp_path / "out")
    assert {path.name for path in out.iterdir() if path.is_dir()} == folders
    kinds = {path.suffix for path in out.rglob("*") if path.is_file()}
    assert kinds == {
        ".json",
        ".toml",
        ".safetensors",
        ".onnx",
        ".arrow",
        ".faiss",
        ".trie",
        ".rows",
    }
    everything = "".join(
        path.read_text() for path in out.rglob("*") if path.suffix in (".json", ".toml")
    )
    assert str(tmp_path) not in everything
    assert "modeling_relik" not in everything
    assert open_converted(out).manifest.kind == "converted"


def test_rows_vectors_and_documents_are_those_of_the_source(tmp_path: Path) -> None:
    out = convert(RELEASED / "tiny-cie", tmp_path / "out")
    for folder, name in (("index-span", "entities"), ("index-triplet", "relations")):
        source = RELEASED / "tiny-cie" / folder
        vectors = torch.load(source / "embeddings.pt", weights_only=True)
        kb = KnowledgeBase.open(out / name, verify=True)
        lines = [json.loads(line) for line in (source / "documents.jsonl").read_text().splitlines()]
        assert [kb.entity_id(row) for row in range(len(kb))] == [str(one["id"]) for one in lines]
        for row, one in enumerate(lines):
            record = kb.record(row)
            assert (record.name, record.description) == (
                one["text"],
                one["metadata"]["definition"],
            )
            assert len(kb.token_ids(row))
        rows = torch.arange(len(vectors)).numpy()
        assert torch.equal(torch.from_numpy(kb.index.reconstruct(rows)), vectors.float())
        assert verify_index(out / name)["self_recall"] == 1.0


def test_the_rules_for_words_are_those_of_spacy(tmp_path: Path) -> None:
    out = convert(RELEASED / "tiny-re", tmp_path / "out")
    rules, _ = spacy_rules()
    manifest = read_manifest(out)
    assert manifest.files["words.json"].sha256 == rules.digest
    assert WordRules.read(out / "words.json") == rules
    assert manifest.value("needs_spacy", bool) is False


def test_without_spacy_nothing_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With None in its place a library counts as not installed.
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ConfigError, match=r"got no spaCy.*'relik-server\[upstream\]'"):
        convert(RELEASED / "tiny-re", tmp_path / "out")
    assert left_of(tmp_path) == []


def test_the_manifest_says_where_everything_came_from(tmp_path: Path) -> None:
    manifest = read_manifest(convert(RELEASED / "tiny-re", tmp_path / "out"))
    assert manifest.value("sources", list) == [
        {"part": "pipeline", "name": "tiny-re"},
        {"part": "reader", "name": "reader"},
        {"part": "encoder of triplet", "name": "encoder-triplet"},
        {"part": "index of triplet", "name": "index-triplet"},
        {"part": "words", "name": "spaCy", "version": version("spacy"), "license": "MIT"},
    ]
    assert manifest.value("rows", dict) == {"relations": 24}


def test_a_pipeline_of_the_hub_is_named_by_its_repository_and_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "0" * 40
    snapshot = tmp_path / "models--org--tiny" / "snapshots" / commit
    shutil.copytree(RELEASED / "tiny-re", snapshot)
    convert_pipeline("org/tiny", tmp_path / "out", options=ConvertOptions(revision=commit))
    manifest = read_manifest(tmp_path / "out")
    assert manifest.value("sources", list)[0] == {
        "part": "pipeline",
        "name": "org/tiny",
        "revision": commit,
    }
    with pytest.raises(InputError, match="leave one out"):
        convert(snapshot, tmp_path / "other", revision=commit)


def test_one_encoder_of_two_tasks_is_kept_once(tmp_path: Path) -> None:
    source = Path(shutil.copytree(RELEASED / "tiny-cie", tmp_path / "source"))
    shutil.rmtree(source / "encoder-triplet")
    shutil.copytree(source / "encoder-span", source / "encoder-triplet")
    bundle = open_converted(convert(source, tmp_path / "out"))
    assert not (tmp_path / "out" / "relation_encoder").exists()
    assert bundle.encoder_of("span") == bundle.encoder_of("triplet") == "query_encoder"


def test_pickled_weights_become_safetensors(released: Path, tmp_path: Path) -> None:
    weights = load_file(released / "reader" / "model.safetensors")
    torch.save(weights, released / "reader" / "pytorch_model.bin")
    (released / "reader" / "model.safetensors").unlink()
    out = convert(released, tmp_path / "out")
    found = load_file(out / "reader" / "model.safetensors")
    assert all(torch.equal(weights[name].float(), value) for name, value in found.items())


def test_int8_weights_are_for_onnx_alone_and_are_said(tmp_path: Path) -> None:
    out = convert(RELEASED / "tiny-re", tmp_path / "int8", weights="int8")
    for model in ("reader", "query_encoder"):
        assert json.loads((out / model / "graphs.json").read_text())["weights"] == "int8"
    bundle = open_converted(out)
    assert ConvertedSource(bundle).pipeline("auto").model == "tiny-re"
    with pytest.raises(ConfigError, match="--weights float32"):
        ConvertedSource(bundle).pipeline("torch")
    with pytest.raises(ConfigError, match="expected float32 or int8"):
        ConvertOptions(weights="int4")  # type: ignore[arg-type]


# Nothing is left of what fails.


def left_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "tiny-re")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("index-triplet/documents.jsonl", b'{"text": "one"}\n', "1 documents and 24 vectors"),
        ("index-triplet/embeddings.pt", b"junk", "embeddings.pt"),
        ("reader/tokenizer.json", b"{}", "tokenizer"),
        ("encoder-triplet/model.safetensors", b"junk", "safetensors"),
    ],
)
def test_a_broken_part_leaves_nothing(
    released: Path, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (released / name).write_bytes(content)
    with pytest.raises(BundleCorruptError, match=message):
        convert(released, tmp_path / "out")
    assert left_of(tmp_path) == []


def test_a_malformed_line_is_named(released: Path, tmp_path: Path) -> None:
    path = released / "index-triplet" / "documents.jsonl"
    lines = path.read_text().splitlines()
    for line, message in (("{", "line 8"), ('{"text": "\\ud800", "id": 7}', "surrogate")):
        path.write_text("\n".join([*lines[:7], line, *lines[8:]]) + "\n")
        with pytest.raises(BundleCorruptError, match=message):
            convert(released, tmp_path / "out")
    assert left_of(tmp_path) == []


def test_a_vector_that_is_not_finite_is_named(released: Path, tmp_path: Path) -> None:
    path = released / "index-triplet" / "embeddings.pt"
    vectors = torch.load(path, weights_only=True)
    vectors[5, 3] = float("nan")
    torch.save(vectors, path)
    with pytest.raises(BundleCorruptError, match="row 5 that is not finite"):
        convert(released, tmp_path / "out")


def test_only_a_converted_bundle_is_replaced_and_only_when_asked(
    released: Path, tmp_path: Path
) -> None:
    out = convert(released, tmp_path / "out")
    made = read_manifest(out).value("created_at", str)
    with pytest.raises(InputError, match="--force"):
        convert(released, out)
    assert read_manifest(out).value("created_at", str) == made
    (released / "config.yaml").write_text(
        (released / "config.yaml").read_text().replace("top_k: 100", "top_k: 7")
    )
    assert open_converted(convert(released, out, force=True)).config.top_k == 7
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not replaced"):
        convert(released, other, force=True)
    assert left_of(tmp_path) == ["other", "out"]


def test_a_bundle_of_ours_is_not_converted_again(released: Path, tmp_path: Path) -> None:
    out = convert(released, tmp_path / "out")
    with pytest.raises(InputError, match="is already a bundle"):
        convert(out, tmp_path / "again")


def test_a_pipeline_without_a_part_is_refused(released: Path, tmp_path: Path) -> None:
    text = (released / "config.yaml").read_text()
    (released / "config.yaml").write_text(re.sub(r"reader:\n(  .*\n)+", "", text))
    with pytest.raises(ConfigError, match="names no reader"):
        convert(released, tmp_path / "out")


LIMITED = """
import resource, sys
from relik.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
main(["convert", sys.argv[1], sys.argv[2]])
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on the size of files")
def test_a_disk_without_room_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(RELEASED / "tiny-re"), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert re.fullmatch(r"relik: error: .*out: cannot be written .*free space.*\n", done.stderr)
    assert left_of(tmp_path) == []


# The command.


def test_the_command_prints_one_json_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(str(RELEASED / "tiny-re"), str(tmp_path / "out"), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["task"] == "triplet"
    assert said["rows"] == {"relations": 24}
    assert said["seconds"] > 0
    assert code_of(str(RELEASED / "tiny-re"), str(tmp_path / "out")) == 2
    assert "--force" in capsys.readouterr().err
    assert code_of(str(tmp_path / "missing"), str(tmp_path / "other")) == 3


def test_another_settings_file_can_be_named(released: Path, tmp_path: Path) -> None:
    (released / "config.yaml").rename(released / "small.yaml")
    source, out = str(released), str(tmp_path / "out")
    assert code_of(source, out) == 3
    assert code_of(source, out, "--config-file-name", "small.yaml", "--weights", "int8") == 0
    assert read_manifest(tmp_path / "out").value("weights", str) == "int8"


def test_skipped_metadata_stay_out(released: Path, tmp_path: Path) -> None:
    text = (released / "config.yaml").read_text()
    name = "    name_or_path: index-triplet\n"
    (released / "config.yaml").write_text(text.replace(name, name + "    skip_metadata: true\n"))
    kb = KnowledgeBase.open(convert(released, tmp_path / "out") / "relations")
    assert kb.record(0).description == ""
    index = DocumentIndex.open(released / "index-triplet")
    assert kb.record(0).name == index.documents[0].text
