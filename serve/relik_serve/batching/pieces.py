"""One document on its way through the stages, and the pieces that it is cut into."""

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
    """Where the time of one request went; written by the stages, read once at the end.

    Args:
        clock: Seconds at admission, of `time.monotonic`.
    """

    def __init__(self, clock: float) -> None:
        self._lock = threading.Lock()
        self._admitted = clock
        self._first: float | None = None
        self._spent = {"retrieve": 0.0, "read": 0.0}

    def add(self, stage: str, *, start: float, end: float) -> None:
        """Count one call of a model that served this request.

        Args:
            stage: `retrieve` or `read`.
            start: Seconds when the call began.
            end: Seconds when it ended.
        """
        with self._lock:
            self._first = start if self._first is None else min(self._first, start)
            self._spent[stage] += end - start

    def milliseconds(self) -> dict[str, float]:
        """Return the time in the queue, in the retriever and in the reader.

        Returns:
            `queue_ms`, from admission to the first call of a model; `retrieve_ms` and
            `read_ms`, the length of all calls that this request had a part in.
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
    """The mentions of a document that its caller gave.

    Args:
        mentions: All of them.
        placed: Those of each window.
    """

    mentions: Sequence[Span]
    placed: Sequence[Sequence[Span]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedWindow:
    """A window and what was retrieved for it.

    Args:
        window: The window.
        candidates: What the reader could choose from.
    """

    window: Window
    candidates: WindowCandidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What all documents of a request share from its admission to its answer.

    Args:
        options: What the caller asked for.
        view: Knowledge that every stage works from.
        deadline: Seconds of `time.monotonic` after which nobody waits for the answer.
        timer: Where to count its time.
    """

    options: AnnotateOptions
    view: View
    deadline: float
    timer: Timer


class Work:
    """A document between admission and its answer.

    `future` ends exactly once: with a window annotation per window, with an error, or
    cancelled by the caller, whichever comes first.

    Args:
        document: The document.
        windows: Its windows, in order.
        costs: Tokens of each window.
        admission: What it shares with the other documents of its request.
        given: Its mentions; None where they are to be found.
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
        """Return one piece per window, in order.

        Returns:
            The pieces.
        """
        return [Piece(work=self, index=index) for index in range(len(self.windows))]

    def goes_with(self, other: "Work") -> bool:
        """Tell whether pieces of both may share a batch: same options, same view."""
        mine, theirs = self.admission, other.admission
        return mine.view is theirs.view and mine.options == theirs.options

    def is_wanted(self) -> bool:
        """Tell whether somebody still waits; past the deadline, end it with an error.

        Returns:
            False where the answer is of no use any more.
        """
        if (
            not self._ended
            and not self.future.cancelled()
            and time.monotonic() > self.admission.deadline
        ):
            self.fail(DeadlineError("the deadline passed while the document waited for the model"))
        return not (self._ended or self.future.cancelled())

    def keep_candidates(self, index: int, candidates: WindowCandidates) -> None:
        """Keep what was retrieved for a window.

        Args:
            index: Which window.
            candidates: What was retrieved.
        """
        with self._lock:
            self._candidates[index] = candidates

    def take_candidates(self, index: int) -> WindowCandidates:
        """Return what was retrieved for a window.

        Args:
            index: Which window.

        Returns:
            What `keep_candidates` was given.
        """
        with self._lock:
            return self._candidates[index]

    def retrieved(self) -> tuple[RetrievedWindow, ...]:
        """Return the windows with what was retrieved for them, once the future has its result.

        Returns:
            One for each window, in order.
        """
        with self._lock:
            return tuple(
                RetrievedWindow(window=window, candidates=self._candidates[index])
                for index, window in enumerate(self.windows)
            )

    def keep_annotation(self, index: int, annotation: WindowAnnotation) -> None:
        """Keep what was read in a window; the last one ends the work.

        Args:
            index: Which window.
            annotation: What was read.
        """
        with self._lock:
            self._found[index] = annotation
            complete = len(self._found) == len(self.windows)
        if complete:
            self._end([self._found[index] for index in range(len(self.windows))])

    def fail(self, error: Exception) -> None:
        """End the work with an error, unless it has ended.

        Args:
            error: Why there is no answer.
        """
        self._end(error)

    def _end(self, outcome: "list[WindowAnnotation] | Exception") -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
        # False where the caller cancelled first; from here on the caller cannot.
        if not self.future.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """One window of a work: what is put into batches.

    Args:
        work: The document that it belongs to.
        index: Which of its windows.
    """

    work: Work
    index: int

    @property
    def window(self) -> Window:
        """The window."""
        return self.work.windows[self.index]

    @property
    def mentions(self) -> Sequence[Span] | None:
        """Its mentions; None where they are to be found."""
        return None if self.work.given is None else self.work.given.placed[self.index]

    @property
    def cost(self) -> int:
        """Its tokens."""
        return self.work.costs[self.index]
