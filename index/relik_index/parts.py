"""Writes the parts of a knowledge index, and puts a finished folder in its place."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import marisa_trie
import numpy as np
import pyarrow as pa

from relik.errors import BundleError, InputError
from relik.kb.knowledge_base import FILES, ID_ROWS, IDS, NAMES
from relik.kb.records import ROW_DTYPE
from relik.manifest import read_manifest
from relik.names.trie import MATCH_FORMAT, NameMatch
from relik.types import Entity

_ZSTD_LEVEL = 19


def check_target(out: Path, *, kind: str, force: bool) -> None:
    """Refuse a target that is taken.

    Args:
        out: The folder to make.
        kind: What its manifest will say it is.
        force: It may take the place of a folder of the same kind, or of an empty one.

    Raises:
        InputError: Something is there that shall not be replaced.
    """
    if not out.exists() or (out.is_dir() and force and not any(out.iterdir())):
        return
    if not force:
        raise InputError(f"{out}: is there already: choose another folder, or use --force")
    try:
        read_manifest(out, kind=kind)
    except BundleError as error:
        named = kind.replace("-", " ")
        raise InputError(
            f"{out}: is not a {named}, so it is not replaced: choose another folder"
        ) from error


@contextmanager
def aside(out: Path) -> Iterator[Path]:
    """Make a folder beside the target, which is gone afterwards unless it was renamed.

    Args:
        out: The target.

    Yields:
        The folder.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(f".{out.name}.building-{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_options(compression: str) -> pa.ipc.IpcWriteOptions:
    """Return how records are written.

    Args:
        compression: "none" or "zstd".

    Returns:
        Arrow's options.
    """
    # Written once and read for years: the slowest level of compression is the cheapest.
    codec = pa.Codec("zstd", compression_level=_ZSTD_LEVEL) if compression == "zstd" else None
    return pa.ipc.IpcWriteOptions(compression=codec)


def record_batch(
    entities: Sequence[Entity],
    counts: Sequence[int],
    tokens: Sequence[Sequence[int]],
    columns: pa.Schema,
) -> pa.RecordBatch:
    """Lay records out in columns.

    Args:
        entities: The records.
        counts: How often the surface forms of each meant it.
        tokens: Token ids of each.
        columns: As `relik.kb.records.schema` gives them.

    Returns:
        The batch.
    """
    values = (
        [entity.entity_id for entity in entities],
        [entity.name for entity in entities],
        [entity.aliases for entity in entities],
        [entity.description for entity in entities],
        [entity.types for entity in entities],
        counts,
        tokens,
    )
    arrays = [pa.array(column, type=f.type) for column, f in zip(values, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def write_ids(folder: Path, ids: Callable[[], Iterable[str]], *, rows: int) -> None:
    """Write the trie of ids, and the row of each.

    Args:
        folder: The folder of the index.
        ids: Gives all ids in the order of their rows, each time it is called.
        rows: How many there are.
    """
    trie = marisa_trie.Trie(ids())
    places = np.empty(rows, dtype=ROW_DTYPE)
    for row, entity_id in enumerate(ids()):
        places[trie[entity_id]] = row
    trie.save(str(folder / IDS))
    (folder / ID_ROWS).write_bytes(places.tobytes())


def write_names(folder: Path, matches: Iterable[Mapping[str, NameMatch]]) -> None:
    """Write the trie of names.

    Args:
        folder: The folder of the index.
        matches: For each record what each of its normalised names leads to.
    """
    entries = (
        (key, (match.row, match.count, match.flags))
        for of_record in matches
        for key, match in of_record.items()
    )
    marisa_trie.RecordTrie(MATCH_FORMAT, entries).save(str(folder / NAMES))


def version_of(folder: Path) -> str:
    """Name the content of a knowledge index: the same files give the same version.

    Args:
        folder: Its folder.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    # Where every record is given to every window, there are no vectors.
    for name in sorted(name for name in FILES if (folder / name).is_file()):
        with (folder / name).open("rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]
