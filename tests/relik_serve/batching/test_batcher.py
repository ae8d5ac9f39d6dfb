import asyncio
import random
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relik.errors import InferenceError, RelikError
from relik.testing import FakePipeline, FakeView
from relik.types import AnnotateOptions, Document
from relik_serve.batching.batcher import Batcher
from relik_serve.errors import DeadlineError, NotReadyError, OverloadedError
from relik_serve.settings import Settings

LIMITS = Settings(max_batch_tokens=16, max_concurrent_requests=64, deadline_s=20.0, threads=2)
OPTIONS = AnnotateOptions()


class RecordingPipeline(FakePipeline):
    """Keeps what each call of a model was given; fails on texts that say Bang.

    Args:
        flaky: Chance that a call that could be divided fails for no reason of its texts.
        seed: Of that chance.
    """

    def __init__(self, *, flaky=0.0, seed=0):
        super().__init__(window_words=4)
        self.calls = []
        self._flaky = flaky
        self._random = random.Random(seed)

    def retrieve(self, windows, *, options, view=None):
        self._note("retrieve", windows, (options, view))
        return super().retrieve(windows, options=options, view=view)

    def read(self, windows, candidates, *, options, view=None):
        self._note("read", windows, (options, view))
        return super().read(windows, candidates, options=options, view=view)

    def _note(self, stage, windows, asked):
        self.calls.append((stage, [window.text for window in windows], asked))
        n_documents = sum(window.index == 0 for window in windows)
        several = n_documents > 1 if stage == "retrieve" else len(windows) > 1
        if several and self._random.random() < self._flaky:
            raise RuntimeError("out of memory")
        if any("Bang" in window.text for window in windows):
            raise RuntimeError("a window that cannot be read")


class GatedPipeline(RecordingPipeline):
    """Waits in one stage until it is let go."""

    def __init__(self, stage="retrieve"):
        super().__init__()
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self._stage = stage

    def _note(self, stage, windows, asked):
        if stage == self._stage:
            self.entered.set()
            assert self.let_go.wait(10)
        super()._note(stage, windows, asked)


def document(text, doc_id="d"):
    return Document(doc_id=doc_id, text=text)


def with_batcher(pipeline, scenario, limits=LIMITS):
    """Run a scenario with a started batcher, and drain it afterwards."""

    async def run():
        batcher = Batcher(pipeline, settings=limits)
        batcher.start()
        try:
            return await asyncio.wait_for(scenario(batcher), 30)
        finally:
            await asyncio.to_thread(batcher.close, timeout_s=5)
            assert not batcher.is_alive()

    return asyncio.run(run())


