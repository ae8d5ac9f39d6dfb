"""A converted bundle answers as the pipeline that it was made of, on both engines."""

import fnmatch
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for _library in ("torch", "transformers", "spacy", "yaml", "onnx"):
    pytest.importorskip(_library)

import torch  # noqa: E402  # a plain install has none

from relik.errors import (  # noqa: E402  # needs torch
    BundleCorruptError,
    BundleError,
    ConfigError,
    DimensionMismatchError,
    InputError,
    RelikError,
)
from relik.manifest import read_manifest, write_manifest  # noqa: E402  # needs torch
from relik.upstream.bundle.converted import KIND, open_converted  # noqa: E402  # needs torch
from relik.upstream.bundle.converted_index import ConvertedIndex  # noqa: E402  # needs torch
from relik.upstream.bundle.released import ConvertedSource  # noqa: E402  # needs torch
from relik.upstream.bundle.released_parts import LoadOptions, Opener  # noqa: E402  # needs torch
from relik.upstream.checkpoint.files import FETCHED, Files  # noqa: E402  # needs torch
from relik.upstream.dropin.relik import Relik  # noqa: E402  # needs torch
from relik.upstream.index.document_index import DocumentIndex  # noqa: E402  # needs torch
from relik.upstream.index.documents import Document  # noqa: E402  # needs torch
from relik.upstream.text.words import SPACY, RuleTokenizer  # noqa: E402  # needs torch
from relik_index.convert import convert_pipeline  # noqa: E402  # needs torch

RELEASED = Path(__file__).parents[2] / "golden" / "upstream"
TEXT = "Marie Curie was born in Warsaw and worked at the University of Paris with Pierre Curie."
LONG = (
    "Alan Turing worked at Bletchley Park on the Enigma machine. Ada Lovelace wrote about the "
    "Analytical Engine of Charles Babbage in London. Napoleon lost the Battle of Waterloo in "
    "Belgium. Jeff Bezos founded Amazon in Seattle. Steve Jobs founded Apple Inc. in Cupertino."
)
# Torch and ONNX Runtime round differently.
NEAR = 2e-5

Convert = Callable[[Path], Path]


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """Converts a pipeline, once."""
    made: dict[Path, Path] = {}

    def convert(source: Path) -> Path:
        if source not in made:
            made[source] = tmp_path_factory.mktemp("converted") / source.name
            convert_pipeline(str(source), made[source])
        return made[source]

    return convert


def plain(answer: Any) -> list[dict[str, Any]]:
    answers = [one.to_dict() for one in (answer if isinstance(answer, list) else [answer])]
    for one in answers:
        for triplet in one["triplets"]:
            triplet[3] = pytest.approx(triplet[3], abs=NEAR)
    return answers


@pytest.mark.parametrize("quirks", [False, True])
@pytest.mark.parametrize("precision", [None, "fp32"])
def test_answers_are_those_of_the_original(
    released: Any, converted: Convert, quirks: bool, precision: str | None
) -> None:
    original = Relik.from_pretrained(released.folder, quirks=quirks)
    ours = Relik.from_pretrained(converted(released.folder), quirks=quirks, precision=precision)
    assert ours.settings.top_k == original.settings.top_k
    answered = 0
    for case in released.cases:
        try:
            expected = original(case["text"], **case["kwargs"])
        except RelikError as error:
            with pytest.raises(type(error)):
                ours(case["text"], **case["kwargs"])
            continue
        answer = ours(case["text"], **case["kwargs"])
        assert isinstance(answer, list) == isinstance(expected, list)
        assert plain(answer) == [one.to_dict() for one in _listed(expected)], case["tag"]
        answered += 1
    assert answered


def _listed(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]


@pytest.mark.parametrize("name", ["tiny-re", "tiny-cie", "tinydeb-el"])
def test_both_engines_run_the_same_files_to_the_same_answers(converted: Convert, name: str) -> None:
    bundle = open_converted(converted(RELEASED / name))
    expected = plain(Relik.from_pretrained(RELEASED / name)([TEXT, LONG]))
    for engine, kind in (("torch", "UpstreamEncoder"), ("onnx", "OnnxEncoder")):
        options = LoadOptions(engine=engine)
        settings = bundle.settings()
        opener = Opener(settings.task, Files(folder=bundle.path), options)
        parts = opener.open(bundle.raw_settings(), {})
        assert {type(one.value).__name__ for one in parts.retriever.values()} == {kind}
        ours = Relik(
            parts.retriever,
            parts.index,
            parts.reader,
            settings.task,
            top_k=settings.top_k,
            window_size=settings.window_size,
            window_stride=settings.window_stride,
        )
        assert plain(ours([TEXT, LONG])) == expected
    with pytest.raises(ConfigError, match="expected cpu and float32"):
        Opener("span", Files(folder=bundle.path), LoadOptions(engine="onnx", precision=16)).open(
            {"retriever": {"question_encoder": "query_encoder", "device": "cuda"}}, {}
        )
    with pytest.raises(BundleError, match="run `relik convert`"):
        Opener("span", Files(), LoadOptions(engine="onnx")).open(
            {}, {"retriever": {"question_encoder": str(RELEASED / "tiny-cie" / "encoder-span")}}
        )


