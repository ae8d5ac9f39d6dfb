"""`relik index`: build, inspect and verify knowledge indexes."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

# Heavy modules are imported inside the commands, so that `relik --help` does not wait for them.
if TYPE_CHECKING:
    from relik.bundle import Bundle
    from relik.vectors.faiss_index import VectorKind
    from relik_index.builder import BuildOptions
    from relik_index.names.enrich import Enricher
    from relik_index.parts import Progress as ProgressCallback

app = typer.Typer(
    name="index", help="Build, inspect and verify knowledge indexes.", no_args_is_help=True
)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Inherit = Annotated[
    bool,
    typer.Option(help="Add the aliases and counts that the bundle's index has for the same id."),
]
NameParts = Annotated[
    bool,
    typer.Option(
        help="Add partial names, such as surnames and the towns of teams, to records without any."
    ),
]

BundleName = Annotated[str, typer.Option(help="Bundle with the encoder and the tokenizer.")]
Vectors = Annotated[
    str,
    typer.Option(help="Kind of vector index: exact, sq8, pq24, pq32, pq48, pq64, hnsw, ivf."),
]
Compression = Annotated[str, typer.Option(help="Compression of the records: none or zstd.")]
AnyCase = Annotated[
    bool,
    typer.Option(
        "--any-case",
        help="Match names in any case: for terms such as diseases or goods.",
    ),
]
LanguageCode = Annotated[
    str | None,
    typer.Option("--language", help="Of the names, such as en; that of the bundle by default."),
]
LinkedText = Annotated[
    list[Path] | None,
    typer.Option(
        help="JSON Lines of texts whose mentions are linked to ids of FILE, from which priors are "
        "counted. May be given more than once."
    ),
]
CandidateTokens = Annotated[int, typer.Option(help="Tokens of a candidate that the reader sees.")]
MinRecall = Annotated[float, typer.Option(help="Minimum recall@50 against exact search, 0 to 1.")]
Same = Annotated[
    Path | None,
    typer.Option(
        help='JSON Lines of {"id", "same_as"}: duplicates to merge, as the command duplicates '
        "prints them."
    ),
]
EncoderBackend = Annotated[
    str,
    typer.Option(help="Backend of the encoder: onnx, torch, or auto (torch if there is a GPU)."),
]
Reuse = Annotated[
    Path | None,
    typer.Option(
        help="Index built by the same bundle, whose vectors are reused for unchanged records."
    ),
]


@app.command()
def build(
    file: Annotated[Path, typer.Argument(help="JSON Lines, plain or gzipped.")],
    out: Annotated[Path, typer.Argument(help="Folder to create.")],
    bundle: BundleName = "default",
    vectors: Vectors = "exact",
    opq: Annotated[bool, typer.Option("--opq", help="Rotate vectors before pq (OPQ).")] = False,
    compression: Compression = "none",
    candidate_tokens: CandidateTokens = 10,
    min_recall: MinRecall = 0.0,
    inherit: Inherit = True,
    name_parts: NameParts = True,
    any_case: AnyCase = False,
    language: LanguageCode = None,
    linked_text: LinkedText = None,
    same: Same = None,
    reuse: Reuse = None,
    batch: Annotated[int, typer.Option(help="Texts per encoder batch.")] = 1024,
    backend: EncoderBackend = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace an index at OUT.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Build a knowledge index from JSON Lines {"id", "name", "aliases"?, "description"?}."""
    from relik.bundle import open_bundle
    from relik_index.builder import BuildOptions
    from relik_index.reuse import ReusedVectors
    from relik_index.sources.duplicates import read_same

    started, models = time.monotonic(), open_bundle(bundle)
    texts, merged = tuple(linked_text or ()), read_same(same) if same else {}
    fingerprint = models.encoder_fingerprint
    reused = None if reuse is None else ReusedVectors(reuse, encoder_fingerprint=fingerprint)
    code = language or models.language
    known = models.path if inherit else None
    enricher = _enricher(known, texts, merged, parts=name_parts, language=code)
    options = BuildOptions(
        vectors=cast("VectorKind", vectors),
        opq=opq,
        compression=compression,
        candidate_tokens=candidate_tokens,
        min_recall=min_recall,
        force=force,
        batch=batch,
        sources=tuple(each.name for each in (file, *texts)),
        enrich=enricher.enriched,
        same=merged,
        after_reading=enricher.check_linked,
        any_case=any_case,
        counted=bool(texts),
        language=code,
        reuse=reused,
    )
    built = _built(file, out, models, options, backend=backend)
    built |= enricher.told() | ({"merged": len(merged)} if merged else {})
    built |= {} if reused is None else {"reused": reused.n_reused}
    show({**built, "seconds": round(time.monotonic() - started, 2)}, as_json=as_json)


