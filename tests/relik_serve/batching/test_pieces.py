import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from relik.testing import FakePipeline, FakeView
from relik.types import (
    AnnotateOptions,
    Candidate,
    Document,
    WindowAnnotation,
    WindowCandidates,
)
from relik_serve.batching.pieces import Admission, Timer, Work
from relik_serve.errors import DeadlineError


def work_of(text, *, deadline_s=60.0):
    pipeline, document = FakePipeline(window_words=1), Document(doc_id="d", text=text)
    windows = pipeline.split(document)
    return Work(
        document,
        windows,
        costs=[1] * len(windows),
        admission=Admission(
            options=AnnotateOptions(),
            view=FakeView(),
            deadline=time.monotonic() + deadline_s,
            timer=Timer(time.monotonic()),
        ),
    )


ACTIONS = {
    "complete": lambda work: [
        work.keep_annotation(
            piece.index, WindowAnnotation(window=piece.window, spans=(), triples=())
        )
        for piece in work.pieces()
    ],
    "fail": lambda work: work.fail(ValueError("failed")),
    "cancel": lambda work: work.future.cancel(),
    "expire": lambda work: work.is_wanted(),
}


@settings(max_examples=100, deadline=None)
@given(
    actions=st.lists(st.sampled_from(sorted(ACTIONS)), min_size=1, max_size=6),
    text=st.sampled_from(["", "one", "one two three"]),
    deadline_s=st.sampled_from([-1.0, 60.0]),
)
def test_a_future_ends_exactly_once_whoever_comes_first(actions, text, deadline_s):
    work = work_of(text, deadline_s=deadline_s)
    ended, errors = [], []
    work.future.add_done_callback(ended.append)
    together = threading.Barrier(len(actions))

    def act(name):
        together.wait()
        try:
            ACTIONS[name](work)
        except Exception as error:  # noqa: BLE001  # told to the main thread
            errors.append(error)

    threads = [threading.Thread(target=act, args=(name,)) for name in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    ends = not text or set(actions) - {"expire"} or deadline_s < 0
    assert len(ended) == bool(ends)
    assert not work.future.done() or not work.is_wanted()


def test_annotations_come_back_in_the_order_of_the_windows():
    work = work_of("one two three")
    for piece in reversed(work.pieces()):
        work.keep_annotation(
            piece.index, WindowAnnotation(window=piece.window, spans=(), triples=())
        )

    assert [each.window.text for each in work.future.result(0)] == ["one", "two", "three"]


def test_what_was_retrieved_comes_with_its_window_in_order():
    work = work_of("one two three")
    for piece in reversed(work.pieces()):
        entity_id = f"E:{piece.window.text}"
        candidate = Candidate(entity_id=entity_id, score=1.0, rank=0, source="given")
        work.keep_candidates(piece.index, WindowCandidates(entities=(candidate,)))

    assert [
        (each.window.text, each.candidates.entities[0].entity_id) for each in work.retrieved()
    ] == [("one", "E:one"), ("two", "E:two"), ("three", "E:three")]


def test_work_past_its_deadline_is_not_wanted_and_ends_with_an_error():
    work = work_of("one", deadline_s=-1)

    assert not work.is_wanted()
    assert isinstance(work.future.exception(0), DeadlineError)


def test_queue_time_ends_with_the_first_call():
    timer = Timer(10.0)
    timer.add("retrieve", start=10.5, end=11.0)
    timer.add("read", start=11.0, end=11.25)
    timer.add("retrieve", start=11.0, end=11.5)

    assert timer.milliseconds() == {"queue_ms": 500.0, "retrieve_ms": 1000.0, "read_ms": 250.0}