def test_parts_and_settings_can_be_given_as_for_the_original(converted: Convert) -> None:
    folder = converted(RELEASED / "tiny-cie")
    alone = Relik.from_pretrained(folder, retriever=None, index=None, top_k=3, window_size="none")
    assert alone.retriever is alone.index is None
    assert alone.settings.window_size == "none"
    assert alone(TEXT, candidates={"span": ["Warsaw"], "triplet": ["spouse"]}).text == TEXT
    with pytest.raises(ConfigError, match="no candidates and no retriever"):
        alone(TEXT)
    few = Relik.from_pretrained(folder, top_k=3, skip_metadata=True)(TEXT)
    assert [len(line) for line in few.candidates.span[0]] == [3]
    assert all(one.metadata == {} for one in few.candidates.span[0][0])


def test_a_converted_pipeline_can_be_saved_as_upstream_has_it(
    converted: Convert, tmp_path: Path
) -> None:
    for name in ("tiny-cie", "tinydeb-el"):
        ours = Relik.from_pretrained(converted(RELEASED / name))
        ours.save_pretrained(tmp_path / name, save_weights=True)
        again = Relik.from_pretrained(tmp_path / name)
        index = again.index["span"] if name == "tiny-cie" else again.index
        assert isinstance(index, DocumentIndex)
        assert plain(again(TEXT)) == plain(ours(TEXT))
        ours.save_pretrained(tmp_path / f"{name}-named")
        assert plain(Relik.from_pretrained(tmp_path / f"{name}-named")(TEXT)) == plain(ours(TEXT))


# Documents.


@pytest.fixture
def odd(tmp_path: Path) -> tuple[DocumentIndex, ConvertedIndex]:
    """The same index before and after, with ids and metadata of every kind."""
    source = Path(shutil.copytree(RELEASED / "tiny-re", tmp_path / "source"))
    folder = source / "index-triplet"
    lines: list[dict[str, Any]] = [
        {"text": "spouse", "id": 7, "metadata": {"definition": "married to"}},
        {"text": "spouse", "id": "7", "metadata": {"definition": ""}},
        {"text": "no id", "metadata": {"definition": "x", "freq": 3, "more": {"a": [1]}}},
        {"text": "Zürich (city)", "id": 7, "metadata": {}},
        {"text": "no metadata", "id": "Q5"},
        {"text": "other", "id": -1, "metadata": {"types": ["a"], "note": None}},
        {"text": "", "id": "", "metadata": {"definition": None}},
        {"text": "definition of another type", "id": 9**30, "metadata": {"definition": 5}},
    ]
    (folder / "documents.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    vectors = torch.randn(len(lines), 32, generator=torch.Generator().manual_seed(3))
    torch.save(vectors.half(), folder / "embeddings.pt")
    convert_pipeline(str(source), tmp_path / "out")
    return DocumentIndex.open(folder), ConvertedIndex.open(tmp_path / "out" / "relations")


def test_documents_keep_their_ids_and_all_of_their_metadata(
    odd: tuple[DocumentIndex, ConvertedIndex],
) -> None:
    before, after = odd
    assert list(after.documents) == list(before.documents)
    assert [type(one.id) for one in after.documents] == [type(one.id) for one in before.documents]
    assert [list(one.metadata) for one in after.documents] == [
        list(one.metadata) for one in before.documents
    ]
    rows = range(len(after))
    assert [after.entity_id(row) for row in rows] == [
        *("7", "7#1", "2", "7#3", "Q5", "-1", "", str(9**30))
    ]
    assert [after.row_of(after.entity_id(row)) for row in rows] == list(rows)


def test_documents_are_found_by_id_and_by_text(odd: tuple[DocumentIndex, ConvertedIndex]) -> None:
    before, after = odd
    keys: list[Any] = [7, 2, "Q5", -1, "", "spouse", "Zürich (city)", "missing", 99, 9**30]
    keys += [Document("other", -1), Document("spouse"), Document("x", "missing")]
    for key in keys:
        assert after.documents.get(key) == before.documents.get(key), key
        assert (key in after.documents) == (key in before.documents)
    assert 3.5 not in after.documents
    with pytest.raises(InputError, match="expected one of the 8 rows"):
        after.documents[8]


def test_a_search_finds_the_same_rows_with_the_same_scores(
    odd: tuple[DocumentIndex, ConvertedIndex],
) -> None:
    before, after = odd
    queries = torch.randn(5, 32, generator=torch.Generator().manual_seed(4)).numpy()
    for top_k in (1, 3, 8, 100):
        assert after.find(queries, top_k=top_k) == before.find(queries, top_k=top_k)
        assert after.search(queries, top_k=top_k) == before.search(queries, top_k=top_k)
    wide = torch.randn(2, 40).numpy()
    with pytest.raises(DimensionMismatchError, match="matryoshka"):
        after.search(wide, top_k=1)
    assert after.search(wide, top_k=2, truncate=True) == after.search(wide[:, :32].copy(), top_k=2)
    with pytest.raises(InputError, match="top_k"):
        after.search(queries, top_k=0)


# What was altered is refused.


@pytest.fixture
def copy(converted: Convert, tmp_path: Path) -> Path:
    return Path(shutil.copytree(converted(RELEASED / "tiny-cie"), tmp_path / "copy"))


def test_an_altered_file_is_refused_by_name(copy: Path) -> None:
    path = copy / "reader" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleCorruptError, match=r"model\.safetensors: was altered"):
        Relik.from_pretrained(copy)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "triplet"', 'kind = "both"', "expected span or triplet"),
        ("top_k = 100", 'top_k = "many"', "got 'many'"),
        ("size = 32", "sise = 32", "did you mean 'size'"),
        ("threshold = 0.0", "threshold = 2", "expected 0 to 1"),
        ("size = 32", "size = 1.5", "pipeline.toml"),
    ],
)
def test_a_wrong_setting_is_told(copy: Path, old: str, new: str, message: str) -> None:
    path = copy / "pipeline.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    write_manifest(copy, kind=KIND, fields={})
    with pytest.raises(ConfigError, match=message):
        open_converted(copy).settings()


