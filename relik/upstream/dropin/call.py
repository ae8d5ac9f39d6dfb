"""One call of `Relik`: split into windows, retrieve candidates, read, merge."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from relik.errors import ConfigError, InputError
from relik.types import FloatArray
from relik.upstream.bundle.released_parts import Parts
from relik.upstream.checkpoint.settings import TASKS, PipelineSettings, Task, parse_precision
from relik.upstream.dropin.caller_input import InputTexts
from relik.upstream.dropin.options import CallOptions
from relik.upstream.dropin.outputs import Candidates, RelikOutput, WindowRecord, window_record
from relik.upstream.dropin.window_merge import Reading, merge_as_upstream, merge_windows
from relik.upstream.index.documents import Document, candidate_text
from relik.upstream.reader.fitting import CharSpan, WindowBatch, read_fitting, read_strictly
from relik.upstream.reader.predictions import WindowPrediction
from relik.upstream.text.token_windows import TokenText, UpstreamWindow, split

# Windows between two updates of the progress bar.
_PROGRESS_STEP = 64

WindowCandidates = dict[Task, list[list[Document]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The input of a call.

    Args:
        windows: Windows to read in place of cutting the texts, or None.
        mentions: Mentions of each text to link, or None to find them.
        candidates: Candidates of each text by task; the other tasks retrieve theirs.
    """

    texts: InputTexts
    windows: list[UpstreamWindow] | None
    mentions: list[list[CharSpan]] | None
    candidates: dict[Task, list[list[Document]]]
    options: CallOptions


