"""Data of a closed schema: conversion of rows by the recipe, files of the splits, examples."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from relik.errors import InputError
from relik.evaluation import GoldDocument, read_gold
from relik.types import Span
from relik_training.data.examples import Example
from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.data.statements import Mention, without_overlaps
from relik_training.recipes.recipe_files import check_files_of_data
from relik_training.recipes.schema_settings import (
    SchemaSource,
    SchemaTraining,
)

PARTIAL, UNRELATED = "partial", "unrelated"
"""Keys of rows whose mentions, or relations, are only partially annotated."""

_ENDS = frozenset(".!?")
_CLOSING = frozenset({'"', "''", "'", ")", "]", "\u201d", "\u2019"})

SPLITS = ("train", "dev", "test")


def rows_of(row: dict[str, Any], source: SchemaSource) -> Iterator[dict[str, Any]]:
    """Apply the settings of a file to one of its rows.

    Args:
        row: `text`, `spans`, `triples` and others, offsets in code points.
        source: Whether to split the text into sentences, and new names of types and relations.

    Yields:
        The row; or its sentences, in order, with their mentions and the triples between them. A
        triple between clusters relates all their mentions in a sentence. `PARTIAL` and `UNRELATED`
        are set by the settings; a partial row without mentions is skipped.

    Raises:
        InputError: The row lacks what the settings need.
    """
    if source == SchemaSource(path=source.path, folds=source.folds):
        yield row
        return
    marks = {PARTIAL: not source.complete, UNRELATED: not source.relations}
    incomplete = {name: True for name, value in marks.items() if value}
    try:
        typed = _with_argument_types(row, source.argument_types) if source.argument_types else row
        for each in _sentences(typed) if source.sentences else (typed,):
            renamed = _renamed(each, source)
            # Without complete annotation, a row without mentions has no labels.
            is_useful = source.complete or renamed["spans"]
            if is_useful and not 0 < source.max_words < len(renamed["text"].split()):
                yield {**renamed, **incomplete}
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{source.path}: text {row.get('doc_id', '')!r}: got another shape "
            f"({type(error).__name__}: {error}), expected text, spans of [start, end, id or null, "
            'surface, {"type": ...}] and triples of [subject, relation, object]: correct it'
        ) from error


def sentence_ranges(text: str) -> list[tuple[int, int]]:
    """Split a tokenised text into sentences.

    A sentence ends with a token `.`, `!` or `?` and the closing quotation marks and brackets that
    follow, or at the end of a line.

    Args:
        text: Tokens separated by white space.

    Returns:
        Start and end of each sentence in code points, without white space around it.
    """
    found: list[tuple[int, int]] = []
    first, last, ended, at = -1, 0, False, 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        goes_on = not ended or word in _CLOSING or word in _ENDS
        if first >= 0 and ("\n" in text[last:start] or not goes_on):
            found.append((first, last))
            first, ended = -1, False
        first = start if first < 0 else first
        last, ended = at, ended or word in _ENDS
    return [*found, (first, last)] if first >= 0 else found


def write_splits(config: SchemaTraining) -> dict[str, Path]:
    """Write the texts of train, dev and test to `config.out`.

    Returns:
        Files by split; without `test` if the recipe has none.

    Raises:
        ConfigError: A data set is missing.
        InputError: A split has no text, or a text has a type or relation that the recipe lacks.
    """
    data, out = Path(config.data), Path(config.out)
    files: dict[str, Path] = {}
    for name in SPLITS:
        sources: Sequence[SchemaSource] = getattr(config, name)
        if not sources:
            continue
        check_files_of_data(data, (source.path for source in sources))
        files[name] = out / f"{name}.jsonl.gz"
        # Reproducible bytes: writing a split again does not change a file that is in use.
        if not write_jsonl(files[name], _rows(data, sources)):
            raise InputError(f"got no texts in [[{name}]], expected some: check paths and folds")
        _check(files[name], config)
    return files


def read_typed_examples(paths: Sequence[Path]) -> list[Example]:
    """Read texts whose mentions have types, one example per text.

    Of overlapping mentions the longer one is kept, with its triples.

    Args:
        paths: Files by `write_splits`.
    """
    pairs = (
        pair
        for path in paths
        for pair in zip(read_gold(path, typed=True), read_jsonl(path), strict=True)
    )
    return [_example(number, gold, row) for number, (gold, row) in enumerate(pairs)]


def _with_argument_types(row: dict[str, Any], types: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Set the types of mentions by the relations between them; drop mentions without a relation."""
    found: dict[int, str] = {}
    for subject, relation, object_ in row.get("triples", ()):
        if relation in types:
            of_subject, of_object = types[relation]
            found.setdefault(subject, of_subject)
            found.setdefault(object_, of_object)
    index_of = {i: at for at, i in enumerate(sorted(found))}
    return {
        **row,
        "spans": [_with_kind(row["spans"][i], found[i]) for i in index_of],
        "triples": _among(index_of, row.get("triples", ())),
    }


