"""Units of work of the batcher: a document, its windows as pieces, and the timer of a request."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from relik.types import (
    AnnotateOptions,
    Document,
    Span,
    Window,
    WindowAnnotation,
    WindowCandidates,
)
from relik_serve.batching.pipeline_steps import View
from relik_serve.errors import DeadlineError


class Timer:
    """Timing of one request, by stage.

    Args:
        clock: Seconds of `time.monotonic` at admission.
    """

    def __init__(self, clock: float) -> None:
        self._lock = threading.Lock()
        self._admitted = clock
        self._first: float | None = None
        self._spent = {"retrieve": 0.0, "read": 0.0}

    def add(self, stage: str, *, start: float, end: float) -> None:
        """Add a batch that had windows of this request.

        Args:
            stage: "retrieve" or "read".
            start: Seconds of `time.monotonic` at which the call began.
            end: Seconds at which it ended.
        """
        with self._lock:
            self._first = start if self._first is None else min(self._first, start)
            self._spent[stage] += end - start

    def milliseconds(self) -> dict[str, float]:
        """Return the time in the queue, the retriever and the reader.

        Returns:
            `queue_ms`, from admission to the first batch; `retrieve_ms` and `read_ms`, the
            duration of all batches that had windows of this request.
        """
        with self._lock:
            waited = 0.0 if self._first is None else self._first - self._admitted
            return {
                "queue_ms": round(1000 * waited, 2),
                "retrieve_ms": round(1000 * self._spent["retrieve"], 2),
                "read_ms": round(1000 * self._spent["read"], 2),
            }


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The given mentions of a document.

    Args:
        mentions: All of them.
        placed: Those of each window.
    """

    mentions: Sequence[Span]
    placed: Sequence[Sequence[Span]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedWindow:
    """A window and its candidates."""

    window: Window
    candidates: WindowCandidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The state that all documents of a request share, from its admission to its answer.

    Args:
        view: The version of the knowledge base, for all stages.
        deadline: Seconds of `time.monotonic` at which the work fails.
    """

    options: AnnotateOptions
    view: View
    deadline: float
    timer: Timer


class Work:
    """A document between admission and its answer.

    `future` ends exactly once: with an annotation for each window, with an error, or because the
    caller cancelled it.

    Args:
        costs: Tokens of each window.
        admission: State shared with the other documents of its request.
        given: Its given mentions; None if the reader detects them.
    """

    def __init__(
        self,
        document: Document,
        windows: Sequence[Window],
        *,
        costs: Sequence[int],
        admission: Admission,
        given: Given | None = None,
    ) -> None:
        self.document = document
        self.given = given
        self.windows = tuple(windows)
        self.costs = tuple(costs)
        self.admission = admission
        self.future: Future[list[WindowAnnotation]] = Future()
        self._lock = threading.Lock()
        self._ended = False
        self._candidates: dict[int, WindowCandidates] = {}
        self._found: dict[int, WindowAnnotation] = {}
        if not self.windows:
            self._end([])

    def pieces(self) -> list["Piece"]:
        """Return one piece per window, in order."""
        return [Piece(work=self, index=index) for index in range(len(self.windows))]

    def goes_with(self, other: "Work") -> bool:
        """Tell whether pieces of both may share a batch: same options, same view."""
        mine, theirs = self.admission, other.admission
        return mine.view is theirs.view and mine.options == theirs.options

    def is_wanted(self) -> bool:
        """Tell whether the caller still waits; after the deadline, fail the work."""
        if (
            not self._ended
            and not self.future.cancelled()
            and time.monotonic() > self.admission.deadline
        ):
            self.fail(DeadlineError("the deadline passed while the document waited for the model"))
        return not (self._ended or self.future.cancelled())

    def keep_candidates(self, index: int, candidates: WindowCandidates) -> None:
        """Store the candidates of a window."""
        with self._lock:
            self._candidates[index] = candidates

    def take_candidates(self, index: int) -> WindowCandidates:
        """Return the candidates of a window."""
        with self._lock:
            return self._candidates[index]

    def retrieved(self) -> tuple[RetrievedWindow, ...]:
        """Return the windows with their candidates, in order, once the future has its result."""
        with self._lock:
            return tuple(
                RetrievedWindow(window=window, candidates=self._candidates[index])
                for index, window in enumerate(self.windows)
            )

    def keep_annotation(self, index: int, annotation: WindowAnnotation) -> None:
        """Store the annotation of a window; the last one completes the work."""
        with self._lock:
            self._found[index] = annotation
            complete = len(self._found) == len(self.windows)
        if complete:
            self._end([self._found[index] for index in range(len(self.windows))])

    def fail(self, error: Exception) -> None:
        """End the work with an error, unless it has already ended."""
        self._end(error)

    def _end(self, outcome: "list[WindowAnnotation] | Exception") -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
        # False if the caller has cancelled; after this call it no longer can.
        if not self.future.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """One window of a document, the unit of batches."""

    work: Work
    index: int

    @property
    def window(self) -> Window:
        """The window."""
        return self.work.windows[self.index]

    @property
    def mentions(self) -> Sequence[Span] | None:
        """Its given mentions; None if the reader detects them."""
        return None if self.work.given is None else self.work.given.placed[self.index]

    @property
    def cost(self) -> int:
        """Its tokens."""
        return self.work.costs[self.index]