def test_a_missing_part_and_an_index_of_another_encoder_are_refused(copy: Path) -> None:
    (copy / "query_encoder" / "config.json").write_text("{}")
    write_manifest(copy, kind=KIND, fields={})
    with pytest.raises(BundleError, match="index of the encoder"):
        open_converted(copy)
    shutil.rmtree(copy / "entities")
    write_manifest(copy, kind=KIND, fields={})
    with pytest.raises(BundleCorruptError, match="got no entities"):
        open_converted(copy)


def test_documents_that_do_not_go_with_the_records_are_refused(
    copy: Path, converted: Convert
) -> None:
    other = converted(RELEASED / "tiny-cie") / "relations" / "documents.arrow"
    shutil.copyfile(other, copy / "entities" / "documents.arrow")
    with pytest.raises(BundleCorruptError, match="got 24 rows"):
        ConvertedIndex.open(copy / "entities")
    (copy / "entities" / "documents.arrow").write_bytes(b"junk")
    with pytest.raises(BundleCorruptError, match="not an Arrow file"):
        ConvertedIndex.open(copy / "entities")
    (copy / "entities" / "documents.arrow").unlink()
    first = ConvertedIndex.open(copy / "entities").documents[0]
    assert first.id == "1000"
    assert set(first.metadata) == {"definition"}


