"""Vectors of a released index are mapped as data and searched exactly."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("yaml")

from relik.errors import (  # noqa: E402  # needs torch
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    ConfigError,
    DimensionMismatchError,
    InputError,
)
from relik.upstream.checkpoint.settings import IndexSettings  # noqa: E402  # needs torch
from relik.upstream.index.document_index import DocumentIndex  # noqa: E402  # needs torch
from relik.upstream.index.documents import Document, DocumentStore  # noqa: E402  # needs torch
from relik.upstream.index.embeddings import TorchVectors, read_tensor  # noqa: E402  # needs torch

ROWS, DIM = 40, 6


@pytest.fixture
def matrix() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(ROWS, DIM)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, matrix: np.ndarray) -> Path:
    torch.save(torch.from_numpy(matrix), tmp_path / "embeddings.pt")
    lines = [json.dumps({"text": f"name {i}", "id": 100 + i}) for i in range(ROWS)]
    (tmp_path / "documents.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return tmp_path


@pytest.fixture
def queries() -> np.ndarray:
    return np.random.default_rng(6).normal(size=(7, DIM)).astype(np.float32)


class Bomb:
    """Creates a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_search_is_the_argsort_of_the_products(
    folder: Path, matrix: np.ndarray, queries: np.ndarray, dtype: str
) -> None:
    kept = torch.from_numpy(matrix).to(getattr(torch, dtype))
    torch.save(kept, folder / "embeddings.pt")
    scores = queries.astype(np.float64) @ kept.double().numpy().T
    expected = np.argsort(-scores, axis=1)[:, :10]
    found = DocumentIndex.open(folder).search(queries, top_k=10)
    for line, rows, given in zip(found, expected, scores, strict=True):
        assert [one.document.id for one in line] == [100 + row for row in rows]
        np.testing.assert_allclose([one.score for one in line], given[rows], rtol=1e-6)


def test_a_search_does_not_depend_on_its_batch(folder: Path, queries: np.ndarray) -> None:
    index = DocumentIndex.open(folder)
    alone = [index.search(query[None], top_k=5)[0] for query in queries]
    assert index.search(queries, top_k=5) == alone


def test_blocks_of_rows_find_what_one_would(
    matrix: np.ndarray, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TorchVectors(torch.from_numpy(matrix)).search(queries, top_k=9)
    monkeypatch.setattr("relik.upstream.index.embeddings._BLOCK_ROWS", 7)
    parts = TorchVectors(torch.from_numpy(matrix)).search(queries, top_k=9)
    assert np.array_equal(whole[0], parts[0])
    assert np.array_equal(whole[1], parts[1])


def test_documents_are_taken_by_row_not_by_id(folder: Path, matrix: np.ndarray) -> None:
    for use_faiss in (False, True):
        settings = IndexSettings(name_or_path="x", use_faiss=use_faiss)
        found = DocumentIndex.open(folder, settings=settings).search(matrix[3:4] * 9, top_k=1)
        scores = matrix @ matrix[3]
        assert found[0][0].document.id == 100 + int(scores.argmax())


def test_a_faiss_index_gives_what_the_vectors_give(
    folder: Path, matrix: np.ndarray, queries: np.ndarray
) -> None:
    from relik.vectors.faiss_index import write_faiss

    expected = DocumentIndex.open(folder).search(queries, top_k=8)
    write_faiss(matrix, folder / "index.faiss", kind="exact")
    settings = IndexSettings(name_or_path="x", use_faiss=True)
    index = DocumentIndex.open(folder, settings=settings)
    found = index.search(queries, top_k=8)
    assert [[one.document for one in line] for line in found] == [
        [one.document for one in line] for line in expected
    ]
    with pytest.raises(BundleError, match="open it without use_faiss"):
        index.add([Document("x", 1)], np.zeros((1, DIM), dtype=np.float32))


@pytest.mark.parametrize("top_k", [0, -1])
def test_no_top_k_is_a_clear_error(folder: Path, queries: np.ndarray, top_k: int) -> None:
    with pytest.raises(InputError, match=f"got top_k {top_k}, expected at least 1"):
        DocumentIndex.open(folder).search(queries, top_k=top_k)


def test_more_than_there_are_gives_all(folder: Path, queries: np.ndarray) -> None:
    assert {len(line) for line in DocumentIndex.open(folder).search(queries, top_k=999)} == {ROWS}


def test_wider_queries_are_cut_for_a_matryoshka_index_alone(
    folder: Path, queries: np.ndarray
) -> None:
    wide = np.concatenate([queries, queries], axis=1)
    plain = DocumentIndex.open(folder)
    expected = plain.search(queries, top_k=4)
    with pytest.raises(DimensionMismatchError, match="matryoshka"):
        plain.search(wide, top_k=4)
    assert plain.search(wide, top_k=4, truncate=True) == expected
    for settings in (
        IndexSettings(name_or_path="org/encoder-e5-small-v2-wikipedia-matryoshka-index"),
        IndexSettings(name_or_path="x", matryoshka=True),
    ):
        assert DocumentIndex.open(folder, settings=settings).search(wide, top_k=4) == expected
    with pytest.raises(DimensionMismatchError, match=r"got queries of shape \(7, 4\)"):
        plain.search(np.ascontiguousarray(queries[:, :4]), top_k=4, truncate=True)


def test_a_deleted_document_is_not_found_again(folder: Path, queries: np.ndarray) -> None:
    index = DocumentIndex.open(folder)
    best = index.search(queries[:1], top_k=3)[0]
    assert index.delete(best[0].document) == best[0].document
    assert index.search(queries[:1], top_k=2)[0] == best[1:]
    assert len(index) == ROWS - 1


def test_an_added_document_is_found(folder: Path, queries: np.ndarray) -> None:
    index = DocumentIndex.open(folder)
    index.add(["fresh"], queries[:1] * 9)
    assert index.search(queries[:1], top_k=1)[0][0].document == Document("fresh", ROWS)
    with pytest.raises(DimensionMismatchError, match="expected"):
        index.add(["one", "two"], queries[:1])


def test_an_index_that_was_saved_opens_the_same(
    folder: Path, tmp_path: Path, queries: np.ndarray
) -> None:
    index = DocumentIndex.open(folder)
    index.delete(105)
    index.save(tmp_path / "saved")
    again = DocumentIndex.open(tmp_path / "saved")
    assert again.search(queries, top_k=6) == index.search(queries, top_k=6)
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == [
        "config.yaml",
        "documents.jsonl",
        "embeddings.pt",
    ]


def test_a_pickled_object_is_refused_and_not_run(folder: Path) -> None:
    mark = folder / "mark"
    with (folder / "embeddings.pt").open("wb") as stream:
        torch.save({"vectors": Bomb(mark)}, stream)
    with pytest.raises(
        BundleCorruptError, match=r"embeddings\.pt: is broken or has more than tensors"
    ):
        read_tensor(folder / "embeddings.pt")
    (folder / "embeddings.pt").write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(
        BundleCorruptError, match=r"embeddings\.pt: is broken or has more than tensors"
    ):
        read_tensor(folder / "embeddings.pt")
    assert not mark.exists()


def test_a_bomb_would_go_off_where_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "value",
    [
        {"vectors": torch.zeros(2, 3)},
        [torch.zeros(2, 3)],
        torch.zeros(3),
        torch.zeros(2, 3, dtype=torch.int64),
        torch.zeros(2, 3, dtype=torch.float64),
    ],
)
def test_anything_but_a_matrix_is_refused_by_name(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "embeddings.pt")
    with pytest.raises(BundleCorruptError, match=r"embeddings\.pt: got a"):
        read_tensor(tmp_path / "embeddings.pt")