def _among(index_of: Mapping[int, int], triples: Iterable[Any]) -> list[list[Any]]:
    """Keep the triples between the spans that are kept, by their new numbers."""
    return [[index_of[s], r, index_of[o]] for s, r, o in triples if s in index_of and o in index_of]


def _sentences(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    text, spans = row["text"], row["spans"]
    pairs = _expand_clusters(row)
    # A full stop within a mention does not end a sentence.
    ranges = _join_ranges(sentence_ranges(text), [(span[0], span[1]) for span in spans])
    for number, (start, end) in enumerate(ranges):
        inside = (i for i, span in enumerate(spans) if start <= span[0] and span[1] <= end)
        index_of = {i: at for at, i in enumerate(inside)}
        yield {
            "doc_id": f"{row.get('doc_id', '')}:{number}",
            "text": text[start:end],
            "spans": [[spans[i][0] - start, spans[i][1] - start, *spans[i][2:]] for i in index_of],
            "triples": _among(index_of, pairs),
        }


def _join_ranges(
    ranges: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        if joined and any(first < joined[-1][1] < last for first, last in spans):
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


def _expand_clusters(row: dict[str, Any]) -> list[tuple[int, str, int]]:
    """Return the triples between all mentions of their clusters, in order without repetition."""
    coreferent: dict[int, Sequence[int]] = {
        member: cluster for cluster in row.get("clusters") or () for member in cluster
    }
    found: dict[tuple[int, str, int], None] = {}
    for subject, relation, object_ in row.get("triples", ()):
        if not {subject, object_} <= set(range(len(row["spans"]))):
            raise IndexError(f"triple {[subject, relation, object_]} of {len(row['spans'])} spans")
        for s in coreferent.get(subject, (subject,)):
            for o in coreferent.get(object_, (object_,)):
                found[s, relation, o] = None
    return list(found)


def _renamed(row: dict[str, Any], source: SchemaSource) -> dict[str, Any]:
    spans, triples = row["spans"], row.get("triples", [])
    kinds = [_kind(span) for span in spans]
    if source.relation_names:
        named = (_relation(triple, kinds, source.relation_names) for triple in triples)
        # Two relations of the file may have the same new name.
        triples = [list(each) for each in dict.fromkeys(each for each in named if each)]
    if source.type_names:
        kept = (i for i, kind in enumerate(kinds) if kind in source.type_names)
        index_of = {i: at for at, i in enumerate(kept)}
        spans = [_with_kind(spans[i], source.type_names[kinds[i]]) for i in index_of]
        triples = _among(index_of, triples)
    return {**row, "spans": spans, "triples": triples}


def _kind(span: Sequence[Any]) -> str:
    extra = span[4] if len(span) > 4 and isinstance(span[4], dict) else {}
    return str(extra.get("type", ""))


def _with_kind(span: Sequence[Any], kind: str) -> list[Any]:
    return [*span[:4], {**(span[4] if len(span) > 4 else {}), "type": kind}]


def _relation(
    triple: Sequence[Any], kinds: Sequence[str], names: Mapping[str, str]
) -> tuple[int, str, int] | None:
    subject, relation, object_ = triple
    name = names.get(f"{kinds[subject]} {relation}", names.get(relation, ""))
    if name.startswith("-"):
        return object_, name[1:], subject
    return (subject, name, object_) if name else None


def _rows(data: Path, sources: Sequence[SchemaSource]) -> Iterator[dict[str, Any]]:
    for source in sources:
        for row in read_jsonl(data / source.path):
            if not source.folds or row.get("fold") in source.folds:
                yield from rows_of(row, source)


def _check(path: Path, config: SchemaTraining) -> None:
    types = {record.id for record in config.types}
    relations = {record.id for record in config.relations}
    for gold in read_gold(path, typed=True):
        unknown = [
            *(f"type {m.entity_id!r}" for m in gold.mentions if m.entity_id not in types),
            *(
                f"relation {t.relation_id!r}"
                for t in gold.triples
                if t.relation_id not in relations
            ),
        ]
        if unknown:
            raise InputError(
                f"{path}: text {gold.document.doc_id!r}: got the {unknown[0]}, expected those of "
                "the recipe: add it there, or correct the text"
            )


def _example(number: int, gold: GoldDocument, row: dict[str, Any]) -> Example:
    text = gold.document.text
    longest_first = sorted(gold.mentions, key=lambda m: (m.span.start - m.span.end, m.span.start))
    kept = without_overlaps(longest_first)
    index_of = {mention: at for at, mention in enumerate(kept)}
    return Example(
        # Texts of different files may share an id.
        doc_id=f"{number} {gold.document.doc_id}",
        index=0,
        text=text,
        mentions=tuple(Mention(span=m.span, entity_id=m.entity_id) for m in kept),
        triples=tuple(
            (index_of[triple.subject], triple.relation_id, index_of[triple.object])
            for triple in gold.triples
            if triple.subject in index_of and triple.object in index_of
        ),
        unknown=(Span(0, len(text)),) if row.get(PARTIAL) else (),
        relations="none" if row.get(UNRELATED) else "all",
    )
