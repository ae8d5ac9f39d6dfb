import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.commands.document_stream import read_documents
from relik.errors import InputError
from relik.types import Document


def read(*arguments: str, files: tuple[Path, ...] = (), stdin: bytes = b"") -> list[Document]:
    return list(read_documents(arguments, files=files, stdin=io.BytesIO(stdin)))


def test_arguments_are_texts_in_order() -> None:
    assert read("one", "two") == [
        Document(doc_id="1", text="one"),
        Document(doc_id="2", text="two"),
    ]


def test_an_empty_argument_and_a_very_long_one_are_texts() -> None:
    assert [document.text for document in read("", "x" * 5000, "a\0b")] == ["", "x" * 5000, "a\0b"]


def test_an_argument_that_is_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\n one\r\ntwo\n")
    document = Document(doc_id=str(path), text="\n one\r\ntwo\n")
    assert read(str(path)) == read(files=(path,)) == [document]


def test_json_lines_keep_their_ids_and_others_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n {"text": "a"}\n\n{"id": 7, "text": "b"}\n{"id": 0, "text": ""}')
    assert read("first", str(path)) == [
        Document(doc_id="1", text="first"),
        Document(doc_id="2", text="a"),
        Document(doc_id="7", text="b"),
        Document(doc_id="0", text=""),
    ]


def test_standard_input_is_read_where_it_is_named() -> None:
    assert [d.text for d in read("a", "-", "b", stdin=b"plain")] == ["a", "plain", "b"]
    assert [d.text for d in read("-", stdin=b'{"text": "c"}\r\n')] == ["c"]
    assert [d.text for d in read("-", stdin=b"")] == [""]


def test_json_lines_are_read_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\nbad')
    documents = read_documents([], files=[path], stdin=io.BytesIO())
    assert next(documents).text == "good"
    with pytest.raises(InputError, match=r"a\.jsonl, line 2: is not JSON"):
        next(documents)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"text": "a"}\n{"text": "\xff"}', "line 2: is not UTF-8"),
        (b"good\nbad \xff", "line 2: is not UTF-8"),
        (b'{"text": "a"}\n["b"]', "line 2: got no text"),
        (b'{"text": 3}', "line 1: got no text"),
        (b'{"id": "a"}', "line 1: got no text"),
        (b"{not json", "line 1: is not JSON"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read(files=(path,))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt: cannot be read"):
        read(files=(tmp_path / "gone.txt",))


def test_a_byte_order_mark_is_not_text() -> None:
    assert [d.text for d in read("-", stdin=b"\xef\xbb\xbfplain")] == ["plain"]
    assert [d.text for d in read("-", stdin=b'\xef\xbb\xbf{"text": "a"}')] == ["a"]


@given(st.lists(st.text(), min_size=1))
def test_any_text_comes_out_of_json_lines_unchanged(texts: list[str]) -> None:
    stdin = "\n".join(json.dumps({"text": text}) for text in texts).encode()
    assert [document.text for document in read("-", stdin=stdin)] == texts


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_plain_text_comes_through_unchanged(text: str) -> None:
    if not text.lstrip().startswith("{") and not text.startswith("\ufeff"):
        assert [document.text for document in read("-", stdin=text.encode())] == [text]
