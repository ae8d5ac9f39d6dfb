"""The texts of a closed schema: split into files as the recipe says, and read as examples."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from relik.errors import ConfigError, InputError
from relik.evaluation import GoldDocument, GoldMention, read_gold
from relik.types import Span
from relik_training.examples import Example, Mention
from relik_training.files import read_jsonl, write_jsonl
from relik_training.schema_rows import PARTIAL, UNRELATED, rows_of
from relik_training.schema_settings import SchemaSource, SchemaTraining, records_of, sources_of

SPLITS = ("train", "dev", "test")


def write_splits(config: SchemaTraining) -> dict[str, Path]:
    """Write the texts to train, to choose and to measure on, one file each.

    Args:
        config: Settings; the files go to `config.out`.

    Returns:
        Files by name of the split; no `test` where the recipe has none.

    Raises:
        ConfigError: A data set is missing.
        InputError: A split has no text, or a text has a type or relation that the recipe has not.
    """
    data, out = Path(config.data), Path(config.out)
    files: dict[str, Path] = {}
    for name in SPLITS:
        sources = sources_of(getattr(config, name), where=f"[[{name}]]")
        if not sources:
            continue
        for source in sources:
            if not (data / source.path).is_file():
                raise ConfigError(
                    f"{data / source.path}: is missing, expected a file: give the folder of the "
                    "data sets by --data"
                )
        files[name] = out / f"{name}.jsonl.gz"
        # The same content gives the same bytes, so a split that is in use may be written again.
        if not write_jsonl(files[name], _rows(data, sources)):
            raise InputError(f"got no texts in [[{name}]], expected some: check paths and folds")
        _check(files[name], config)
    return files


def read_typed_examples(paths: Sequence[Path]) -> list[Example]:
    """Read texts whose mentions have types; all are annotated unless the row says otherwise.

    Args:
        paths: Files as `write_splits` writes them.

    Returns:
        One example a text. Of mentions that overlap the longer one stays, with its triples.
    """
    pairs = (
        pair
        for path in paths
        for pair in zip(read_gold(path, typed=True), read_jsonl(path), strict=True)
    )
    return [_example(number, gold, row) for number, (gold, row) in enumerate(pairs)]


def _rows(data: Path, sources: Sequence[SchemaSource]) -> Iterator[dict[str, Any]]:
    for source in sources:
        for row in read_jsonl(data / source.path):
            if not source.folds or row.get("fold") in source.folds:
                yield from rows_of(row, source)


def _check(path: Path, config: SchemaTraining) -> None:
    types = {record.id for record in records_of(config.types, where="[[types]]")}
    relations = {record.id for record in records_of(config.relations, where="[[relations]]")}
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
                f"{path}: text {gold.document.doc_id!r} has the {unknown[0]}, expected those of "
                "the recipe: add it there, or correct the text"
            )


def _example(number: int, gold: GoldDocument, row: dict[str, Any]) -> Example:
    text = gold.document.text
    kept = _without_overlaps(gold.mentions)
    place = {mention: at for at, mention in enumerate(kept)}
    return Example(
        # Texts of different files may share an id.
        doc_id=f"{number} {gold.document.doc_id}",
        index=0,
        text=text,
        mentions=tuple(Mention(span=m.span, entity_id=m.entity_id) for m in kept),
        triples=tuple(
            (place[triple.subject], triple.relation_id, place[triple.object])
            for triple in gold.triples
            if triple.subject in place and triple.object in place
        ),
        unknown=(Span(0, len(text)),) if row.get(PARTIAL) else (),
        relations="none" if row.get(UNRELATED) else "all",
    )


def _without_overlaps(mentions: Sequence[GoldMention]) -> list[GoldMention]:
    kept: list[GoldMention] = []
    for mention in sorted(mentions, key=lambda m: (m.span.start - m.span.end, m.span.start)):
        if not any(mention.span.overlaps(other.span) for other in kept):
            kept.append(mention)
    return sorted(kept, key=lambda m: m.span)
