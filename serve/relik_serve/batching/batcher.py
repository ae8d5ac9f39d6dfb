"""The batcher: admission, dynamic batches over concurrent requests, deadlines and shutdown."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias

from relik.errors import InputError, RelikError, TextTooLongError
from relik.types import (
    AnnotateOptions,
    Annotation,
    Document,
    Span,
    Window,
    WindowAnnotation,
    WindowCandidates,
)
from relik.windows import place_mentions
from relik_serve.batching.pieces import Admission, Given, Piece, RetrievedWindow, Timer, Work
from relik_serve.batching.pipeline_steps import GivenStages, Stages, View
from relik_serve.batching.stage_worker import Stage
from relik_serve.errors import (
    STOPPING,
    DeadlineError,
    NotReadyError,
    OverloadedError,
    as_relik_error,
)
from relik_serve.settings import Settings

Overflow: TypeAlias = Literal["window", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one request.

    Args:
        results: An annotation or an error for each document, in order.
        timing: `queue_ms`, `retrieve_ms`, `read_ms`.
        retrieved: The windows of each document with their candidates, empty for one that failed;
            empty as a whole without `keep_candidates`.
    """

    results: tuple[Annotation | RelikError, ...]
    timing: dict[str, float]
    retrieved: tuple[tuple[RetrievedWindow, ...], ...] = ()


