"""Records and their ids on disk: an Arrow file read row by row, and a trie from ids to rows."""

import functools
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import marisa_trie
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relik.errors import BundleCorruptError, InputError
from relik.types import Entity, IntArray

CACHED_BATCHES = 128
ROW_DTYPE = np.dtype("<u4")

_AGAIN = "fetch or build it again"


def encoder_text(entity: Entity) -> str:
    """Write a record as the text whose vector stands for it in the index.

    Aliases are left out: names are matched exactly beside the dense search, so the vector is
    better spent on what the record is.

    Args:
        entity: The record.

    Returns:
        Name and description.
    """
    return f"{entity.name} {entity.description}" if entity.description else entity.name


def candidate_text(entity: Entity) -> str:
    """Write a record as the reader sees it among the candidates of a window.

    Args:
        entity: The record.

    Returns:
        The name, followed by the description after a comma if there is one.
    """
    return f"{entity.name}, {entity.description}" if entity.description else entity.name


def schema(*, wide: bool) -> pa.Schema:
    """Return the columns of `records.arrow`.

    Args:
        wide: Token ids need 32 bits.

    Returns:
        The Arrow schema.
    """
    text = pa.string()
    return pa.schema(
        [
            ("id", text),
            ("name", text),
            ("aliases", pa.list_(text)),
            ("description", text),
            ("types", pa.list_(text)),
            ("count", pa.uint32()),
            ("tokens", pa.list_(pa.uint32() if wide else pa.uint16())),
        ]
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Consecutive rows, with the columns that are read most laid out for fast access."""

    ids: pa.Array
    names: pa.Array
    aliases: pa.Array
    descriptions: pa.Array
    types: pa.Array
    counts: NDArray[np.uint32]
    token_starts: NDArray[np.int32]
    tokens: NDArray[np.unsignedinteger]


class RecordTable:
    """The records of a knowledge base by row.

    An uncompressed file is memory-mapped and read in place. Batches of a compressed one are
    decompressed when a row of theirs is read, and the last few are kept. Safe for threads.

    Args:
        path: The file.
        cached_batches: Batches kept.

    Raises:
        BundleCorruptError: The file is missing or is not such a table.
    """

    def __init__(self, path: Path, *, cached_batches: int = CACHED_BATCHES) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        except (pa.ArrowException, OSError) as error:
            raise BundleCorruptError(f"{path}: is not an Arrow file ({error}): {_AGAIN}") from error
        found = self._reader.schema
        if not any(found.equals(schema(wide=wide)) for wide in (False, True)):
            raise BundleCorruptError(
                f"{path}: got the columns {', '.join(found.names)}, expected "
                f"{', '.join(schema(wide=False).names)}: {_AGAIN}"
            )
        self._batch = functools.lru_cache(maxsize=cached_batches)(self._read)
        last = self._reader.num_record_batches - 1
        # Every batch but the last has the same size, so a row is found by division.
        self._batch_rows = max(1, len(self._batch(0).counts)) if last >= 0 else 1
        self._length = last * self._batch_rows + len(self._batch(last).counts) if last >= 0 else 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._length

    def entity_id(self, row: int) -> str:
        """Return the id of a record.

        Args:
            row: Its row.

        Returns:
            The id.

        Raises:
            InputError: There is no such row.
        """
        batch, at = self._place(row)
        return str(batch.ids[at])

    def name(self, row: int) -> str:
        """Return the preferred name of a record.

        Args:
            row: Its row.

        Returns:
            The name.

        Raises:
            InputError: There is no such row.
        """
        batch, at = self._place(row)
        return str(batch.names[at])

    def record(self, row: int) -> Entity:
        """Return a record.

        Args:
            row: Its row.

        Returns:
            The record.

        Raises:
            InputError: There is no such row.
        """
        batch, at = self._place(row)
        return Entity(
            entity_id=str(batch.ids[at]),
            name=str(batch.names[at]),
            aliases=tuple(batch.aliases[at].as_py()),
            description=str(batch.descriptions[at]),
            types=tuple(batch.types[at].as_py()),
        )

    def count(self, row: int) -> int:
        """Return how often a record is meant by the surface forms it was built with.

        Args:
            row: Its row.

        Returns:
            The sum over its surface forms.

        Raises:
            InputError: There is no such row.
        """
        batch, at = self._place(row)
        return int(batch.counts[at])

    def token_ids(self, row: int) -> IntArray:
        """Return the tokens by which the reader knows a record.

        Args:
            row: Its row.

        Returns:
            Int64, (n_tokens,), without special tokens.

        Raises:
            InputError: There is no such row.
        """
        return self.tokens_of([row])[0]

    def tokens_of(self, rows: Iterable[int]) -> list[IntArray]:
        """Return the tokens of several records, as `token_ids` does."""
        tokens = []
        for row in rows:
            batch, at = self._place(row)
            start, end = batch.token_starts[at : at + 2]
            tokens.append(batch.tokens[start:end].astype(np.int64))
        return tokens

    def _place(self, row: int) -> tuple[_Batch, int]:
        if not 0 <= row < self._length:
            raise InputError(
                f"got row {row}, expected 0 <= row < {self._length}: "
                "rows belong to the knowledge base they were found in"
            )
        number, at = divmod(int(row), self._batch_rows)
        return self._batch(number), at

    def _read(self, number: int) -> _Batch:
        try:
            with self._lock:
                batch = self._reader.get_batch(number)
        except (pa.ArrowException, OSError) as error:
            raise BundleCorruptError(
                f"{self._path}: batch {number} cannot be read ({error}): {_AGAIN}"
            ) from error
        tokens = batch.column("tokens")
        return _Batch(
            ids=batch.column("id"),
            names=batch.column("name"),
            aliases=batch.column("aliases"),
            descriptions=batch.column("description"),
            types=batch.column("types"),
            counts=batch.column("count").to_numpy(),
            token_starts=tokens.offsets.to_numpy(),
            tokens=tokens.values.to_numpy(),
        )


class IdTable:
    """From the id of a record to its row; memory-mapped.

    Args:
        trie_path: Trie of the ids.
        rows_path: For each key of the trie its row, as little-endian 32-bit numbers.

    Raises:
        BundleCorruptError: A file is missing, or the two do not belong together.
    """

    def __init__(self, trie_path: Path, rows_path: Path) -> None:
        try:
            self._trie = marisa_trie.Trie().mmap(str(trie_path))
            self._rows = np.memmap(rows_path, dtype=ROW_DTYPE, mode="r")
        except (OSError, RuntimeError, ValueError) as error:
            raise BundleCorruptError(
                f"{trie_path}: ids cannot be mapped ({error}): {_AGAIN}"
            ) from error
        if len(self._trie) != len(self._rows):
            raise BundleCorruptError(
                f"{trie_path}: got {len(self._trie)} ids and {len(self._rows)} rows, "
                f"expected as many: {_AGAIN}"
            )

    def __len__(self) -> int:
        """Return the number of ids."""
        return len(self._rows)

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of a record.

        Args:
            entity_id: Its id.

        Returns:
            The row, or None if no record has that id.
        """
        key = self._trie.get(entity_id)
        return None if key is None else int(self._rows[key])

    def rows_of(self, entity_ids: Iterable[str]) -> list[int | None]:
        """Return the rows of records, None for unknown ids."""
        keys = map(self._trie.get, entity_ids)
        return [None if key is None else int(self._rows[key]) for key in keys]