class Call:
    """Runs the pipeline on one request.

    Args:
        quirks: Answer as upstream does.
    """

    def __init__(
        self, parts: Parts, settings: PipelineSettings, request: Request, *, quirks: bool
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._request = request
        self._options = request.options
        self._quirks = quirks
        self._documents = request.texts.documents

    def run(self) -> list[RelikOutput]:
        """Return the answer for each text, in order; with quirks, none for a text without tokens.

        Raises:
            InputError: The input does not fit, or a window is too long for the reader.
            ConfigError: The pipeline lacks a part that the request needs.
        """
        windows = self._split()
        mentions = self._place_mentions(windows)
        with _autocast(self._options.precision):
            candidates = self._propose(windows, mentions)
            predictions = self._read(windows, mentions, candidates)
        of_document: list[list[int]] = [[] for _ in self._documents]
        for i, window in enumerate(windows):
            of_document[window.doc_id].append(i)
        results = _WindowResults(windows, mentions, candidates, predictions)
        return [
            self._output(doc_id, numbers, results)
            for doc_id, numbers in enumerate(of_document)
            if numbers or not self._quirks
        ]

    def _split(self) -> list[UpstreamWindow]:
        if self._request.windows is not None:
            for window in self._request.windows:
                _check_window(window, self._documents)
            return self._request.windows
        windowing = self._options.windowing(self._settings)
        return [
            window
            for doc_id, document in enumerate(self._documents)
            for window in split(
                document, windowing, doc_id=doc_id, word_tokenizer=self._parts.word_tokenizer
            )
        ]

    def _place_mentions(
        self, windows: Sequence[UpstreamWindow]
    ) -> list[tuple[CharSpan, ...]] | None:
        """Assign each mention to every window that contains it."""
        mentions = self._request.mentions
        if mentions is None:
            return None
        placed = [
            tuple(
                (start, end)
                for start, end in mentions[window.doc_id]
                if window.offset <= start and end <= window.offset + len(window.text)
            )
            for window in windows
        ]
        found = {(w.doc_id, one) for w, own in zip(windows, placed, strict=True) for one in own}
        for doc_id, own in enumerate(mentions):
            lost = next((one for one in own if (doc_id, one) not in found), None)
            if lost is not None and not self._quirks:
                raise InputError(
                    f"got a mention from {lost[0]} to {lost[1]}, expected a window that contains "
                    "it: use larger windows, or window_size='none'"
                )
        return placed

    def _propose(
        self, windows: Sequence[UpstreamWindow], mentions: Sequence[tuple[CharSpan, ...]] | None
    ) -> WindowCandidates:
        """Return the candidates of each window; none for a window without mentions to link."""
        task = self._settings.task
        wanted = [i for i in range(len(windows)) if mentions is None or mentions[i]]
        chosen = [windows[i] for i in wanted]
        found: WindowCandidates = {}
        vectors: dict[int, FloatArray] = {}
        for name in TASKS if task == "both" else (task,):
            given = self._request.candidates.get(name)
            if given is not None:
                lines = [given[window.doc_id] for window in chosen]
            else:
                lines = self._retrieve(name, chosen, vectors)
            found[name] = [[] for _ in windows]
            for i, line in zip(wanted, lines, strict=True):
                found[name][i] = line
        return found

    def _retrieve(
        self, task: Task, windows: Sequence[UpstreamWindow], vectors: dict[int, FloatArray]
    ) -> list[list[Document]]:
        encoder, index = self._parts.retriever.get(task), self._parts.index.get(task)
        if encoder is None or index is None:
            missing = "retriever" if encoder is None else "index"
            raise ConfigError(
                f"got no candidates and no {missing} for {task!r}, expected one of them: pass "
                f"candidates, or open the pipeline with its {missing}"
            )
        # One encoder may serve both tasks: it encodes the windows once.
        if id(encoder.value) not in vectors:
            vectors[id(encoder.value)] = encoder.value.encode(
                [window.text for window in windows],
                batch_size=self._options.retriever_batch_size,
                topics=[self._topic(window) for window in windows]
                if self._options.use_doc_topic
                else None,
            )
        top_k = self._options.top_k or self._settings.top_k
        found = index.value.search(vectors[id(encoder.value)], top_k=top_k, truncate=self._quirks)
        return [[one.document for one in line] for line in found]

    def _topic(self, window: UpstreamWindow) -> str:
        # Upstream uses the first text of the call for all texts.
        document = self._documents[0 if self._quirks else window.doc_id]
        return document.words[0] if document.words else ""

    def _read(
        self,
        windows: list[UpstreamWindow],
        mentions: list[tuple[CharSpan, ...]] | None,
        candidates: WindowCandidates,
    ) -> list[WindowPrediction]:
        if self._parts.reader is None:
            return [WindowPrediction()] * len(windows)
        texts = {name: self._candidate_texts(lines) for name, lines in candidates.items()}
        batch = WindowBatch(
            windows=windows,
            span_candidates=texts.get("span"),
            triplet_candidates=texts.get("triplet"),
            mentions=mentions,
        )
        options = self._options.reading()
        read = read_strictly if self._quirks else read_fitting
        step = _PROGRESS_STEP if self._options.progress_bar else max(1, len(windows))
        found: list[WindowPrediction] = []
        with _progress(len(windows), shown=self._options.progress_bar) as advance:
            for first in range(0, len(windows), step):
                part = batch.part(first, first + step)
                found += read(self._parts.reader.value, part, options)
                advance(len(part.windows))
        return found

    def _candidate_texts(self, lines: Sequence[Sequence[Document]]) -> list[list[str]]:
        fields = self._settings.metadata_fields
        return [[candidate_text(document, fields) for document in line] for line in lines]

    def _output(self, doc_id: int, own: Sequence[int], results: "_WindowResults") -> RelikOutput:
        document = self._documents[doc_id]
        windows = [results.windows[i] for i in own]
        readings = [
            Reading(window, results.predictions[i]) for i, window in zip(own, windows, strict=True)
        ]
        words = self._options.words
        if self._quirks:
            merged = merge_as_upstream(document, readings, words=words)
        else:
            given = self._request.mentions is not None
            merged = merge_windows(document, readings, words=words, given=given)
        text = document.text
        if self._quirks:
            # Upstream joins the text of windows, which loses white space at the end.
            text = text[: max(window.offset + len(window.text) for window in windows)]
        shown = {name: [[lines[i] for i in own]] for name, lines in results.candidates.items()}
        return RelikOutput(
            text=text,
            tokens=list(document.words),
            id=doc_id,
            spans=merged.spans,
            triplets=merged.triplets,
            candidates=Candidates(shown.get("span", []), shown.get("triplet", [])),
            windows=[self._record(i, results) for i in own]
            if self._options.return_windows
            else None,
        )

    def _record(self, i: int, results: "_WindowResults") -> WindowRecord:
        window, prediction = results.windows[i], results.predictions[i]
        topic = self._quirks or self._options.use_doc_topic
        read: dict[str, Any] = {
            f"{name}_candidates": self._candidate_texts([lines[i]])[0]
            for name, lines in results.candidates.items()
        }
        read["predicted_spans"] = [[s.start, s.end, s.label] for s in prediction.spans]
        read["predicted_triplets"] = [
            [t.subject, t.relation, t.object, t.probability] for t in prediction.triples
        ]
        return window_record(
            window,
            self._documents[window.doc_id],
            doc_topic=self._topic(window) if topic else None,
            spans=() if results.mentions is None else results.mentions[i],
            read=read,
        )


@dataclass(frozen=True, slots=True)
class _WindowResults:
    """Mentions, candidates and predictions of all windows of a call, in order."""

    windows: list[UpstreamWindow]
    mentions: list[tuple[CharSpan, ...]] | None
    candidates: WindowCandidates
    predictions: list[WindowPrediction]


def _check_window(window: UpstreamWindow, documents: Sequence[TokenText]) -> None:
    if not 0 <= window.doc_id < len(documents):
        raise InputError(
            f"got a window of document {window.doc_id}, expected one of the {len(documents)} "
            "texts: correct its doc_id"
        )
    text = documents[window.doc_id].text
    if text[window.offset : window.offset + len(window.text)] != window.text:
        raise InputError(
            f"got the window {window.text[:40]!r} at {window.offset}, expected the text of "
            f"document {window.doc_id} there: pass the text that the windows were cut from, or none"
        )


@contextmanager
def _autocast(precision: str | int | None) -> Iterator[None]:
    with ExitStack() as stack:
        if precision is not None:
            import torch

            from relik.upstream.checkpoint.weights import PRECISIONS

            name = parse_precision(precision, where="precision")
            if name == "bfloat16":
                stack.enter_context(torch.autocast("cpu", PRECISIONS[name]))
            if name != "float32" and torch.cuda.is_available():
                stack.enter_context(torch.autocast("cuda", PRECISIONS[name]))
        yield


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Any]:
    if not shown:
        yield lambda count: None
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("windows", total=total)
        yield lambda count: progress.advance(task, count)