def test_missing_vectors_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match=r"embeddings\.pt: there is no such file"):
        read_tensor(tmp_path / "embeddings.pt")
    (tmp_path / "embeddings.pt").write_bytes(b"not a tensor")
    with pytest.raises(BundleCorruptError, match="is broken or has more than tensors"):
        read_tensor(tmp_path / "embeddings.pt")


def test_vectors_and_documents_must_be_as_many(folder: Path) -> None:
    torch.save(torch.zeros(ROWS + 1, DIM), folder / "embeddings.pt")
    with pytest.raises(BundleCorruptError, match=f"got {ROWS} documents and {ROWS + 1} vectors"):
        DocumentIndex.open(folder)


def test_an_index_that_names_code_or_another_folder_is_refused(folder: Path) -> None:
    (folder / "config.yaml").write_text("_target_: os.system\n")
    with pytest.raises(ConfigError, match=r"'os\.system'"):
        DocumentIndex.open(folder)
    (folder / "config.yaml").write_text("documents: ../../secrets.jsonl\n")
    with pytest.raises(ConfigError, match="a name without folders"):
        DocumentIndex.open(folder)
    (folder / "config.yaml").write_text("documents: documents.jsonl\nseparator: ' <def> '\n")
    assert DocumentIndex.open(folder).settings["separator"] == " <def> "


def test_an_empty_index_finds_nothing(queries: np.ndarray) -> None:
    index = DocumentIndex(DocumentStore(), TorchVectors(torch.zeros(0, DIM)))
    assert index.search(queries, top_k=3) == [[]] * len(queries)


def test_a_device_that_torch_cannot_use_is_refused(folder: Path) -> None:
    for device in ("gpu", "cuda:99"):
        with pytest.raises(ConfigError, match=f"got the device '{device}'"):
            DocumentIndex.open(folder, device=device)


def test_candidates_and_scores_are_those_that_upstream_answered(released: Any) -> None:
    pytest.importorskip("transformers")
    from relik.upstream.index.query_encoder import UpstreamEncoder

    opened: dict[str, tuple[Any, DocumentIndex]] = {}
    lines = 0
    for case in released.cases:
        for retrieved in case.get("retrieved", []):
            name = retrieved["encoder"]
            if name not in opened:
                index = released.folder / name.replace("encoder", "index")
                encoder = UpstreamEncoder.open(released.folder / name)
                opened[name] = encoder, DocumentIndex.open(index)
            encoder, index = opened[name]
            texts = [window["text"] for window in case["windows"]]
            found = index.search(encoder.encode(texts), top_k=retrieved["k"])
            for ours, gold in zip(found, retrieved["results"], strict=True):
                lines += 1
                scores = {number: score for number, _, score in gold}
                assert [one.score for one in ours] == pytest.approx(
                    [scores[one.document.id] for one in ours], abs=5e-5
                )
                # Only documents whose scores are equal but for rounding may change places.
                ranked = [scores[one.document.id] for one in ours]
                assert ranked == pytest.approx(sorted(ranked, reverse=True), abs=2e-5)
    assert lines
