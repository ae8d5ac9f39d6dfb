"""Building a knowledge index."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import marisa_trie
import numpy as np
import pytest
from tokenizers import Tokenizer

from relik.errors import (
    BundleCorruptError,
    BundleError,
    ConfigError,
    DimensionMismatchError,
    InferenceError,
    InputError,
)
from relik.kb import KnowledgeBase
from relik.kb.knowledge_base import KIND, NAMES
from relik.manifest import read_manifest, write_manifest
from relik.names.resolve import resolve
from relik.names.trie import CASED, MATCH_FORMAT, PARTIAL, PRIMARY, Kind, NameMatch
from relik.names.variants import variants
from relik.testing import HashEncoder
from relik.types import Entity, FloatArray
from relik_index import BuildOptions, build_index, verify_index
from relik_index.sources.json_lines import WHOLE

Build = Callable[..., Path]
PARIS: dict[str, object] = {
    "id": "Q90",
    "name": "Paris",
    "aliases": ["City of Light"],
    "description": "capital of France",
    "types": ["place"],
    "surfaces": {"Paris": 7},
}
HILTON: dict[str, object] = {"id": "Q47899", "name": "Paris Hilton", "partials": ["Paris"]}


def test_what_was_built_is_what_is_opened(build: Build) -> None:
    kb = KnowledgeBase.open(build([PARIS, HILTON]), verify=True)
    assert len(kb) == 2
    assert "Q90" in kb
    assert "Q1" not in kb
    assert 90 not in kb
    assert kb.row_of("Q47899") == 1
    assert kb.row_of("Q1") is None
    assert kb.entity_id(1) == "Q47899"
    assert kb.record(0) == Entity(
        entity_id="Q90",
        name="Paris",
        aliases=("City of Light",),
        description="capital of France",
        types=("place",),
    )
    assert kb.count(0) == 7
    assert kb.token_ids(0).tolist() == [1, 2, 3, 4, 5]
    assert kb.token_ids(0).dtype == np.int64
    assert kb.names.lookup("paris") == [
        NameMatch(0, 7, WHOLE | CASED | PRIMARY),
        NameMatch(1, 0, CASED | PARTIAL),
    ]
    assert kb.dim == 32
    vectors = HashEncoder(32).encode(["Paris capital of France", "Paris Hilton"])
    np.testing.assert_array_equal(kb.index.reconstruct(np.arange(2)), vectors)


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_rows_are_found_across_batches(
    build: Build, numbered: Sequence[dict[str, object]], compression: str
) -> None:
    kb = KnowledgeBase.open(
        build(numbered, options=BuildOptions(compression=compression, batch_rows=7))
    )
    for row in (0, 6, 7, 699, 700, 1199):
        assert kb.record(row).entity_id == kb.entity_id(row) == f"Q{row}"
        assert kb.record(row).name == kb.name(row)
        assert kb.row_of(f"Q{row}") == row
    for row in (-1, 1200):
        with pytest.raises(InputError, match="0 <= row < 1200"):
            kb.record(row)
        with pytest.raises(InputError):
            kb.name(row)


@pytest.mark.parametrize("counted", [False, True])
def test_an_index_says_whether_its_names_were_counted(build: Build, counted: bool) -> None:
    assert (
        KnowledgeBase.open(build([PARIS], options=BuildOptions(counted=counted))).counted is counted
    )


@pytest.mark.parametrize("any_case", [False, True])
def test_an_index_says_whether_its_names_come_in_any_case(build: Build, any_case: bool) -> None:
    kb = KnowledgeBase.open(build([PARIS], options=BuildOptions(any_case=any_case)))
    assert kb.any_case is any_case
    assert bool(variants(kb.names, ["lights", "of", "the", "city"], kb.policy.language)) is any_case


def test_a_german_list_of_terms_has_no_english_rules(build: Build, tmp_path: Path) -> None:
    records = [{"id": "D1", "name": "Tumor"}, {"id": "D2", "name": "Krebs der Brust"}]
    records += [{"id": "D3", "name": "Epilepsy"}, {"id": "D4", "name": "Tanzania"}]
    found = {}
    for code in ("en", "de"):
        options = BuildOptions(any_case=True, language=code)
        kb = KnowledgeBase.open(build(records, out=tmp_path / code, options=options))
        assert kb.policy.language.code == code
        forms = ("Tumors", "tumours", "epileptic", "Tanzanians", "brust der krebs", "tumor")
        found[code] = {form: [sense.row for sense in resolve(kb, form)] for form in forms}
    assert found["en"] == {
        "Tumors": [0],
        "tumours": [0],
        "epileptic": [2],
        "Tanzanians": [3],
        "brust der krebs": [1],
        "tumor": [0],
    }
    # The order of words is no rule of English.
    kept = {"brust der krebs": [1], "tumor": [0]}
    assert found["de"] == {form: kept.get(form, []) for form in found["en"]}


@pytest.mark.parametrize("language", ["", "german", "EN", "e1"])
def test_a_language_is_a_code(language: str) -> None:
    with pytest.raises(ConfigError, match="ISO 639"):
        BuildOptions(language=language)


def test_an_index_of_before_opens_in_english_with_kinds_unknown(build: Build) -> None:
    folder = build([PARIS, HILTON])
    kb = KnowledgeBase.open(folder)
    assert kb.policy.demonyms
    assert [sense.kind for sense in resolve(kb, "City of Light")] == [Kind.EXACT]
    named = list(marisa_trie.RecordTrie(MATCH_FORMAT).mmap(str(folder / NAMES)).iteritems())
    old = [(key, (row, count, flags & 0b111)) for key, (row, count, flags) in named]
    marisa_trie.RecordTrie(MATCH_FORMAT, old).save(str(folder / NAMES))
    fields = dict(read_manifest(folder).fields)
    del fields["language"], fields["names_format"]
    write_manifest(folder, kind=KIND, fields=fields)
    kb = KnowledgeBase.open(folder)
    assert (kb.policy.language.code, kb.policy.demonyms) == ("en", False)
    assert [sense.kind for sense in resolve(kb, "City of Light")] == [Kind.UNKNOWN]
    assert {sense.kind for sense in resolve(kb, "Paris")} == {Kind.EXACT, Kind.PARTIAL}
    assert {sense.kind for sense in resolve(kb, "Parisians")} == {Kind.INFLECTED}


def test_the_version_names_the_content(build: Build, tmp_path: Path) -> None:
    one = KnowledgeBase.open(build([PARIS, HILTON], out=tmp_path / "one")).version
    same = KnowledgeBase.open(build([PARIS, HILTON], out=tmp_path / "same")).version
    other = KnowledgeBase.open(build([PARIS], out=tmp_path / "other")).version
    assert one == same != other
    assert len(one) == 16


def test_candidate_tokens_are_cut_whatever_the_tokenizer_is_set_to(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    source = tmp_path / "kb.jsonl"
    source.write_text(json.dumps(PARIS))
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=40)
    build_index(
        source,
        tmp_path / "index",
        encoder=HashEncoder(8),
        tokenizer=tokenizer,
        options=BuildOptions(candidate_tokens=4),
    )
    assert KnowledgeBase.open(tmp_path / "index").token_ids(0).tolist() == [1, 2, 3, 4]
    assert tokenizer.truncation is not None


def test_too_few_rows_are_kept_exact_and_say_so(build: Build) -> None:
    manifest = KnowledgeBase.open(build([PARIS], options=BuildOptions(vectors="pq32"))).manifest
    assert manifest.fields["vectors"] == "exact"
    assert "too few rows to train pq32" in str(manifest.fields["note"])


def test_a_quantised_index_carries_a_receipt(
    build: Build, numbered: Sequence[dict[str, object]], tmp_path: Path
) -> None:
    out = build(numbered, options=BuildOptions(vectors="sq8", min_recall=0.5))
    receipt = KnowledgeBase.open(out).manifest.fields["recall"]
    assert isinstance(receipt, dict)
    assert (receipt["at"], receipt["queries"]) == (50, 500)
    assert 0.9 < receipt["recall"] <= 1
    assert verify_index(out)["self_recall"] == 1.0
    with pytest.raises(ConfigError, match="expected at least 1"):
        build(numbered, out=tmp_path / "b", options=BuildOptions(vectors="sq8", min_recall=1.0))
    assert not (tmp_path / "b").exists()


def test_a_failed_build_leaves_nothing(build: Build, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2"):
        build([PARIS, PARIS])
    assert [path.name for path in tmp_path.iterdir()] == ["kb.jsonl"]


def test_only_an_index_is_replaced_and_only_when_told(build: Build, tmp_path: Path) -> None:
    out = build([PARIS])
    with pytest.raises(InputError, match="--force"):
        build([HILTON])
    build([HILTON], options=BuildOptions(force=True))
    assert "Q90" not in KnowledgeBase.open(out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    with pytest.raises(InputError, match="not a knowledge index"):
        build([HILTON], out=tmp_path / "mine", options=BuildOptions(force=True))
    assert (tmp_path / "mine" / "letter").exists()


def test_a_place_that_cannot_be_written_is_named(build: Build, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        build([PARIS], out=tmp_path / "file" / "index")


class _OddEncoder:
    dim = 4

    def __init__(self, width: int, value: float) -> None:
        self._width, self._value = width, value

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return np.full((len(texts), self._width), self._value, dtype=np.float32)


@pytest.mark.parametrize(
    ("width", "value", "error"),
    [(3, 1.0, DimensionMismatchError), (4, float("nan"), InferenceError)],
)
def test_wrong_vectors_are_refused(
    tmp_path: Path, tokenizer: Tokenizer, width: int, value: float, error: type[Exception]
) -> None:
    source = tmp_path / "kb.jsonl"
    source.write_text(json.dumps(PARIS))
    with pytest.raises(error):
        build_index(source, tmp_path / "i", encoder=_OddEncoder(width, value), tokenizer=tokenizer)


@pytest.mark.parametrize(
    "wrong",
    [
        {"vectors": "pq7"},
        {"compression": "lz4"},
        {"opq": True},
        {"candidate_tokens": 0},
        {"batch": 0},
        {"min_recall": 1.5},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BuildOptions(**wrong)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    "name", ["records.arrow", "ids.trie", "ids.rows", "names.trie", "vectors.faiss"]
)
def test_a_damaged_file_is_refused_by_name(build: Build, name: str) -> None:
    out = build([PARIS, HILTON])
    content = (out / name).read_bytes()
    (out / name).write_bytes(content[:-1])
    with pytest.raises(BundleCorruptError, match=rf"{name}: was truncated"):
        KnowledgeBase.open(out)
    (out / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(BundleCorruptError, match=rf"{name}: was altered"):
        KnowledgeBase.open(out, verify=True)
    (out / name).unlink()
    with pytest.raises(BundleCorruptError, match=rf"{name}: is missing"):
        KnowledgeBase.open(out)


def test_progress_ends_at_the_total(tmp_path: Path, tokenizer: Tokenizer) -> None:
    source = tmp_path / "kb.jsonl"
    source.write_text(json.dumps(PARIS))
    told: dict[str, tuple[int, int]] = {}
    build_index(
        source,
        tmp_path / "i",
        encoder=HashEncoder(4),
        tokenizer=tokenizer,
        progress=lambda stage, done, total: told.update({stage: (done, total)}),
    )
    assert list(told) == ["records", "names", "vectors", "index"]
    assert all(done == total for done, total in told.values())
