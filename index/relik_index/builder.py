"""Build a knowledge index from lines of JSON: written aside, sealed, renamed last."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from relik.errors import (
    ConfigError,
    DimensionMismatchError,
    InferenceError,
    InputError,
)
from relik.kb.knowledge_base import KIND, RECORDS, VECTORS
from relik.kb.records import RecordTable, candidate_text, encoder_text, schema
from relik.manifest import write_manifest
from relik.names.language import DEFAULT_LANGUAGE, open_language
from relik.names.resolve import NAMES_WITH_KINDS
from relik.names.trie import NameMatch
from relik.text import TextTokenizer
from relik.types import Entity, FloatArray, TextEncoder
from relik.vectors.exact import ExactIndex
from relik.vectors.faiss_index import (
    VECTOR_KINDS,
    FaissIndex,
    VectorKind,
    trainable_kind,
    write_faiss,
)
from relik.vectors.no_vectors import NO_VECTORS
from relik_index.names.term_words import TermWords
from relik_index.parts import (
    Progress,
    aside,
    check_target,
    no_progress,
    now,
    record_batch,
    version_of,
    write_ids,
    write_names,
    write_options,
)
from relik_index.reuse import ReusedVectors
from relik_index.sources.duplicates import merged_source
from relik_index.sources.json_lines import SourceRecord, name_matches

Enrich: TypeAlias = Callable[[SourceRecord], SourceRecord]

COMPRESSIONS = ("none", "zstd")

_RAW_VECTORS = "vectors.raw"
# Rows that are sorted by length together, so that a batch has texts of about one length.
_SORTED_ROWS = 8192
_SEED = 20240802
_RECEIPT_QUERIES = 500
_RECEIPT_TOP_K = 50
# Length of the noise added to a unit vector: a query then has a cosine of about 0.9 with it.
_RECEIPT_NOISE = 0.5
_MOST_TOKENS_NARROW = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How a knowledge index is built.

    Args:
        vectors: How vectors are kept: exact, sq8, pq24, pq32, pq48, pq64, hnsw or ivf.
        opq: Rotate vectors before product quantisation.
        compression: Of the records: none (mapped and read in place) or zstd.
        candidate_tokens: Tokens of a record that the reader sees, at least 1.
        min_recall: Least recall@50 against exact search that is accepted, 0..1.
        force: Replace a knowledge index that is there already.
        batch: Texts encoded at once.
        batch_rows: Records that are compressed together.
        sources: Where the records come from, for the manifest.
        enrich: Adds to a record what its line does not say; the same each time it is asked.
        same: Records that are merged into others, by `relik_index.sources.duplicates`.
        after_reading: Called when all records were read, before any is encoded; may refuse them.
        any_case: Names are found in lower-case text too, although all are written with a capital:
            for lists of diseases or goods, which are no proper names.
        counted: The names were counted in linked text like that which will be read, so that what
            they mean most often is known well.
        language: Language of the names, ISO 639; one without a data file has no rules.
        reuse: Vectors of another index of the same encoder; only other records are encoded.
    """

    vectors: VectorKind = "exact"
    opq: bool = False
    compression: str = "none"
    candidate_tokens: int = 10
    min_recall: float = 0.0
    force: bool = False
    batch: int = 1024
    batch_rows: int = 1024
    sources: tuple[str, ...] = ()
    enrich: Enrich | None = None
    same: Mapping[str, str] = field(default_factory=dict)
    after_reading: Callable[[], None] | None = None
    any_case: bool = False
    counted: bool = False
    language: str = DEFAULT_LANGUAGE
    reuse: ReusedVectors | None = None

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("vectors", self.vectors, VECTOR_KINDS),
            ("compression", self.compression, COMPRESSIONS),
        ):
            if value not in allowed:
                raise ConfigError(f"got {name} {value!r}, expected one of {', '.join(allowed)}")
        if self.opq and not self.vectors.startswith("pq"):
            raise ConfigError(f"got opq with {self.vectors} vectors: choose pq32, pq48 or pq64")
        for name in ("candidate_tokens", "batch", "batch_rows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"got {name} {getattr(self, name)}, expected at least 1")
        if not re.fullmatch(r"[a-z]{2,3}", self.language):
            raise ConfigError(
                f"got language {self.language!r}, expected a code of ISO 639 such as en: change it"
            )
        if not 0 <= self.min_recall <= 1:
            raise ConfigError(f"got min_recall {self.min_recall}, expected 0 to 1")


def build_index(
    source: Path,
    out: Path,
    *,
    encoder: TextEncoder | None,
    tokenizer: Tokenizer,
    encoder_fingerprint: str = "",
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Build a knowledge index.

    Args:
        source: Lines of JSON, plain or gzipped; see `relik_index.sources.json_lines.read_source`.
        out: The folder to make.
        encoder: Encodes records; None for records that are all given to every window.
        tokenizer: The reader's; gives the tokens by which it knows a record.
        encoder_fingerprint: Names the encoder; whoever searches has to use the same.

    Returns:
        What the manifest says, without the files.

    Raises:
        InputError: A line of the source is wrong, or `out` is there already.
        ConfigError: The kind of vectors does not fit, or its recall is below the one asked for.
        BundleError: The index cannot be written.
        DimensionMismatchError: The encoder gives vectors of another width than it says.
        InferenceError: The encoder gives vectors that are not finite.
    """
    chosen = BuildOptions() if options is None else options
    tell = progress or no_progress
    records = _Source(source, chosen.enrich or _unchanged, chosen.same)
    check_target(out, kind=KIND, force=chosen.force)
    with aside(out, replace=chosen.force) as folder:
        rows, tokenizer_fingerprint = _write_records(records, folder, tokenizer, chosen, tell)
        if chosen.after_reading is not None:
            chosen.after_reading()
        _write_names(records, folder, rows, chosen, tell)
        fields: dict[str, object] = {
            "rows": rows,
            **_write_vectors(folder, encoder, chosen, tell),
            "encoder_fingerprint": encoder_fingerprint,
            "tokenizer_fingerprint": tokenizer_fingerprint,
            "candidate_tokens": chosen.candidate_tokens,
            "compression": chosen.compression,
            "any_case": chosen.any_case,
            "counted": chosen.counted,
            "language": chosen.language,
            "names_format": NAMES_WITH_KINDS,
            "sources": list(chosen.sources),
        }
        fields = {"version": version_of(folder), **fields, "created_at": now()}
        write_manifest(folder, kind=KIND, fields=fields)
    return fields


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of records, and what is added to each."""

    path: Path
    enrich: Enrich
    same: Mapping[str, str]

    def records(self) -> Iterator[SourceRecord]:
        return map(self.enrich, merged_source(self.path, self.same))


def _unchanged(record: SourceRecord) -> SourceRecord:
    return record


def _write_records(
    source: _Source, folder: Path, tokenizer: Tokenizer, options: BuildOptions, progress: Progress
) -> tuple[int, str]:
    """Write records and ids; return the number of rows and the tokenizer's fingerprint."""
    saved = tokenizer.to_str()
    plain = TextTokenizer(tokenizer)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    wide = largest > _MOST_TOKENS_NARROW
    columns = schema(wide=wide)
    total = source.path.stat().st_size if source.path.exists() else 0
    ids: list[str] = []
    records = source.records()
    with (
        pa.OSFile(str(folder / RECORDS), "wb") as file,
        pa.ipc.new_file(file, columns, options=write_options(options.compression)) as writer,
    ):
        while batch := list(islice(records, options.batch_rows)):
            writer.write_batch(_record_batch(batch, plain, columns, options.candidate_tokens))
            ids.extend(record.entity.entity_id for record in batch)
            progress("records", batch[-1].position, total)
    write_ids(folder, lambda: ids, rows=len(ids))
    return len(ids), hashlib.sha256(saved.encode()).hexdigest()


def _record_batch(
    records: list[SourceRecord], tokenizer: TextTokenizer, columns: pa.Schema, candidate_tokens: int
) -> pa.RecordBatch:
    entities = [record.entity for record in records]
    texts = [candidate_text(entity) for entity in entities]
    tokens = [encoding.ids[:candidate_tokens] for encoding in tokenizer.tokenise(texts)]
    return record_batch(entities, [record.count for record in records], tokens, columns)


def _write_names(
    source: _Source, folder: Path, rows: int, options: BuildOptions, progress: Progress
) -> None:
    """Write the name trie in a second pass, so that surface forms need not be kept meanwhile."""
    total = source.path.stat().st_size
    last = -1
    terms = TermWords(open_language(options.language)) if options.any_case else None

    def matches() -> Iterator[dict[str, NameMatch]]:
        nonlocal last
        for last, record in enumerate(source.records()):
            named = name_matches(record, row=last, any_case=options.any_case)
            yield terms.with_variants(named) if terms else named
            if last % 1024 == 0:
                progress("names", record.position, total)
        if terms:
            yield terms.words()

    write_names(folder, matches())
    progress("names", total, total)
    if last + 1 != rows:
        raise InputError(
            f"{source.path}: changed while it was read: build again from a file at rest"
        )


def _write_vectors(
    folder: Path, encoder: TextEncoder | None, options: BuildOptions, progress: Progress
) -> dict[str, object]:
    """Encode the records and write the vector index; return what the manifest says of it."""
    if encoder is None:
        return {"dim": 0, "vectors": NO_VECTORS, "opq": False}
    raw = folder / _RAW_VECTORS
    table = RecordTable(folder / RECORDS)
    with raw.open("wb") as file:
        for first in range(0, len(table), _SORTED_ROWS):
            end = min(first + _SORTED_ROWS, len(table))
            records = [table.record(row) for row in range(first, end)]
            file.write(_vectors_of(records, encoder, options).tobytes())
            progress("vectors", end, len(table))
    vectors = np.memmap(raw, dtype=np.float32, mode="r", shape=(len(table), encoder.dim))
    kind = trainable_kind(options.vectors, n_rows=len(vectors))
    report = (lambda done: progress("index", done, len(table))) if len(table) else None
    opq = options.opq and kind == options.vectors
    write_faiss(vectors, folder / VECTORS, kind=kind, opq=opq, progress=report)
    fields: dict[str, object] = {"dim": encoder.dim, "vectors": kind, "opq": opq}
    if kind != options.vectors:
        fields["note"] = f"too few rows to train {options.vectors}: vectors are kept exact"
    if kind != "exact":
        fields["recall"] = _recall_receipt(vectors, folder / VECTORS, options)
    raw.unlink()
    return fields


def _vectors_of(records: list[Entity], encoder: TextEncoder, options: BuildOptions) -> FloatArray:
    """Take over the vectors that there are, and encode what is left."""
    if options.reuse is None:
        return _encoded([encoder_text(record) for record in records], encoder, options.batch)
    known, reused = options.reuse.of(records)
    rest = sorted(set(range(len(records))).difference(known))
    vectors = np.empty((len(records), encoder.dim), dtype=np.float32)
    vectors[known] = reused
    vectors[rest] = _encoded([encoder_text(records[at]) for at in rest], encoder, options.batch)
    return vectors


def _encoded(texts: list[str], encoder: TextEncoder, batch: int) -> FloatArray:
    vectors = np.empty((len(texts), encoder.dim), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        found = encoder.encode([texts[at] for at in chosen])
        if found.shape != (len(chosen), encoder.dim):
            raise DimensionMismatchError(
                f"got vectors of shape {found.shape} for {len(chosen)} texts, expected "
                f"({len(chosen)}, {encoder.dim}): mend the encoder"
            )
        if not np.isfinite(found).all():
            raise InferenceError(
                f"got vectors that are not finite for texts such as {texts[chosen[0]][:80]!r}, "
                "expected finite ones: check the encoder's weights"
            )
        vectors[chosen] = found
    return vectors


def _recall_receipt(vectors: FloatArray, path: Path, options: BuildOptions) -> dict[str, object]:
    """Measure how much of exact search the index finds, with records plus noise as queries."""
    random = np.random.default_rng(_SEED)
    chosen = random.choice(len(vectors), min(_RECEIPT_QUERIES, len(vectors)), replace=False)
    noise = random.normal(size=(len(chosen), vectors.shape[1]))
    queries = vectors[np.sort(chosen)] + noise * (_RECEIPT_NOISE / np.sqrt(vectors.shape[1]))
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    expected = ExactIndex(vectors).search(queries, top_k=_RECEIPT_TOP_K)[0]
    found = FaissIndex.open(path).search(queries, top_k=_RECEIPT_TOP_K)[0]
    hits = [len(np.intersect1d(*pair)) / len(pair[0]) for pair in zip(expected, found, strict=True)]
    recall = round(float(np.mean(hits)), 4)
    if recall < options.min_recall:
        raise ConfigError(
            f"got recall@{expected.shape[1]} {recall} of {options.vectors} vectors against exact "
            f"search, expected at least {options.min_recall}: choose a finer kind, such as sq8"
        )
    return {"at": expected.shape[1], "queries": len(chosen), "recall": recall}