def test_a_converted_bundle_of_the_hub_opens_and_no_code_is_fetched(
    converted: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit = "0" * 40
    snapshot = tmp_path / "models--org--tiny" / "snapshots" / commit
    shutil.copytree(converted(RELEASED / "tiny-re"), snapshot)
    relik = Relik.from_pretrained(f"org/tiny@{commit}", cache_dir=tmp_path)
    assert relik(TEXT).text == TEXT
    names = [path.name for path in snapshot.rglob("*") if path.is_file()]
    assert all(any(fnmatch.fnmatch(name, f"*.{end}") for end in FETCHED) for name in names)
    assert not {"py", "so", "sh", "pkl"} & set(FETCHED)


# Words are cut by rules in the bundle.


def test_windows_of_words_and_of_sentences_are_cut_as_spacy_cuts_them(
    released: Any, converted: Convert
) -> None:
    original = Relik.from_pretrained(released.folder)
    ours = Relik.from_pretrained(converted(released.folder))
    texts = [TEXT, LONG, "", " He didn't (e.g. at 5p.m.)!  Why?\n\nhttp://x.org/(a), U.S. :) "]
    for size in ("sentence", "none", 8):
        asked = {"window_size": size, "return_windows": True}
        expected = original(texts, **asked)
        assert any(len(one.windows) > 2 for one in expected) == (size != "none")
        for answer, wanted in zip(ours(texts, **asked), expected, strict=True):
            assert answer.tokens == wanted.tokens
            for window, other in zip(answer.windows, wanted.windows, strict=True):
                assert (window.text, window.offset) == (other.text, other.offset)
                assert window.token2char_start == other.token2char_start
                assert window.token2char_end == other.token2char_end


WITHOUT = """
import json, sys
for name in ("torch", "transformers", "yaml", "onnx", "spacy", "thinc"):
    sys.modules[name] = None
from relik import Document, Relik
from relik.find_pipeline import find_pipeline
answers = []
for folder in sys.argv[2:]:
    pipeline = find_pipeline(folder).pipeline()
    annotations = pipeline.annotate([Document(doc_id="1", text=sys.argv[1])])
    relik = Relik.from_pretrained(folder)
    cut = [relik(sys.argv[1], window_size=size).to_dict() for size in ("sentence", 16)]
    answers.append([[[s.span.start, s.span.end] for s in annotations[0].spans], *cut])
print(json.dumps(answers))
"""


def without(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, LONG, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_converted_bundle_runs_without_torch_and_without_spacy(converted: Convert) -> None:
    names = ("tiny-re", "tiny-cie", "tinydeb-el")
    done = without(*(str(converted(RELEASED / name)) for name in names))
    assert done.returncode == 0, done.stderr
    for name, (spans, *cut) in zip(names, json.loads(done.stdout), strict=True):
        original = Relik.from_pretrained(RELEASED / name)
        for answer, size in zip(cut, ("sentence", 16), strict=True):
            expected = json.loads(json.dumps(original(LONG, window_size=size).to_dict()))
            for triplet in expected["triplets"]:
                triplet[3] = pytest.approx(triplet[3], abs=NEAR)
            assert answer == expected
        # Those of nothing known are left out, or not.
        assert {tuple(span) for span in spans} >= {
            (span.start, span.end) for span in original(LONG).spans
        }


def words_of(bundle: Path) -> Any:
    return open_converted(bundle).word_tokenizer()


def test_rules_that_are_not_known_give_way_to_spacy(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(words_of(copy), RuleTokenizer)
    expected = plain(Relik.from_pretrained(copy)(LONG))
    rules = json.loads((copy / "words.json").read_text())
    # Were it compiled and run, it would never end.
    rules["prefix"] = "^(\\w+\\w*)+$"
    for content in (json.dumps(rules), "junk", None):
        (copy / "words.json").unlink()
        if content is not None:
            (copy / "words.json").write_text(content)
        write_manifest(copy, kind=KIND, fields={})
        with monkeypatch.context() as patch:
            assert words_of(copy) is SPACY
            assert plain(Relik.from_pretrained(copy)(LONG)) == expected
            # With None in its place a library counts as not installed.
            patch.setitem(sys.modules, "spacy", None)
            with pytest.raises(ConfigError, match=r"words\.json .* 'relik-server\[words\]'"):
                ConvertedSource(open_converted(copy)).pipeline("onnx")
            with pytest.raises(ConfigError, match=r"words\.json .* 'relik-server\[words\]'"):
                Relik.from_pretrained(copy)


def test_rules_that_were_altered_after_conversion_are_refused(copy: Path) -> None:
    path = copy / "words.json"
    path.write_text(path.read_text().replace("can't", "cam't"))
    with pytest.raises(BundleCorruptError, match=r"words\.json: was altered"):
        open_converted(copy)
    path.unlink()
    with pytest.raises(BundleCorruptError, match=r"words\.json: is missing"):
        open_converted(copy)


def test_rules_that_vanish_after_opening_are_told(copy: Path) -> None:
    bundle = open_converted(copy)
    (copy / "words.json").unlink()
    (copy / "words.json").mkdir()
    with pytest.raises(BundleError, match=r"words\.json: cannot be read"):
        ConvertedSource(bundle).pipeline("onnx")


def test_the_manifest_of_each_index_says_how_its_vectors_were_made(converted: Convert) -> None:
    manifest = read_manifest(converted(RELEASED / "tiny-re") / "relations")
    assert manifest.value("separator", str) == " <def> "
    assert manifest.value("metadata_fields", list) == ["definition"]
