"""The parts of a knowledge index on disk: records, ids, names, version, and the draft folder."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import marisa_trie
import numpy as np
import pyarrow as pa

from relik.errors import BundleError, InputError
from relik.kb.knowledge_base import FILES, ID_ROWS, IDS, NAMES
from relik.kb.records import ROW_DTYPE
from relik.manifest import publish, read_manifest
from relik.names.trie import MATCH_FORMAT, NameMatch
from relik.types import Entity

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a stage, how many of its steps are done, and how many there are."""

_ZSTD_LEVEL = 19


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""


def now() -> str:
    """Return the time in UTC, in seconds, for a manifest."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_target(out: Path, *, kind: str, force: bool) -> None:
    """Refuse a target that exists.

    Args:
        kind: Kind of artefact, as in the manifest.
        force: Allow a target of the same kind, or an empty folder.

    Raises:
        InputError: The target exists and must not be replaced.
    """
    if not out.exists() or (out.is_dir() and force and not any(out.iterdir())):
        return
    if not force:
        raise InputError(
            f"{out}: exists, expected a new folder: choose another one, or use --force"
        )
    try:
        read_manifest(out, kind=kind)
    except BundleError as error:
        named = kind.replace("-", " ")
        raise InputError(
            f"{out}: is not a {named}, so that it is not replaced: choose another folder"
        ) from error


@contextmanager
def aside(out: Path, *, replace: bool) -> Iterator[Path]:
    """Create a draft folder beside the target, which takes its place unless there is an error.

    Raises:
        BundleError: The target cannot be written.
    """
    folder = out.with_name(f".{out.name}.building-{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
        publish(folder, out, replace=replace)
    except OSError as error:
        raise BundleError(
            f"{out}: cannot be written ({error.strerror or error}): "
            "check the free space and the permissions"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_options(compression: str) -> pa.ipc.IpcWriteOptions:
    """Return Arrow's options for a compression, "none" or "zstd"."""
    # An index is written once and read often, so that a slow, strong compression pays.
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
        counts: Number of links to each record.
        tokens: Token ids of each candidate.
        columns: A schema by `relik.kb.records.schema`.
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
        ids: Returns an iterator over all ids in row order; called twice.
    """
    trie = marisa_trie.Trie(ids())
    row_of_key = np.empty(rows, dtype=ROW_DTYPE)
    for row, entity_id in enumerate(ids()):
        row_of_key[trie[entity_id]] = row
    trie.save(str(folder / IDS))
    (folder / ID_ROWS).write_bytes(row_of_key.tobytes())


def write_names(folder: Path, matches: Iterable[Mapping[str, NameMatch]]) -> None:
    """Write the trie of names.

    Args:
        matches: The entries of each record, by normalised name.
    """
    entries = (
        (key, (match.row, match.count, match.flags))
        for of_record in matches
        for key, match in of_record.items()
    )
    marisa_trie.RecordTrie(MATCH_FORMAT, entries).save(str(folder / NAMES))


def version_of(folder: Path) -> str:
    """Hash the files of a knowledge index to a version of 16 hexadecimal digits."""
    digest = hashlib.sha256()
    # An index whose records are all candidates of every window has no vectors.
    for name in sorted(name for name in FILES if (folder / name).is_file()):
        with (folder / name).open("rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]
