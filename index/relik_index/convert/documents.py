"""Conversion of a released index to a knowledge index, without encoding anything again.

Documents and vectors are read and written in blocks. Memory holds only some tens of bytes of each
document: hashes of ids, and the tries of ids and names while they are built.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relik.errors import BundleCorruptError, InferenceError
from relik.kb.knowledge_base import KIND, RECORDS, VECTORS
from relik.kb.records import RecordTable, schema
from relik.manifest import write_manifest
from relik.names.trie import NameMatch
from relik.types import FloatArray
from relik.upstream.bundle.converted_documents import EXTRAS, extras_schema, split_document
from relik.upstream.checkpoint.files import file_within
from relik.upstream.index.document_index import DOCUMENTS, EMBEDDINGS, read_index_config
from relik.upstream.index.documents import Document, DocumentStore, candidate_text
from relik.upstream.index.embeddings import read_tensor
from relik.upstream.reader.marked_rows import MAX_CANDIDATE_TOKENS
from relik.upstream.text.subwords import ReaderTokenizer
from relik.vectors.faiss_index import FaissIndex, write_faiss
from relik_index.parts import (
    Progress,
    now,
    record_batch,
    version_of,
    write_ids,
    write_names,
    write_options,
)
from relik_index.sources.json_lines import SourceRecord, name_matches

# Byte offsets in the header of a FAISS file: of the number of rows, and, from its end, of floats.
_ROWS_AT, _FLOATS_FROM_END = 8, 8
_HASH = np.dtype("<u8")
# Documents and vectors in memory at a time.
_BLOCK = 8192
# Records of one Arrow batch: small batches are fast to read row by row.
_BATCH = 1024
# Largest vocabulary whose token ids fit 16 bits.
_MAX_NARROW_VOCABULARY = 0xFFFF


def write_flat(blocks: Iterable[FloatArray], path: Path, *, rows: int, dim: int) -> None:
    """Write vectors for exact search, in FAISS's format, block by block.

    Args:
        blocks: Float32, (n, dim) each, in the order of the rows.

    Raises:
        BundleCorruptError: The blocks do not have `rows` rows, or a vector is not finite.
        InferenceError: The installed FAISS does not read the file back.
    """
    write_faiss(np.empty((0, dim), dtype=np.float32), path, kind="exact")
    header = bytearray(path.read_bytes())
    struct.pack_into("<q", header, _ROWS_AT, rows)
    struct.pack_into("<Q", header, len(header) - _FLOATS_FROM_END, rows * dim)
    written = 0
    last: FloatArray = np.empty((0, dim), dtype=np.float32)
    with path.open("wb") as file:
        file.write(header)
        for block in blocks:
            if not np.isfinite(block).all():
                at = written + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                raise BundleCorruptError(
                    f"got a vector of row {at} that is not finite, expected finite numbers: build "
                    "the released index again"
                )
            file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
            written += len(block)
            last = block[-1:]
    if written != rows:
        raise BundleCorruptError(
            f"got {written} vectors, expected {rows}: build the released index again"
        )
    _check(path, last, rows=rows, dim=dim)


def _check(path: Path, last: FloatArray, *, rows: int, dim: int) -> None:
    """Read the last row back, which fails where the header is wrong."""
    try:
        index = FaissIndex.open(path)
        found = index.reconstruct(np.array([rows - 1], dtype=np.int64)) if rows else last
        same = (len(index), index.dim) == (rows, dim) and np.array_equal(found, last)
    except BundleCorruptError:
        same = False
    if not same:
        raise InferenceError(
            f"{path}: got other vectors back from FAISS than were written, expected the same: "
            "install a release of faiss-cpu that relik-server supports"
        )


def renamed_ids(
    documents: Iterable[Document],
    *,
    rows: int,
    document: Callable[[int], Document],
    progress: Callable[[int], None],
) -> dict[int, str]:
    """Return new ids by row, of documents whose own id is not unique.

    Memory holds eight bytes per row, not the ids.

    Args:
        documents: All documents, in row order.
        document: Reads the document of a row again.
        progress: Called with the number of rows read.

    Raises:
        BundleCorruptError: An id is not valid Unicode.
    """
    hashes: NDArray[np.uint64] = np.empty(rows, dtype=_HASH)
    for row, one in enumerate(documents):
        hashes[row] = _hash(str(one.id), row)
        if row % 4096 == 0:
            progress(row)
    order = np.sort(hashes)
    repeated = np.unique(order[1:][order[1:] == order[:-1]])
    renamed: dict[int, str] = {}
    seen: set[str] = set()
    # Few documents share a hash: these are read again, and their ids compared.
    for row in np.flatnonzero(np.isin(hashes, repeated)).tolist() if len(repeated) else ():
        entity_id = str(document(row).id)
        if entity_id not in seen:
            seen.add(entity_id)
            continue
        unique = f"{entity_id}#{row}"
        while _contains(order, _hash(unique, row)):
            unique = f"{unique}#{row}"
        renamed[row] = unique
    progress(rows)
    return renamed


def _hash(text: str, row: int) -> int:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise BundleCorruptError(
            f"row {row}: got the id {text!r} with half of a surrogate pair, expected Unicode text: "
            "correct the id"
        ) from error
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _contains(order: NDArray[np.uint64], value: int) -> bool:
    at = int(np.searchsorted(order, np.uint64(value)))
    return at < len(order) and int(order[at]) == value


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """Settings of a converted knowledge index.

    Args:
        tokenizer: The reader's, which makes the token ids of candidates.
        fingerprint: Fingerprint of the encoder that made the vectors.
        metadata_fields: Metadata that follows the text of a candidate in the reader's input.
        skip_metadata: Drop the metadata of documents.
        sources: Names of the sources, for the manifest.
    """

    tokenizer: ReaderTokenizer
    fingerprint: str
    metadata_fields: tuple[str, ...]
    skip_metadata: bool
    sources: tuple[str, ...]


def write_knowledge_index(
    source: Path, out: Path, *, options: IndexOptions, progress: Progress
) -> dict[str, object]:
    """Write the documents and vectors of a released index as a knowledge index.

    Args:
        source: Folder with `documents.jsonl`, `embeddings.pt` and optionally `config.yaml`.

    Returns:
        The fields of the manifest, without the files.

    Raises:
        BundleError: A file is missing or malformed, or documents and vectors differ in number.
    """
    config = read_index_config(source)
    store = _open_store(source, config, skip_metadata=options.skip_metadata)
    tensor = read_tensor(source / EMBEDDINGS)
    rows, dim = len(tensor), int(tensor.shape[1])
    if store.n_rows != rows or not rows:
        raise BundleCorruptError(
            f"{source}: got {store.n_rows} documents and {rows} vectors, expected one vector per "
            "document, and at least one: download the index again"
        )
    out.mkdir(parents=True)
    renamed = renamed_ids(
        store, rows=rows, document=store.__getitem__, progress=lambda n: progress("ids", n, rows)
    )
    _write_records(store, out, renamed, options, progress)
    table = RecordTable(out / RECORDS)
    write_ids(out, lambda: map(table.entity_id, range(rows)), rows=rows)
    write_names(out, _names(table, progress))

    write_flat(_blocks(tensor, progress), out / VECTORS, rows=rows, dim=dim)
    fields: dict[str, object] = {
        "version": version_of(out),
        "rows": rows,
        "dim": dim,
        "vectors": "exact",
        "opq": False,
        "unit_vectors": False,
        "encoder_fingerprint": options.fingerprint,
        "candidate_tokens": MAX_CANDIDATE_TOKENS,
        "compression": "none",
        "sources": list(options.sources),
        "metadata_fields": [str(name) for name in config.get("metadata_fields") or ()],
        "separator": config.get("separator"),
        "renamed_ids": len(renamed),
        "created_at": now(),
    }
    write_manifest(out, kind=KIND, fields=fields)
    return fields


def sample_texts(source: Path, *, count: int) -> list[str]:
    """Return texts of documents with their metadata, as samples of what a pipeline reads.

    Args:
        count: Number of texts at most, spread evenly over the documents.

    Raises:
        BundleError: The documents are missing or malformed.
    """
    store = _open_store(source, read_index_config(source), skip_metadata=False)
    step = max(1, store.n_rows // count)
    chosen = (store[row] for row in range(0, store.n_rows, step)[:count])
    return [f"{one.text}: {', '.join(map(str, one.metadata.values()))}." for one in chosen]


def _open_store(source: Path, config: Mapping[str, Any], *, skip_metadata: bool) -> DocumentStore:
    path = file_within(source, str(config.get("documents") or DOCUMENTS))
    return DocumentStore.open(path, skip_metadata=skip_metadata)


def _write_records(
    store: DocumentStore,
    out: Path,
    renamed: Mapping[int, str],
    options: IndexOptions,
    progress: Progress,
) -> None:
    wide = options.tokenizer.markers.n_all > _MAX_NARROW_VOCABULARY
    columns, extra_columns = schema(wide=wide), extras_schema()
    with (
        pa.OSFile(str(out / RECORDS), "wb") as file,
        pa.OSFile(str(out / EXTRAS), "wb") as extras_file,
        pa.ipc.new_file(file, columns, options=write_options("none")) as records,
        pa.ipc.new_file(extras_file, extra_columns) as extras,
    ):
        for first in range(0, store.n_rows, _BLOCK):
            last = min(first + _BLOCK, store.n_rows)
            documents = [store[row] for row in range(first, last)]
            split_documents = [
                split_document(document, renamed.get(row, str(document.id)))
                for row, document in enumerate(documents, start=first)
            ]
            tokens = _tokens(documents, options)
            try:
                for at in range(0, len(split_documents), _BATCH):
                    entities = [entity for entity, _, _ in split_documents[at : at + _BATCH]]
                    part = tokens[at : at + _BATCH]
                    records.write_batch(record_batch(entities, [0] * len(part), part, columns))
                block = [pa.array([one[k] for one in split_documents], pa.string()) for k in (1, 2)]
                extras.write_batch(pa.RecordBatch.from_arrays(block, schema=extra_columns))
            except UnicodeEncodeError as error:
                raise BundleCorruptError(
                    f"rows {first} to {last - 1}: got a document with half of a surrogate pair "
                    f"({error}), expected Unicode text: correct the document"
                ) from error
            progress("records", last, store.n_rows)


def _blocks(tensor: Any, progress: Progress) -> Iterator[FloatArray]:
    for first in range(0, len(tensor), _BLOCK):
        block: FloatArray = tensor[first : first + _BLOCK].float().numpy()
        yield block
        progress("vectors", first + len(block), len(tensor))


def _tokens(documents: list[Document], options: IndexOptions) -> list[tuple[int, ...]]:
    texts = [candidate_text(document, options.metadata_fields) for document in documents]
    found = options.tokenizer.encode_candidates(texts)
    return [ids[: MAX_CANDIDATE_TOKENS - 1] for ids in found]


def _names(table: RecordTable, progress: Progress) -> Iterator[dict[str, NameMatch]]:
    for row in range(len(table)):
        yield name_matches(SourceRecord(entity=table.record(row)), row=row)
        if row % 1024 == 0:
            progress("names", row, len(table))
    progress("names", len(table), len(table))
