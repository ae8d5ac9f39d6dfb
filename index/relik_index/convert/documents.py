"""Turns an index in upstream's format into a knowledge index, without encoding anything again.

Documents and vectors are read and written in blocks. What is held of each document meanwhile is
some tens of bytes: hashes of ids, and the tries of ids and names while they are built.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from relik.errors import BundleCorruptError
from relik.kb.knowledge_base import KIND, RECORDS, VECTORS
from relik.kb.names import NameMatch
from relik.kb.records import RecordTable, schema
from relik.manifest import write_manifest
from relik.types import FloatArray
from relik.upstream.converted_documents import EXTRAS, extras_schema, split_document
from relik.upstream.documents import Document, DocumentStore, candidate_text
from relik.upstream.embeddings import read_tensor
from relik.upstream.files import file_within
from relik.upstream.index import DOCUMENTS, EMBEDDINGS, read_index_config
from relik.upstream.inputs import MAX_CANDIDATE_TOKENS
from relik.upstream.tokens import ReaderTokenizer
from relik_index.convert.ids import Ids, unique_ids
from relik_index.convert.vectors import write_flat
from relik_index.parts import record_batch, version_of, write_ids, write_names, write_options
from relik_index.source import SourceRecord, name_matches

Tell = Callable[[str, int, int], None]

_BLOCK = 8192
# Records of one batch of the table, as it is laid out for reading row by row.
_BATCH = 1024
_MOST_TOKENS_NARROW = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """What a knowledge index is made with.

    Args:
        tokenizer: That of the reader.
        fingerprint: Names the encoder of windows.
        metadata_fields: Metadata that the reader sees behind the text.
        skip_metadata: Leave the metadata out.
        sources: Where the documents come from.
    """

    tokenizer: ReaderTokenizer
    fingerprint: str
    metadata_fields: tuple[str, ...]
    skip_metadata: bool
    sources: tuple[str, ...]


def write_knowledge_index(
    source: Path, out: Path, *, options: IndexOptions, progress: Tell
) -> dict[str, object]:
    """Write a knowledge index of the documents and vectors of a released index.

    Args:
        source: Folder with `documents.jsonl`, `embeddings.pt` and perhaps `config.yaml`.
        out: Folder to make.
        options: What it is made with.
        progress: Told stages, how much is done, and how much there is.

    Returns:
        What the manifest says, without the files.

    Raises:
        BundleError: A file is missing or malformed, or the two do not go together.
    """
    own = read_index_config(source)
    store = _open_store(source, own, skip_metadata=options.skip_metadata)
    tensor = read_tensor(source / EMBEDDINGS)
    rows, dim = len(tensor), int(tensor.shape[1])
    if store.n_rows != rows or not rows:
        raise BundleCorruptError(
            f"{source}: got {store.n_rows} documents and {rows} vectors, expected one vector a "
            "document, and one at least: fetch the index again"
        )
    out.mkdir(parents=True)
    ids = unique_ids(
        store, rows=rows, document=store.__getitem__, progress=lambda n: progress("ids", n, rows)
    )
    _write_records(store, out, ids, options, progress)
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
        "metadata_fields": [str(name) for name in own.get("metadata_fields") or ()],
        "separator": own.get("separator"),
        "renamed_ids": len(ids.renamed),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_manifest(out, kind=KIND, fields=fields)
    return fields


def sample_texts(source: Path, *, count: int) -> list[str]:
    """Give texts such as a pipeline reads: documents with what is said of them.

    Args:
        source: Folder of a released index.
        count: Texts at most, spread over the documents.

    Returns:
        The texts.

    Raises:
        BundleError: The documents are missing or malformed.
    """
    store = _open_store(source, read_index_config(source), skip_metadata=False)
    step = max(1, store.n_rows // count)
    chosen = (store[row] for row in range(0, store.n_rows, step)[:count])
    return [f"{one.text}: {', '.join(map(str, one.metadata.values()))}." for one in chosen]


def _open_store(source: Path, own: Mapping[str, Any], *, skip_metadata: bool) -> DocumentStore:
    path = file_within(source, str(own.get("documents") or DOCUMENTS))
    return DocumentStore.open(path, skip_metadata=skip_metadata)


def _write_records(
    store: DocumentStore, out: Path, ids: Ids, options: IndexOptions, progress: Tell
) -> None:
    wide = options.tokenizer.markers.n_all > _MOST_TOKENS_NARROW
    columns, extra_columns = schema(wide=wide), extras_schema()
    with (
        pa.OSFile(str(out / RECORDS), "wb") as file,
        pa.OSFile(str(out / EXTRAS), "wb") as beside,
        pa.ipc.new_file(file, columns, options=write_options("none")) as records,
        pa.ipc.new_file(beside, extra_columns) as extras,
    ):
        for first in range(0, store.n_rows, _BLOCK):
            last = min(first + _BLOCK, store.n_rows)
            documents = [store[row] for row in range(first, last)]
            parted = [
                split_document(document, ids.of(first + k, document))
                for k, document in enumerate(documents)
            ]
            tokens = _tokens(documents, options)
            try:
                for at in range(0, len(parted), _BATCH):
                    entities = [entity for entity, _, _ in parted[at : at + _BATCH]]
                    own = tokens[at : at + _BATCH]
                    records.write_batch(record_batch(entities, [0] * len(own), own, columns))
                beside_block = [pa.array([one[k] for one in parted], pa.string()) for k in (1, 2)]
                extras.write_batch(pa.RecordBatch.from_arrays(beside_block, schema=extra_columns))
            except UnicodeEncodeError as error:
                raise BundleCorruptError(
                    f"rows {first} to {last - 1}: got a document with half of a surrogate pair "
                    f"({error}), expected Unicode text: correct it"
                ) from error
            progress("records", last, store.n_rows)


def _blocks(tensor: Any, progress: Tell) -> Iterator[FloatArray]:
    for first in range(0, len(tensor), _BLOCK):
        block: FloatArray = tensor[first : first + _BLOCK].float().numpy()
        yield block
        progress("vectors", first + len(block), len(tensor))


def _tokens(documents: list[Document], options: IndexOptions) -> list[tuple[int, ...]]:
    texts = [candidate_text(document, options.metadata_fields) for document in documents]
    found = options.tokenizer.encode_candidates(texts)
    return [ids[: MAX_CANDIDATE_TOKENS - 1] for ids in found]


def _names(table: RecordTable, progress: Tell) -> Iterator[dict[str, NameMatch]]:
    for row in range(len(table)):
        yield name_matches(SourceRecord(entity=table.record(row)), row=row)
        if row % 1024 == 0:
            progress("names", row, len(table))
    progress("names", len(table), len(table))
