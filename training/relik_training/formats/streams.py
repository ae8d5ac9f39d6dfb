"""Reading and writing of text and JSON files, plain or gzip; errors name the file and the line."""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from relik.errors import InputError
from relik_training.formats.conversion_report import Report

_BOM = b"\xef\xbb\xbf"
_LINES_BETWEEN_PROGRESS = 256


def read_lines(path: Path, report: Report) -> Iterator[tuple[str, str]]:
    """Read the lines of a file; only line feeds end a line.

    Args:
        path: The file; gzip if its name ends in .gz.

    Yields:
        File and line number for messages, and the line with its end.

    Raises:
        InputError: The file cannot be read, is truncated, or is not UTF-8.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            stream = gzip.open(raw) if path.suffix == ".gz" else raw  # noqa: SIM115  # closes with raw
            for number, line in enumerate(cast(IO[bytes], stream), start=1):
                where = f"{path}, line {number}"
                yield where, _decoded(line.removeprefix(_BOM) if number == 1 else line, where)
                if number % _LINES_BETWEEN_PROGRESS == 0:
                    report.progress(raw.tell(), size)
            report.progress(size, size)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}, line {number + 1}: cannot be read ({error}): give a complete file, whose "
            "name ends in .gz if and only if it is gzip"
        ) from error


def read_text(path: Path, report: Report) -> str:
    """Read a text file; gzip if its name ends in .gz.

    Raises:
        InputError: The file cannot be read, is truncated, or is not UTF-8.
    """
    return "".join(line for _, line in read_lines(path, report))


def read_bytes(path: Path) -> bytes:
    """Read a binary file; gzip if its name ends in .gz.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}): give a complete file") from error


def read_objects(path: Path, report: Report) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read JSON objects, one per line, or in one array, which is held in memory.

    Args:
        path: The file; gzip if its name ends in .gz.

    Yields:
        File and line or document number for messages, and the object.

    Raises:
        InputError: The file cannot be read, or has another shape.
    """
    lines = ((where, line) for where, line in read_lines(path, report) if line.strip())
    first = next(lines, None)
    if first is None:
        return
    if first[1].lstrip().startswith("["):
        # Read again with blank lines, which line numbers of messages count.
        values = parse_json(read_text(path, report), path)
        for number, value in enumerate(values, start=1):
            report.progress(number, len(values))
            yield _object(value, f"{path}, document {number}")
    else:
        for where, line in chain([first], lines):
            yield _object(_parsed(line, where), where)


def parse_json(text: str, path: Path) -> Any:
    """Parse the JSON of a file.

    Args:
        path: The file, for messages.

    Raises:
        InputError: It is not JSON; the message names the line.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}: is not JSON ({error.msg}): correct it, or give the "
            "format that the file has"
        ) from error
    except RecursionError as error:
        raise InputError(f"{path}: got JSON that is nested too deeply: correct it") from error


@contextmanager
def expecting(where: str, shape: str) -> Iterator[None]:
    """Convert errors on a value of another shape to an `InputError` that names its line.

    Raises:
        InputError: The value has another shape.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(
            f"{where}: got another shape ({type(error).__name__}: {error}), expected {shape}: "
            "give the format that the file has"
        ) from error


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a draft file beside the target, and rename it to the target at the end.

    Raises:
        InputError: The file cannot be written.
    """
    draft = path.parent / f".{os.getpid()}.{path.name}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error}): give the name of a file") from error


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing; gzip, with reproducible bytes, if its name ends in .gz."""
    with path.open("wb") as raw:
        if path.suffix != ".gz":
            yield raw
            return
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as compressed:
            yield cast(IO[bytes], compressed)


def write_objects(values: Iterable[object], path: Path) -> int:
    """Write JSON values, one per line, and return their number."""
    count = 0
    with written(path) as out:
        for value in values:
            out.write(to_json(value) + b"\n")
            count += 1
    return count


def write_array(values: Iterable[object], path: Path) -> None:
    """Write one JSON array, with one value per line."""
    with written(path) as out:
        out.write(b"[")
        for number, value in enumerate(values):
            out.write((b",\n" if number else b"\n") + to_json(value))
        out.write(b"\n]\n")


def to_json(value: object) -> bytes:
    """Encode a value as one line of JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: is not UTF-8 ({error.reason} at byte {error.start}): convert the file"
        ) from error


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: is not JSON ({error}): correct it, or give the format that the file has"
        ) from error


def _object(value: Any, where: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise InputError(
            f"{where}: got a {type(value).__name__}, expected a JSON object: "
            "give the format that the file has"
        )
    return where, value