words = st.sampled_from(["Ada", "Bob", "met", "in", "Rome", "and", "Bang"])
texts = st.lists(words, max_size=12).map(" ".join)
requests = st.lists(
    st.tuples(
        st.lists(texts, max_size=4),  # its documents
        st.sampled_from([OPTIONS, AnnotateOptions(relations=False), AnnotateOptions(top_k=1)]),
        st.none() | st.integers(0, 6),  # turns of the loop after which the caller leaves
        st.sampled_from([FakeView(), FakeView(version="fake-2", prefix="F")]),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(requests=requests, flaky=st.sampled_from([0.0, 0.5]), seed=st.integers(0, 9))
def test_every_request_ends_once_and_with_what_it_would_get_alone(requests, flaky, seed):
    pipeline = RecordingPipeline(flaky=flaky, seed=seed)

    async def scenario(batcher):
        async def one(documents, options, leaves_after, view):
            task = asyncio.create_task(batcher.annotate(documents, options=options, view=view))
            if leaves_after is not None:
                for _ in range(leaves_after):
                    await asyncio.sleep(0)
                task.cancel()
            return await asyncio.gather(task, return_exceptions=True)

        ended = await asyncio.gather(
            *(
                one([document(text) for text in texts], options, leaves_after, view)
                for texts, options, leaves_after, view in requests
            )
        )
        assert batcher.n_running == 0
        return ended

    for (texts_, options, leaves_after, view), (outcome,) in zip(
        requests, with_batcher(pipeline, scenario), strict=True
    ):
        if isinstance(outcome, asyncio.CancelledError):
            assert leaves_after is not None
            continue
        alone = FakePipeline(window_words=4)
        alone.view = view
        for text, result in zip(texts_, outcome.results, strict=True):
            if "Bang" in text:
                assert isinstance(result, InferenceError)
            else:
                assert result == alone.annotate([document(text)], options=options)[0]


@settings(max_examples=30, deadline=None)
@given(requests=requests)
def test_a_call_has_one_set_of_options_and_one_view_and_stays_in_its_budget(requests):
    pipeline = RecordingPipeline()

    async def scenario(batcher):
        # The text tells which options and view its windows must be read with.
        await asyncio.gather(
            *(
                batcher.annotate(
                    [
                        document(
                            " ".join(f"{word}{options.top_k}{view.prefix}" for word in text.split())
                        )
                        for text in texts
                    ],
                    options=options,
                    view=view,
                )
                for texts, options, _, view in requests
            )
        )

    with_batcher(pipeline, scenario)
    for _, windows, (options, view) in pipeline.calls:
        end = f"{options.top_k}{view.prefix}"
        assert all(word.endswith(end) for text in windows for word in text.split())
        assert sum(len(text.split()) for text in windows) <= LIMITS.max_batch_tokens


def test_windows_of_several_requests_share_a_call():
    pipeline = GatedPipeline()

    async def scenario(batcher):
        tasks = [asyncio.create_task(batcher.annotate([document("first")], options=OPTIONS))]
        assert await asyncio.to_thread(pipeline.entered.wait, 5)
        tasks += [
            asyncio.create_task(batcher.annotate([document(text)], options=OPTIONS))
            for text in ("one", "two", "three")
        ]
        while batcher.n_queued < 3:
            await asyncio.sleep(0.001)
        pipeline.let_go.set()
        await asyncio.gather(*tasks)

    with_batcher(pipeline, scenario)
    retrieved = [windows for stage, windows, _ in pipeline.calls if stage == "retrieve"]
    assert [sorted(windows) for windows in retrieved] == [["first"], ["one", "three", "two"]]


def test_a_long_document_does_not_hold_up_a_short_one_in_the_reader():
    pipeline = GatedPipeline("read")

    async def scenario(batcher):
        long = document(" ".join(["long"] * 400))
        tasks = [asyncio.create_task(batcher.annotate([long], options=OPTIONS))]
        assert await asyncio.to_thread(pipeline.entered.wait, 5)
        before = batcher.n_queued
        tasks.append(asyncio.create_task(batcher.annotate([document("short")], options=OPTIONS)))
        while batcher.n_queued == before or len(pipeline.calls) < 2:
            await asyncio.sleep(0.001)
        pipeline.let_go.set()
        await asyncio.gather(*tasks)

    with_batcher(pipeline, scenario)
    read = [windows for stage, windows, _ in pipeline.calls if stage == "read"]
    assert "short" in read[1]
    assert len(read) > 20


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(0, 60), max_size=8), flaky=st.sampled_from([0.0, 0.5]))
def test_a_document_is_retrieved_whole_since_its_windows_are_evidence_for_each_other(
    lengths, flaky
):
    pipeline = RecordingPipeline(flaky=flaky)

    async def scenario(batcher):
        await asyncio.gather(
            *(
                batcher.annotate([document(f"{index} " * length)], options=OPTIONS)
                for index, length in enumerate(lengths)
            )
        )

    with_batcher(pipeline, scenario)
    for stage, windows, _ in pipeline.calls:
        retrieved = " ".join(windows).split() if stage == "retrieve" else []
        assert retrieved == sorted(retrieved, key=retrieved.index), "documents stand together"
        assert all(retrieved.count(word) == lengths[int(word)] for word in retrieved)


def test_what_nobody_waits_for_is_never_given_to_the_model():
    pipeline = GatedPipeline()

    async def scenario(batcher):
        first = asyncio.create_task(batcher.annotate([document("first")], options=OPTIONS))
        assert await asyncio.to_thread(pipeline.entered.wait, 5)
        left = asyncio.create_task(batcher.annotate([document("left")], options=OPTIONS))
        while batcher.n_queued == 0:
            await asyncio.sleep(0.001)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        pipeline.let_go.set()
        await first

    with_batcher(pipeline, scenario)
    assert not [windows for _, windows, _ in pipeline.calls if "left" in windows]


