"""A stage of the batcher: a queue of pieces, and the thread that runs a model on batches."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Generic, TypeVar

from relik.errors import InferenceError, InputError
from relik_serve.batching.pieces import Piece, Work
from relik_serve.errors import STOPPING, NotReadyError, as_relik_error

log = logging.getLogger(__name__)

R = TypeVar("R")


class Stage(Generic[R]):
    """A model with its queue and its thread.

    A batch holds pieces of many requests, up to a number of tokens, all with the same options and
    knowledge view. Documents take turns, so that a long one does not hold up the short ones: piece
    by piece where the model looks at each window alone, whole where it looks across the windows
    of a document, whose result would otherwise depend on where a batch ends.

    Args:
        name: "retrieve" or "read", as in `Timer`.
        call: Runs the model on a batch; one result per piece, same order.
        deliver: Passes the results of a batch on.
        max_tokens: Tokens of a batch; a larger unit is a batch of its own.
        whole_documents: Never split a document between batches.
    """

    def __init__(
        self,
        name: str,
        *,
        call: Callable[[Sequence[Piece]], Sequence[R]],
        deliver: Callable[[Sequence[Piece], Sequence[R]], None],
        max_tokens: int,
        whole_documents: bool,
    ) -> None:
        self._name = name
        self._call = call
        self._deliver = deliver
        self._max_tokens = max_tokens
        self._whole_documents = whole_documents
        self._changed = threading.Condition()
        self._lanes: dict[Work, deque[Piece]] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"relik-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def n_queued(self) -> int:
        """Number of pieces in the queue."""
        with self._changed:
            return sum(len(lane) for lane in self._lanes.values())

    def is_alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    def put(self, pieces: Sequence[Piece]) -> None:
        """Queue pieces, those of one document in order; a closed stage fails them instead."""
        with self._changed:
            closed = self._closed
            if not closed:
                for piece in pieces:
                    self._lanes.setdefault(piece.work, deque()).append(piece)
                self._changed.notify()
        if closed:
            for piece in pieces:
                piece.work.fail(NotReadyError(STOPPING))

    def close(self, *, timeout_s: float) -> None:
        """End the thread once the queue is empty, and wait for it at most `timeout_s` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while batch := self._take():
            try:
                self._work_on(batch)
            except Exception as error:  # the thread must survive any error
                log.exception("the %s stage failed outside of its model", self._name)
                for piece in batch:
                    piece.work.fail(as_relik_error(error, self._name))

    def _take(self) -> list[Piece]:
        """Wait for pieces and return a batch; an empty one once closed and drained."""
        with self._changed:
            while True:
                self._drop_unwanted()
                if self._lanes:
                    return self._next_batch()
                if self._closed:
                    return []
                self._changed.wait()

    def _drop_unwanted(self) -> None:
        for work in [work for work in self._lanes if not work.is_wanted()]:
            del self._lanes[work]

    def _next_batch(self) -> list[Piece]:
        first = next(iter(self._lanes))
        works = [work for work in self._lanes if work.goes_with(first)]
        taken: dict[Work, list[Piece]] = {work: [] for work in works}
        tokens = 0
        turn = deque(works)
        while turn:
            lane = self._lanes[turn[0]]
            unit = list(lane) if self._whole_documents else [lane[0]]
            cost = sum(max(1, piece.cost) for piece in unit)
            if tokens and tokens + cost > self._max_tokens:
                break
            work = turn.popleft()
            for _ in unit:
                lane.popleft()
            tokens += cost
            taken[work].extend(unit)
            if lane:
                turn.append(work)
        for work in works:
            if not self._lanes[work]:
                del self._lanes[work]
            elif taken[work]:  # to the back
                self._lanes[work] = self._lanes.pop(work)
        return [piece for pieces in taken.values() for piece in pieces]

    def _work_on(self, batch: Sequence[Piece]) -> None:
        try:
            results = self._timed_call(batch)
        except Exception as error:  # any failure gets one retry, piece by piece
            if not isinstance(error, InputError):
                log.warning(
                    "the %s stage failed on a batch of %d windows; trying them one by one",
                    self._name,
                    len(batch),
                    exc_info=True,
                )
            self._retry(batch)
            return
        self._deliver(batch, results)

    def _retry(self, batch: Sequence[Piece]) -> None:
        for unit in self._units(batch):
            work = unit[0].work
            if not work.is_wanted():
                continue
            try:
                results = self._timed_call(unit)
            except Exception as error:  # noqa: BLE001  # it ends this document alone
                work.fail(as_relik_error(error, self._name))
            else:
                self._deliver(unit, results)

    def _units(self, batch: Sequence[Piece]) -> list[list[Piece]]:
        if not self._whole_documents:
            return [[piece] for piece in batch]
        return [list(unit) for _, unit in groupby(batch, key=lambda piece: id(piece.work))]

    def _timed_call(self, batch: Sequence[Piece]) -> Sequence[R]:
        start = time.monotonic()
        try:
            results = self._call(batch)
        finally:
            end = time.monotonic()
            for timer in {
                id(piece.work.admission.timer): piece.work.admission.timer for piece in batch
            }.values():
                timer.add(self._name, start=start, end=end)
        if len(results) != len(batch):
            raise InferenceError(
                f"got {len(results)} results from the {self._name} stage, expected {len(batch)}, "
                "one per window: report this bug of the pipeline"
            )
        return results
