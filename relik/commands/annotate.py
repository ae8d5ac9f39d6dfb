"""`relik annotate`: annotate texts, as JSON Lines or laid out for a terminal."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from relik.commands.document_stream import STDIN, read_documents
from relik.commands.render import render
from relik.commands.shared_options import Backend, Pretokenised, RelationThreshold, Threshold, TopK
from relik.errors import InputError
from relik.types import AnnotateOptions, Document
from relik.wire.document import document_to_wire

if TYPE_CHECKING:
    from relik.find_pipeline import AnyPipeline

TASKS = ("entities", "relations")
_CHUNK_DOCUMENTS = 64
_CHUNK_CHARACTERS = 500_000
_PROGRESS_AFTER_S = 2.0

Texts = Annotated[
    list[str] | None,
    typer.Argument(help="Texts, or files that exist, or - for standard input."),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", help="File of one text, or of JSON Lines with a text field."),
]
Tasks = Annotated[str, typer.Option(help="entities, relations, or both.")]
Types = Annotated[str, typer.Option(help="Keep only these coarse types: person,place.")]
Explain = Annotated[bool, typer.Option("--explain", help="Add descriptions and candidates.")]
Nil = Annotated[bool, typer.Option("--nil", help="Keep mentions without an entity (NIL).")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Print JSON Lines: the default where output is no terminal.")
]
BundleName = Annotated[
    str, typer.Option("--bundle", help="Folder or name of a bundle or released ReLiK pipeline.")
]
Knowledge = Annotated[
    Path | None,
    typer.Option("--kb", help="Knowledge index of entities in place of the bundle's own."),
]


def annotate(
    texts: Texts = None,
    file: Files = None,
    tasks: Tasks = "entities,relations",
    top_k: TopK = None,
    threshold: Threshold = None,
    relation_threshold: RelationThreshold = None,
    types: Types = "",
    explain: Explain = False,
    nil: Nil = False,
    pretokenised: Pretokenised = False,
    json_lines: JsonLines = False,
    bundle: BundleName = "default",
    kb: Knowledge = None,
    backend: Backend = "auto",
) -> None:
    """Link entities and find triples in texts, files or standard input.

    An input that starts with { is JSON Lines: objects with a text field and optionally an id. Any
    other input is one plain text.
    """
    chosen = _chosen_tasks(tasks)
    options = AnnotateOptions(
        entities="entities" in chosen,
        relations="relations" in chosen,
        top_k=top_k,
        threshold=threshold,
        relation_threshold=relation_threshold,
        explain=explain,
        nil=nil,
        types=tuple(_split_list(types)),
        pretokenised=pretokenised,
    )
    arguments = _text_arguments(texts or (), file or ())
    from relik.find_pipeline import find_pipeline

    pipeline = find_pipeline(bundle, kb=kb).pipeline(backend)
    documents = read_documents(arguments, files=file or (), stdin=sys.stdin.buffer)
    as_json = json_lines or not sys.stdout.isatty()
    console = None if as_json else Console()
    write_annotations(pipeline, documents, options=options, console=console)


def write_annotations(
    pipeline: "AnyPipeline",
    documents: Iterable[Document],
    *,
    options: AnnotateOptions,
    console: Console | None,
) -> None:
    """Annotate a stream of documents and write them chunk by chunk.

    Args:
        console: Shows documents laid out; None writes JSON Lines to standard output.

    Raises:
        InputError: A document cannot be read.
    """
    with _DocumentCounter(shown=console is None and sys.stderr.isatty()) as counter:
        for chunk in _chunks(documents):
            annotations = pipeline.annotate(chunk, options=options)
            for document, annotation in zip(chunk, annotations, strict=True):
                wire = document_to_wire(
                    annotation,
                    document.text,
                    entity=pipeline.entity,
                    relation=pipeline.relation,
                    explain=options.explain,
                )
                if console is None:
                    sys.stdout.write(_json_line(wire))
                else:
                    console.print(render(wire, document.text))
            sys.stdout.flush()
            counter.add(len(chunk))


class _DocumentCounter(ExitStack):
    """Shows the number of documents on standard error once the work has taken a while."""

    def __init__(self, *, shown: bool) -> None:
        super().__init__()
        self._shown = shown
        self._began = time.monotonic()
        self._done = 0
        self._progress: Progress | None = None

    def add(self, documents: int) -> None:
        """Add annotated documents."""
        self._done += documents
        late = time.monotonic() - self._began > _PROGRESS_AFTER_S
        if self._progress is None and self._shown and late:
            self._progress = self.enter_context(
                Progress(
                    SpinnerColumn(),
                    TextColumn("{task.completed:,} documents"),
                    TimeElapsedColumn(),
                    console=Console(stderr=True),
                    transient=True,
                )
            )
            self._progress.add_task("annotate", total=None)
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=self._done)


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    chunk: list[Document] = []
    characters = 0
    for document in documents:
        chunk.append(document)
        characters += len(document.text)
        if len(chunk) >= _CHUNK_DOCUMENTS or characters >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _text_arguments(texts: Sequence[str], files: Sequence[Path]) -> list[str]:
    if texts or files:
        return list(texts)
    if sys.stdin.isatty():
        raise InputError(
            "got no text, expected texts or files as arguments, or text on standard input: "
            "see `relik annotate --help`"
        )
    return [STDIN]


def _chosen_tasks(tasks: str) -> list[str]:
    chosen = _split_list(tasks)
    unknown = next((each for each in chosen if each not in TASKS), None)
    if unknown is not None or not chosen:
        raise InputError(
            f"--tasks: got {tasks!r}, expected {' or '.join(TASKS)}, or both joined by a comma: "
            "correct the option"
        )
    return chosen


def _split_list(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _json_line(document: dict[str, object]) -> str:
    line = json.dumps(document, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        # The terminal has another encoding, or the text has a lone surrogate.
        line = json.dumps(document)
    return line + "\n"