class Batcher:
    """Two stages, retrieve and read, each with a queue and a worker thread that owns its device.

    The retriever works on one batch while the reader works on another. A failing document fails
    alone, and no result depends on the other documents of a batch.

    Args:
        given: The same pipeline if it can link given mentions, else None.

    `n_running` is the number of requests between admission and answer.
    """

    def __init__(
        self, stages: Stages, *, settings: Settings, given: GivenStages | None = None
    ) -> None:
        self._stages = stages
        self._given = given
        self._settings = settings
        self._changed = threading.Condition()
        self.n_running = 0
        self._closed = False
        self._running: set[Work] = set()
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="relik-text")
        self._read: Stage[WindowAnnotation] = Stage(
            "read",
            call=self._call_read,
            deliver=self._deliver_annotations,
            max_tokens=settings.max_batch_tokens,
            whole_documents=False,
        )
        self._retrieve: Stage[WindowCandidates] = Stage(
            "retrieve",
            call=self._call_retrieve,
            deliver=self._deliver_candidates,
            max_tokens=settings.max_batch_tokens,
            # The full name in one window is evidence for its short form in another.
            whole_documents=True,
        )

    def start(self) -> None:
        """Start the two threads."""
        self._read.start()
        self._retrieve.start()

    @property
    def n_queued(self) -> int:
        """Number of windows in the two queues."""
        return self._retrieve.n_queued + self._read.n_queued

    def is_alive(self) -> bool:
        """Tell whether both threads run and `close` has not been called."""
        return not self._closed and self._retrieve.is_alive() and self._read.is_alive()

    def close(self, *, timeout_s: float) -> None:
        """Refuse new requests, finish the running ones, and end the threads.

        Do not call it on the event loop, which the running requests need.

        Args:
            timeout_s: Seconds for the running requests; those that remain then fail.
        """
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self.n_running == 0, timeout=timeout_s)
            left = list(self._running)
        for work in left:
            work.fail(NotReadyError(STOPPING))
        self._retrieve.close(timeout_s=1.0)
        self._read.close(timeout_s=1.0)
        self._pool.shutdown(wait=False)

    async def annotate(
        self,
        documents: Sequence[Document],
        *,
        options: AnnotateOptions,
        on_overflow: Overflow = "window",
        keep_candidates: bool = False,
        mentions: Sequence[Sequence[Span] | None] | None = None,
        view: View | None = None,
    ) -> Outcome:
        """Annotate the documents of one request.

        Cancelling the call removes its documents from the queues.

        Args:
            on_overflow: "error" refuses a document of more than one window.
            keep_candidates: Fill `Outcome.retrieved`.
            mentions: Mentions of each document; None where they are to be found.
            view: Knowledge that every stage works from; None for that of the pipeline.

        Returns:
            A result per document, in order.

        Raises:
            NotReadyError: The server stops.
            OverloadedError: The maximum of concurrent requests is reached.
            DeadlineError: The deadline passed.
        """
        self._admit()
        now = time.monotonic()
        admission = Admission(
            options=options,
            view=self._stages.view if view is None else view,
            deadline=now + self._settings.deadline_s,
            timer=Timer(now),
        )
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                each = zip(documents, mentions or [None] * len(documents), strict=True)
                works, results = await self._run([*each], admission, on_overflow)
        except TimeoutError as error:
            raise self._deadline_error() from error
        finally:
            with self._changed:
                self.n_running -= 1
                self._changed.notify_all()
        if any(isinstance(result, DeadlineError) for result in results):
            raise self._deadline_error()
        return Outcome(
            results=tuple(results),
            timing=admission.timer.milliseconds(),
            retrieved=_retrieved(works, results) if keep_candidates else (),
        )

    def _admit(self) -> None:
        limit = self._settings.max_concurrent_requests
        with self._changed:
            if self._closed:
                raise NotReadyError(STOPPING)
            if self.n_running >= limit:
                raise OverloadedError(
                    f"got a request while {limit} were running, expected fewer: "
                    f"try again in {OverloadedError.retry_after_s} s"
                )
            self.n_running += 1

    def _deadline_error(self) -> DeadlineError:
        return DeadlineError(
            f"got no answer within the deadline of {self._settings.deadline_s:g} s: "
            "send fewer or shorter documents, or retry when the load is lower"
        )

    async def _run(
        self,
        documents: Sequence[tuple[Document, Sequence[Span] | None]],
        admission: Admission,
        on_overflow: Overflow,
    ) -> tuple[list[Work | RelikError], list[Annotation | RelikError]]:
        loop = asyncio.get_running_loop()
        works = await loop.run_in_executor(
            self._pool,
            lambda: [
                self._split(document, given, admission, on_overflow)
                for document, given in documents
            ],
        )
        started = [work for work in works if isinstance(work, Work)]
        with self._changed:
            self._running.update(started)
        for work in started:
            self._retrieve.put(work.pieces())
        try:
            await asyncio.gather(
                *(asyncio.wrap_future(work.future) for work in started), return_exceptions=True
            )
        finally:
            for work in started:
                work.future.cancel()
            with self._changed:
                self._running.difference_update(started)
        results = await loop.run_in_executor(
            self._pool, lambda: [self._merge(work) for work in works]
        )
        return works, results

    def _split(
        self,
        document: Document,
        mentions: Sequence[Span] | None,
        admission: Admission,
        on_overflow: Overflow,
    ) -> Work | RelikError:
        try:
            windows = self._stages.split(document)
            if on_overflow == "error" and len(windows) > 1:
                return TextTooLongError(
                    f"got a text of {len(windows)} windows, expected 1: "
                    'shorten it, or send "on_overflow": "window"'
                )
            costs = [self._stages.count_tokens(window) for window in windows]
            given = None if mentions is None else self._placed(document, windows, mentions)
        except Exception as error:  # noqa: BLE001  # it ends this document alone
            return as_relik_error(error, "split")
        return Work(document, windows, costs=costs, admission=admission, given=given)

    def _placed(
        self, document: Document, windows: Sequence[Window], mentions: Sequence[Span]
    ) -> Given:
        if self._given is None:
            raise InputError(
                "got mentions, expected none: leave them out, this pipeline cannot link given ones"
            )
        placed = place_mentions(document, windows, mentions)
        return Given(mentions=mentions, placed=placed)

    def _merge(self, work: Work | RelikError) -> Annotation | RelikError:
        if not isinstance(work, Work):
            return work
        try:
            found = work.future.result()
            if work.given is not None and self._given is not None:
                return self._given.merge(
                    work.document,
                    found,
                    options=work.admission.options,
                    mentions=work.given.mentions,
                    view=work.admission.view,
                )
            return self._stages.merge(
                work.document, found, options=work.admission.options, view=work.admission.view
            )
        except Exception as error:  # noqa: BLE001  # it ends this document alone
            return as_relik_error(error, "merge")

    def _call_retrieve(self, pieces: Sequence[Piece]) -> list[WindowCandidates]:
        asked = pieces[0].work.admission
        windows = [piece.window for piece in pieces]
        return self._stages.retrieve(windows, options=asked.options, view=asked.view)

    def _deliver_candidates(
        self, pieces: Sequence[Piece], candidates: Sequence[WindowCandidates]
    ) -> None:
        for piece, each in zip(pieces, candidates, strict=True):
            piece.work.keep_candidates(piece.index, each)
        self._read.put(pieces)

    def _deliver_annotations(
        self, pieces: Sequence[Piece], annotations: Sequence[WindowAnnotation]
    ) -> None:
        for piece, each in zip(pieces, annotations, strict=True):
            piece.work.keep_annotation(piece.index, each)

    def _call_read(self, pieces: Sequence[Piece]) -> list[WindowAnnotation]:
        asked = pieces[0].work.admission
        windows = [piece.window for piece in pieces]
        candidates = [piece.work.take_candidates(piece.index) for piece in pieces]
        mentions = [piece.mentions for piece in pieces]
        if self._given is None or all(own is None for own in mentions):
            return self._stages.read(windows, candidates, options=asked.options, view=asked.view)
        return self._given.read(
            windows, candidates, options=asked.options, mentions=mentions, view=asked.view
        )


def _retrieved(
    works: Sequence[Work | RelikError], results: Sequence[Annotation | RelikError]
) -> tuple[tuple[RetrievedWindow, ...], ...]:
    return tuple(
        work.retrieved() if isinstance(work, Work) and isinstance(result, Annotation) else ()
        for work, result in zip(works, results, strict=True)
    )
