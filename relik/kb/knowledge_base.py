"""An opened knowledge index: records by id and by row, names, and vectors."""

from collections.abc import Iterable
from pathlib import Path

from relik.errors import BundleCorruptError
from relik.kb.records import IdTable, RecordTable
from relik.manifest import Manifest, check_size, read_manifest, verify_files
from relik.names.resolve import NamePolicy
from relik.names.trie import NameTrie
from relik.types import Entity, IntArray, VectorIndex
from relik.vectors.no_vectors import NO_VECTORS, NoVectors

KIND = "knowledge-index"
RECORDS = "records.arrow"
IDS = "ids.trie"
ID_ROWS = "ids.rows"
NAMES = "names.trie"
VECTORS = "vectors.faiss"
WITHOUT_VECTORS = (RECORDS, IDS, ID_ROWS, NAMES)
FILES = (*WITHOUT_VECTORS, VECTORS)

_AGAIN = "fetch or build it again"


class KnowledgeBase:
    """Records of entities or of relations; read-only and safe for threads.

    Attributes:
        version: Names its content.
        policy: How its names are resolved.
        any_case: Built for names that text has in lower case though records do not: a list of
            terms.
        dim: Width of the vectors; 0 where there are none.
        counted: Its names were counted in linked text of the user's own.

    Args:
        manifest: What the index says of itself.
        records: Records by row.
        ids: Rows by id.
        names: Rows by name.
        index: Vectors by row.

    Raises:
        BundleCorruptError: The parts have different numbers of rows, or vectors of another width
            than the manifest says.
    """

    def __init__(
        self,
        *,
        manifest: Manifest,
        records: RecordTable,
        ids: IdTable,
        names: NameTrie,
        index: VectorIndex,
    ) -> None:
        self.manifest = manifest
        self.version = manifest.value("version", str)
        self.policy = NamePolicy.from_manifest(manifest.fields)
        self.any_case = self.policy.terms
        self.counted = self.policy.counted
        self.names = names
        self.index = index
        self.dim = index.dim
        self._records = records
        self._ids = ids
        expected = manifest.value("rows", int)
        for part, found in ((RECORDS, records), (IDS, ids), (VECTORS, index)):
            if len(found) != expected:
                raise BundleCorruptError(
                    f"{part} of knowledge index {self.version}: has {len(found)} rows, "
                    f"expected {expected}: {_AGAIN}"
                )
        if index.dim != manifest.value("dim", int):
            raise BundleCorruptError(
                f"{VECTORS} of knowledge index {self.version}: has {index.dim} dimensions, "
                f"expected {manifest.value('dim', int)}: {_AGAIN}"
            )

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> "KnowledgeBase":
        """Open a knowledge index that was built.

        Args:
            path: Its folder.
            verify: Compare every file with its checksum; otherwise only with its size.

        Returns:
            The knowledge base.

        Raises:
            BundleNotFoundError: There is no index.
            BundleVersionError: It was written in a newer format.
            BundleCorruptError: A file is missing, truncated or altered; the message names it.
            BundleError: The folder holds something else.
        """
        # Vectors are the business of the retriever, which builds on this package; its index
        # module depends on neither, and only opening needs it.
        from relik.vectors.faiss_index import FaissIndex

        manifest = read_manifest(path, kind=KIND)
        if verify:
            verify_files(path, manifest)
        _check_sizes(path, manifest)
        records = RecordTable(path / RECORDS)
        return cls(
            manifest=manifest,
            records=records,
            ids=IdTable(path / IDS, path / ID_ROWS),
            names=NameTrie.open(path / NAMES),
            index=FaissIndex.open(path / VECTORS)
            if _has_vectors(manifest)
            else NoVectors(len(records)),
        )

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def __contains__(self, entity_id: object) -> bool:
        """Tell whether a record has an id."""
        return isinstance(entity_id, str) and self._ids.row_of(entity_id) is not None

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of a record.

        Args:
            entity_id: Its id.

        Returns:
            The row, or None if no record has that id.
        """
        return self._ids.row_of(entity_id)

    def rows_of(self, entity_ids: Iterable[str]) -> list[int | None]:
        """Return the rows of records, None for unknown ids."""
        return self._ids.rows_of(entity_ids)

    def entity_id(self, row: int) -> str:
        """Return the id of a record.

        Args:
            row: Its row.

        Returns:
            The id.

        Raises:
            InputError: There is no such row.
        """
        return self._records.entity_id(row)

    def name(self, row: int) -> str:
        """Return the preferred name of a record.

        Args:
            row: Its row.

        Returns:
            The name.

        Raises:
            InputError: There is no such row.
        """
        return self._records.name(row)

    def record(self, row: int) -> Entity:
        """Return a record.

        Args:
            row: Its row.

        Returns:
            The record.

        Raises:
            InputError: There is no such row.
        """
        return self._records.record(row)

    def token_ids(self, row: int) -> IntArray:
        """Return the tokens by which the reader knows a record: int64, (n_tokens,).

        Raises:
            InputError: There is no such row.
        """
        return self._records.token_ids(row)

    def tokens_of(self, rows: Iterable[int]) -> list[IntArray]:
        """Return the tokens of several records, as `token_ids` does."""
        return self._records.tokens_of(rows)

    def count(self, row: int) -> int:
        """Return how often a record is meant by the surface forms it was built with.

        Args:
            row: Its row.

        Returns:
            The sum over its surface forms; 0 where unknown.

        Raises:
            InputError: There is no such row.
        """
        return self._records.count(row)


def _has_vectors(manifest: Manifest) -> bool:
    return manifest.fields.get("vectors") != NO_VECTORS


def _check_sizes(path: Path, manifest: Manifest) -> None:
    """Refuse a file of the wrong size: mapping a truncated one could end the process."""
    for name in FILES if _has_vectors(manifest) else WITHOUT_VECTORS:
        entry = manifest.files.get(name)
        if entry is None:
            raise BundleCorruptError(f"{path / name}: is missing: {_AGAIN}")
        check_size(path / name, entry.size)