def test_what_is_past_its_deadline_is_never_given_to_the_model():
    pipeline = GatedPipeline()

    async def scenario(batcher):
        tasks = [asyncio.create_task(batcher.annotate([document("first")], options=OPTIONS))]
        assert await asyncio.to_thread(pipeline.entered.wait, 5)
        tasks.append(asyncio.create_task(batcher.annotate([document("late")], options=OPTIONS)))
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in ended] == [DeadlineError, DeadlineError]
        pipeline.let_go.set()

    with_batcher(pipeline, scenario, replace(LIMITS, deadline_s=0.05))
    assert not [windows for _, windows, _ in pipeline.calls if "late" in windows]


def test_a_request_over_the_limit_is_refused_and_a_later_one_admitted():
    pipeline = GatedPipeline()

    async def scenario(batcher):
        first = asyncio.create_task(batcher.annotate([document("first")], options=OPTIONS))
        assert await asyncio.to_thread(pipeline.entered.wait, 5)
        with pytest.raises(OverloadedError, match="expected fewer: try again in 1 s"):
            await batcher.annotate([document("second")], options=OPTIONS)
        pipeline.let_go.set()
        await first
        await batcher.annotate([document("third")], options=OPTIONS)

    with_batcher(pipeline, scenario, replace(LIMITS, max_concurrent_requests=1))


def test_close_gives_up_on_a_model_that_hangs_and_ends_its_requests():
    pipeline = GatedPipeline()

    async def scenario(batcher):
        stuck = asyncio.create_task(batcher.annotate([document("stuck")], options=OPTIONS))
        assert await asyncio.to_thread(pipeline.entered.wait, 5)
        closing = asyncio.create_task(asyncio.to_thread(batcher.close, timeout_s=0.05))
        outcome = await stuck
        assert [type(result) for result in outcome.results] == [NotReadyError]
        with pytest.raises(NotReadyError):
            await batcher.annotate([document("new")], options=OPTIONS)
        pipeline.let_go.set()
        await closing

    with_batcher(pipeline, scenario)


@pytest.mark.parametrize("step", ["split", "count_tokens", "retrieve", "read", "merge"])
def test_a_step_that_fails_ends_its_document_alone(step):
    class Failing(FakePipeline):
        pass

    def fail_on_bang(self, first, *rest, **options):
        if "Bang" in str(first):
            raise ValueError("bug")
        return getattr(FakePipeline, step)(self, first, *rest, **options)

    setattr(Failing, step, fail_on_bang)

    async def scenario(batcher):
        documents = [document(text) for text in ("Ada", "Bang", "Bob")]
        return await batcher.annotate(documents, options=OPTIONS)

    results = with_batcher(Failing(), scenario).results
    assert [isinstance(result, RelikError) for result in results] == [False, True, False]
    assert isinstance(results[1], InferenceError)


def test_windows_and_candidates_are_kept_where_asked_and_only_of_what_was_answered():
    pipeline = RecordingPipeline()
    documents = [document(text) for text in ("Ada met Bob and Carl", "Bang", "", "Eve")]

    async def scenario(batcher):
        return [
            await batcher.annotate(documents, options=OPTIONS, keep_candidates=keep)
            for keep in (True, False)
        ]

    kept, plain = with_batcher(pipeline, scenario)
    assert plain.retrieved == ()
    assert [len(windows) for windows in kept.retrieved] == [2, 0, 0, 1]
    for asked, windows in zip(documents, kept.retrieved, strict=True):
        if "Bang" not in asked.text:
            split = pipeline.split(asked)
            assert [each.window for each in windows] == split
            assert [each.candidates for each in windows] == pipeline.retrieve(
                split, options=OPTIONS
            )


def test_a_stage_that_loses_a_window_is_reported_as_a_bug():
    class Losing(FakePipeline):
        def retrieve(self, windows, *, options, view=None):
            return super().retrieve(windows, options=options, view=view)[:-1]

    async def scenario(batcher):
        return await batcher.annotate([document("Ada")], options=OPTIONS)

    (error,) = with_batcher(Losing(), scenario).results
    assert "got 0 results from the" in str(error)


def test_the_time_of_a_request_is_told_by_stage():
    async def scenario(batcher):
        return await batcher.annotate([document("Ada"), document("")], options=OPTIONS)

    timing = with_batcher(FakePipeline(), scenario).timing
    assert list(timing) == ["queue_ms", "retrieve_ms", "read_ms"]
    assert all(value >= 0 for value in timing.values())
