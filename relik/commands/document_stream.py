"""Documents from the command line: texts, files and standard input, read as a stream."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO

from relik.errors import InputError
from relik.types import Document

STDIN = "-"
_BOM = b"\xef\xbb\xbf"


def read_documents(
    arguments: Sequence[str], *, files: Sequence[Path], stdin: IO[bytes]
) -> Iterator[Document]:
    """Read documents one by one; only plain texts are read into memory whole.

    Args:
        arguments: Texts, or paths of files that exist, or "-" for standard input.

    Yields:
        Documents in order. A document without an id gets the path of its plain text, or its
        position in the whole input, from 1.

    Raises:
        InputError: A file cannot be read, is not UTF-8, or has a line of another shape.
    """
    count = 0
    for source, name in _find_sources(arguments, files):
        if name is None:
            found: Iterable[Document] = [Document(doc_id="", text=str(source))]
        elif name == STDIN:
            found = _read_stream(stdin, "standard input", plain_id=STDIN)
        else:
            found = _read_file(Path(name))
        for document in found:
            count += 1
            yield (document if document.doc_id else Document(doc_id=str(count), text=document.text))


def _find_sources(
    arguments: Sequence[str], files: Sequence[Path]
) -> Iterator[tuple[str, str | None]]:
    for argument in arguments:
        yield argument, argument if argument == STDIN or _is_file(argument) else None
    for path in files:
        yield "", str(path)


def _is_file(argument: str) -> bool:
    try:
        return Path(argument).is_file()
    except OSError:  # a text longer than any path can be
        return False


def _read_file(path: Path) -> Iterator[Document]:
    try:
        with path.open("rb") as stream:
            yield from _read_stream(stream, str(path), plain_id=str(path))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}), expected text or JSON Lines: "
            "check the path"
        ) from error


def _read_stream(stream: IO[bytes], where: str, *, plain_id: str) -> Iterator[Document]:
    lines = enumerate(stream, start=1)
    blank: list[bytes] = []
    for number, line in lines:
        line = line.removeprefix(_BOM) if number == 1 else line
        if line.lstrip().startswith(b"{"):
            for at, record in chain([(number, line)], lines):
                if record.strip():
                    yield _parse_document(record, f"{where}, line {at}")
            return
        blank.append(line)
        if line.strip():
            break
    raw = b"".join(chain(blank, (line for _, line in lines)))
    yield Document(doc_id=plain_id, text=_decode(raw, where))


def _decode(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(_not_utf8(f"{where}, line {line}", error)) from error


def _parse_document(line: bytes, where: str) -> Document:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(_not_utf8(where, error)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: is not JSON ({error}), expected one JSON object per line in input that "
            'starts with "{": correct the line, or pass the text as the "text" of an object'
        ) from error
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise InputError(
            f'{where}: got no text, expected {{"id"?: ..., "text": "..."}}: correct the line'
        )
    given = record.get("id")
    return Document(doc_id="" if given is None else str(given), text=text)


def _not_utf8(where: str, error: UnicodeDecodeError) -> str:
    return f"{where}: is not UTF-8 ({error.reason}), expected UTF-8: convert the input"
