"""Documents are read row by row, found by id or text, added and deleted."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.errors import BundleCorruptError, BundleNotFoundError, InputError
from relik.upstream.index.documents import Document, DocumentStore, as_document, candidate_text

ROWS = [
    {"text": "Rome", "id": 7, "metadata": {"definition": "capital of Italy", "code": 3}},
    {"text": "Paris", "id": "Q90", "metadata": {"definition": None}},
    {"text": "Nowhere"},
    {"text": "Rome", "id": 9, "metadata": {"definition": "a band"}},
    {"text": "Second 7", "id": 7},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "documents.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture
def store(path: Path) -> DocumentStore:
    return DocumentStore.open(path)


def test_rows_are_read_in_their_order(store: DocumentStore) -> None:
    assert [document.text for document in store] == [str(row["text"]) for row in ROWS]
    assert store[1] == Document("Paris", "Q90", {"definition": None})


def test_a_missing_id_is_the_row_in_every_process(store: DocumentStore) -> None:
    assert store[2].id == 2
    assert store.get(2) == store[2]


def test_an_id_that_stands_twice_finds_its_first_row(store: DocumentStore) -> None:
    assert store.get(7) == store[0]
    assert store.row_of("Rome") == 0


def test_ids_are_found_by_id_then_by_text(store: DocumentStore) -> None:
    assert store.row_of("Q90") == store.row_of("Paris") == 1
    assert store.row_of(store[3]) == 3
    assert store.row_of(Document("Paris")) == 1
    assert store.get("Atlantis") is None
    assert "Paris" in store
    assert 12345 not in store
    assert 1.5 not in store


def test_metadata_can_be_left_out(path: Path) -> None:
    assert DocumentStore.open(path, skip_metadata=True)[0] == Document("Rome", 7)


@pytest.mark.parametrize("key", [9, "Q90", "Nowhere", Document("Rome", 9)])
def test_a_document_is_deleted_by_id_text_or_itself(
    store: DocumentStore, key: str | int | Document
) -> None:
    row = store.row_of(key)
    assert row is not None
    deleted = store.delete(key)
    assert deleted not in list(store)
    assert len(store) == len(ROWS) - 1
    assert store.n_rows == len(ROWS)
    assert store.deleted.tolist() == [row]
    with pytest.raises(InputError, match="was not deleted"):
        _ = store[row]


def test_deleting_what_is_not_there_is_refused(store: DocumentStore) -> None:
    store.delete("Q90")
    with pytest.raises(InputError, match="expected the id or the text of a document"):
        store.delete("Q90")


def test_the_next_row_of_a_doubled_id_is_found_once_the_first_is_deleted(
    store: DocumentStore,
) -> None:
    store.delete(7)
    assert store.row_of(7) == 4


def test_documents_are_added_behind_the_others(store: DocumentStore) -> None:
    rows = store.add([Document("Ulm", "Q3012"), "Berne", {"text": "Oslo", "id": 585}])
    assert rows == [5, 6, 7]
    assert store.get("Q3012") == Document("Ulm", "Q3012")
    assert store.get("Berne") == Document("Berne", 6)
    assert store.get(585) == store[7]
    assert store.delete("Oslo").id == 585
    assert len(store) == 7


@pytest.mark.parametrize("taken", [7, "Q90", 2])
def test_an_id_that_is_taken_is_refused(store: DocumentStore, taken: str | int) -> None:
    with pytest.raises(InputError, match="expected a new id"):
        store.add([Document("Other", taken)])


@given(st.lists(st.tuples(st.text(), st.none() | st.integers() | st.text()), max_size=8))
def test_what_was_saved_opens_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str | int | None]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "documents.jsonl"
    lines = [json.dumps({"text": text, "id": number}) for text, number in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    store = DocumentStore.open(path)
    assert [document.text for document in store] == [text for text, _ in rows]
    again = path.with_name("again.jsonl")
    store.save(again)
    assert list(DocumentStore.open(again)) == list(store)
    for document in store:
        found = store.get(document)
        assert found is not None
        assert found.id == document.id


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_last_line_may_lack_its_end(tmp_path: Path, end: str) -> None:
    path = tmp_path / "documents.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a\xe2\x80\xa8b"}\n{"text": "c"}' + end.encode())
    assert [document.text for document in DocumentStore.open(path)] == ["a\u2028b", "c"]


def test_no_documents_are_none(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    path.touch()
    assert len(DocumentStore.open(path)) == 0
    assert DocumentStore.open(path).get("x") is None
    with pytest.raises(BundleNotFoundError, match="the documents of an index"):
        DocumentStore.open(tmp_path / "missing.jsonl")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '"a text"',
        "[]",
        '{"id": 1}',
        '{"text": 3}',
        '{"text": "a", "id": [1]}',
        "\xff",
        "[" * 99999,
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "documents.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' + line.encode("latin-1") + b"\n")
    store = DocumentStore.open(path)
    assert store[0].text == "fine"
    if line == '"a text"':
        assert store[1].text == "a text"
        return
    with pytest.raises(BundleCorruptError, match=r"documents\.jsonl, line 2"):
        _ = store[1]


def test_a_row_out_of_range_is_refused(store: DocumentStore) -> None:
    for row in (-1, len(ROWS)):
        with pytest.raises(InputError, match=f"got row {row}"):
            _ = store[row]


def test_opening_many_documents_holds_eight_bytes_a_row(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    count = 200_000
    with path.open("w") as stream:
        stream.writelines(f'{{"text": "Entity {i}", "id": {i}}}\n' for i in range(count))
    tracemalloc.start()
    store = DocumentStore.open(path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert store[count - 1].text == f"Entity {count - 1}"
    assert held < 10 * count


def test_candidate_text_is_upstreams_without_a_separator() -> None:
    document = Document("Rome", 7, {"definition": "capital", "code": 3, "none": None})
    assert candidate_text(document, ["definition", "code", "none", "missing"]) == "Romecapital3"
    assert candidate_text(document, []) == "Rome"


def test_a_candidate_may_be_a_text_a_document_or_an_object() -> None:
    assert as_document("Rome") == Document("Rome")
    assert as_document({"text": "Rome", "id": 7}) == Document("Rome", 7)
    for wrong in (3, None, {"title": "Rome"}, ["Rome"]):
        with pytest.raises(InputError, match="expected a document"):
            as_document(wrong)