def _built(
    file: Path, out: Path, models: "Bundle", options: "BuildOptions", *, backend: str
) -> dict[str, object]:
    """Build an index with the encoder and the tokenizer of a bundle."""
    from relik_index.builder import build_index

    with progress_bar() as progress:
        return build_index(
            file,
            out,
            encoder=None if models.dim is None else models.encoder(backend, records=True),
            tokenizer=models.tokenizer(),
            encoder_fingerprint=models.encoder_fingerprint,
            options=options,
            progress=progress,
        )


def _enricher(
    models: Path | None,
    texts: Sequence[Path],
    same: Mapping[str, str],
    *,
    parts: bool,
    language: str,
) -> "Enricher":
    """Open the sources of further names: the index of the bundle, and linked text."""
    from relik.layout import LAYOUT
    from relik.names.language import open_language
    from relik_index.names.enrich import Enricher, KnownNames
    from relik_index.sources.linked_text import count_surfaces

    known = None
    if models is not None and (models / LAYOUT.entities).is_dir():
        known = KnownNames(models / LAYOUT.entities)
    linked = count_surfaces(texts, same)
    return Enricher(known=known, parts=parts, language=open_language(language), linked=linked)


@app.command("import")
def import_table(
    file: Annotated[
        Path, typer.Argument(metavar="CSV", help="Table whose first row names the columns.")
    ],
    out: Annotated[Path, typer.Argument(help="JSON Lines to write, for build and for training.")],
    id_column: Annotated[str, typer.Option(help="Column of the ids.")] = "id",
    name_column: Annotated[str, typer.Option(help="Column of the names.")] = "name",
    aliases_column: Annotated[
        str | None, typer.Option(help="Column of aliases; the column aliases if there is one.")
    ] = None,
    alias_separator: Annotated[str, typer.Option(help="Separator of aliases within a cell.")] = "|",
    description_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of short descriptions; the column description if there is one. May be "
            "given more than once: the columns are joined by commas."
        ),
    ] = None,
    delimiter: Annotated[
        str, typer.Option(help="Delimiter of cells, one character; tab for a tab.")
    ] = ",",
    as_json: JsonFlag = False,
) -> None:
    """Convert a CSV table to JSON Lines {"id", "name", "aliases"?, "description"?}."""
    from dataclasses import asdict

    from relik_index.sources.csv_table import CsvColumns, import_csv

    columns = CsvColumns(
        id=id_column,
        name=name_column,
        aliases=aliases_column,
        alias_separator=alias_separator,
        description=tuple(description_column or ()),
        delimiter="\t" if delimiter == "tab" else delimiter,
    )
    show(asdict(import_csv(file, out, columns)), as_json=as_json)


@app.command()
def duplicates(
    file: Annotated[Path, typer.Argument(help="JSON Lines, plain or gzipped.")],
) -> None:
    """Print records of two sources that may be duplicates.

    Check them, and pass those that are duplicates to build --same. The source of a record is the
    prefix of its id before a colon.
    """
    from dataclasses import asdict

    from relik_index.sources.duplicates import find_duplicates

    for each in find_duplicates(file):
        typer.echo(json.dumps(asdict(each), ensure_ascii=False))


@app.command()
def info(
    path: Annotated[Path, typer.Argument(help="Folder of a knowledge index.")],
    as_json: JsonFlag = False,
) -> None:
    """Print the manifest of a knowledge index."""
    from relik.kb.knowledge_base import KIND
    from relik.manifest import read_manifest

    manifest = read_manifest(path, kind=KIND)
    sizes = {name: entry.size for name, entry in manifest.files.items()}
    show(
        {
            **manifest.fields,
            "format_version": manifest.format_version,
            "bytes": sum(sizes.values()),
            "files": sizes,
        },
        as_json=as_json,
    )


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="Folder of a knowledge index.")],
    as_json: JsonFlag = False,
) -> None:
    """Check the files of a knowledge index, and that records are found by id, name and vector."""
    from relik_index.verify import verify_index

    show(verify_index(path), as_json=as_json)


@contextmanager
def progress_bar() -> Iterator["ProgressCallback | None"]:
    """Show progress on the error stream if it is a terminal.

    Yields:
        A function of a stage, the steps done and the steps in all; None if there is no terminal.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield update


def show(values: dict[str, object], *, as_json: bool) -> None:
    """Print the result of a command, as a table or as one line of JSON."""
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    table = Table(show_header=False, box=None)
    for name, value in values.items():
        table.add_row(name, value if isinstance(value, str) else json.dumps(value))
    Console(file=sys.stdout).print(table)
