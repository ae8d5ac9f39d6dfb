import random
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relik.config import WindowConfig
from relik.errors import InputError
from relik.types import (
    Candidate,
    Document,
    EntitySpan,
    Span,
    Triple,
    Window,
    WindowAnnotation,
)
from relik.windows import (
    check_mentions,
    check_text,
    halve,
    is_blank,
    merge,
    place_mentions,
    split,
)

TEXT = "Marie Curie and Pierre Curie lived in Paris near the Pantheon"


TABLE = " ".join(f"Town{n} {n}" for n in range(32))


def document(text: str = TEXT) -> Document:
    return Document(doc_id="d", text=text)


def found(start: int, end: int, entity_id: str | None, score: float) -> EntitySpan:
    return EntitySpan(span=Span(start, end), entity_id=entity_id, score=score)


def read(
    *spans: EntitySpan, triples: tuple[Triple, ...] = (), start: int = 0, end: int = len(TEXT)
) -> WindowAnnotation:
    window = Window(doc_id="d", index=0, span=Span(start, end), text=TEXT[start:end])
    return WindowAnnotation(window=window, spans=spans, triples=triples)


def triple(subject: tuple[int, int], object_: tuple[int, int], score: float = 0.9) -> Triple:
    return Triple(subject=Span(*subject), relation_id="P26", object=Span(*object_), score=score)


texts = st.one_of(
    st.text(max_size=400),
    st.text(alphabet="ab \n\t\u3000\u0301\u200d👩🏽‍🚀א中", max_size=600),
    st.integers(90, 400).map(lambda n: "x" + "中\u0301" * n),
)
configs = st.integers(1, 12).flatmap(
    lambda size: st.builds(
        WindowConfig, size=st.just(size), stride=st.integers(1, size), max_names=st.integers(0, 4)
    )
)


@given(text=texts, config=configs)
def test_windows_index_the_original_text(text: str, config: WindowConfig) -> None:
    windows = split(document(text), config)
    assert [window.index for window in windows] == list(range(len(windows)))
    for window in windows:
        assert window.text == text[window.span.start : window.span.end]


@given(text=texts, config=configs)
def test_every_visible_character_is_in_a_window(text: str, config: WindowConfig) -> None:
    covered: set[int] = set()
    for window in split(document(text), config):
        covered.update(range(window.span.start, window.span.end))
    assert all(i in covered for i, char in enumerate(text) if not char.isspace())


@given(n=st.integers(1, 60), config=configs)
def test_windows_are_full_and_stop_at_the_end(n: int, config: WindowConfig) -> None:
    windows = split(document(" ".join("w" * n)), config)
    assert {len(window.text.split()) for window in windows} == {min(n, config.size)}
    spans = [window.span for window in windows]
    assert len(set(spans)) == len(spans)
    assert spans == sorted(spans)


@pytest.mark.parametrize("text", ["", " ", "\r\n\t\u3000"])
def test_blank_text_has_no_windows(text: str) -> None:
    assert split(document(text), WindowConfig()) == []


def test_text_without_spaces_is_cut_into_many_windows() -> None:
    windows = split(document("中" * 3000), WindowConfig(size=64, stride=48))
    assert len(windows) > 4
    assert max(len(window.text) for window in windows) <= 64 * 8


def test_a_combining_sequence_stays_in_one_window() -> None:
    text = "e\u0301\u0323" * 100
    for window in split(document(text), WindowConfig(size=1, stride=1)):
        assert window.text[0] == "e"


def test_a_run_of_combining_marks_without_end_is_still_cut() -> None:
    assert len(split(document("e" + "\u0301" * 1000), WindowConfig(size=8, stride=8))) > 10


def test_the_best_score_wins_an_overlap() -> None:
    merged = merge(document(), [read(found(0, 5, "Q1", 0.6)), read(found(0, 11, "Q2", 0.9))])
    assert [span.entity_id for span in merged.spans] == ["Q2"]


def test_the_longer_span_wins_a_tie() -> None:
    merged = merge(document(), [read(found(0, 5, "Q1", 0.9), found(0, 11, "Q2", 0.9))])
    assert [span.entity_id for span in merged.spans] == ["Q2"]


def test_a_span_read_twice_keeps_its_best_score() -> None:
    merged = merge(document(), [read(found(0, 5, "Q1", 0.6)), read(found(0, 5, "Q1", 0.8))])
    assert [span.score for span in merged.spans] == [0.8]


def test_a_sure_nil_suppresses_a_doubtful_link() -> None:
    windows = [read(found(0, 11, None, 0.9), found(0, 5, "Q1", 0.6), found(38, 43, "Q90", 0.8))]
    assert [span.entity_id for span in merge(document(), windows).spans] == ["Q90"]
    assert [span.entity_id for span in merge(document(), windows, nil=True).spans] == [None, "Q90"]


def test_a_triple_follows_its_end_to_the_surviving_span_of_the_same_entity() -> None:
    short = read(
        found(0, 5, "Q1", 0.6), found(16, 28, "Q2", 0.9), triples=(triple((0, 5), (16, 28)),)
    )
    full = read(found(0, 11, "Q1", 0.9))
    merged = merge(document(), [short, full])
    assert merged.triples == (triple((0, 11), (16, 28)),)


def test_a_triple_is_dropped_when_another_entity_took_its_place() -> None:
    short = read(
        found(0, 5, "Q1", 0.6), found(16, 28, "Q2", 0.9), triples=(triple((0, 5), (16, 28)),)
    )
    assert merge(document(), [short, read(found(0, 11, "Q3", 0.9))]).triples == ()


def test_a_triple_whose_ends_become_one_span_is_dropped() -> None:
    halves = read(
        found(0, 5, "Q1", 0.6), found(6, 11, "Q1", 0.6), triples=(triple((0, 5), (6, 11)),)
    )
    assert merge(document(), [halves, read(found(0, 11, "Q1", 0.9))]).triples == ()


def test_a_triple_with_a_nil_end_goes_with_it() -> None:
    windows = [
        read(
            found(0, 11, None, 0.9), found(16, 28, "Q2", 0.9), triples=(triple((0, 11), (16, 28)),)
        )
    ]
    assert merge(document(), windows).triples == ()
    assert len(merge(document(), windows, nil=True).triples) == 1


def test_a_triple_read_twice_keeps_its_best_score() -> None:
    spans = found(0, 11, "Q1", 0.9), found(16, 28, "Q2", 0.9)
    windows = [read(*spans, triples=(triple((0, 11), (16, 28), s),)) for s in (0.5, 0.7)]
    assert [t.score for t in merge(document(), windows).triples] == [0.7]


def test_text_that_no_window_covers_is_reported() -> None:
    assert merge(document(), [read(end=28)]).coverage.truncated
    assert merge(document(), [read(start=6)]).coverage.truncated
    whole = merge(document(), [read(end=28), read(start=20)]).coverage
    assert (whole.characters, whole.windows, whole.truncated) == (len(TEXT), 2, False)


def test_a_window_that_the_reader_cut_is_reported() -> None:
    window = Window(doc_id="d", index=0, span=Span(0, len(TEXT)), text=TEXT)
    cut = WindowAnnotation(window=window, spans=(), triples=(), truncated=True)
    assert merge(document(), [cut]).coverage.truncated


def test_blank_text_is_wholly_covered() -> None:
    blank = merge(document(" \n"), [])
    assert (blank.spans, blank.triples, blank.coverage.truncated) == ((), (), False)


@st.composite
def readings(draw: st.DrawFn) -> list[WindowAnnotation]:
    windows = []
    for _ in range(draw(st.integers(0, 4))):
        spans = []
        for _ in range(draw(st.integers(0, 6))):
            start = draw(st.integers(0, len(TEXT) - 1))
            end = draw(st.integers(start + 1, min(len(TEXT), start + 12)))
            score = draw(st.sampled_from([0.2, 0.5, 0.8]))
            rivals = draw(st.lists(st.sampled_from(["Q1", "Q2"]), max_size=1))
            candidates = tuple(
                Candidate(entity_id=i, score=0.5, rank=0, source="dense") for i in rivals
            )
            spans.append(
                EntitySpan(
                    span=Span(start, end),
                    entity_id=draw(st.sampled_from(["Q1", "Q2", None])),
                    score=score,
                    candidates=candidates,
                )
            )
        ends = [span.span for span in spans]
        pairs = st.lists(
            st.tuples(st.sampled_from(ends), st.sampled_from(ends)) if ends else st.nothing(),
            max_size=4 if ends else 0,
        )
        triples = tuple(
            Triple(
                subject=subject,
                relation_id=draw(st.sampled_from(["P1", "P2"])),
                object=object_,
                score=draw(st.sampled_from([0.3, 0.6])),
            )
            for subject, object_ in draw(pairs)
        )
        windows.append(read(*spans, triples=triples))
    return windows


@given(windows=readings(), seed=st.integers(0, 99), nil=st.booleans())
@settings(max_examples=100, deadline=None)
def test_merge_does_not_depend_on_order(
    windows: list[WindowAnnotation], seed: int, nil: bool
) -> None:
    shuffle = random.Random(seed).sample
    other = [
        WindowAnnotation(
            window=window.window,
            spans=tuple(shuffle(window.spans, len(window.spans))),
            triples=tuple(shuffle(window.triples, len(window.triples))),
        )
        for window in shuffle(windows, len(windows))
    ]
    assert merge(document(), windows, nil=nil) == merge(document(), other, nil=nil)


@given(windows=readings(), nil=st.booleans())
@settings(max_examples=100, deadline=None)
def test_merge_is_idempotent_and_consistent(windows: list[WindowAnnotation], nil: bool) -> None:
    once = merge(document(), windows, nil=nil)
    again = merge(document(), [read(*once.spans, triples=once.triples)], nil=nil)
    assert (again.spans, again.triples) == (once.spans, once.triples)
    spans = [span.span for span in once.spans]
    assert all(one.end <= two.start for one, two in pairwise(spans))
    assert all(t.subject in spans and t.object in spans for t in once.triples)


def _calls_of_a_long_text(n_words: int) -> int:
    """Count the calls that splitting and merging a text of so many words takes."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    long = document("word " * n_words)
    sys.setprofile(count)
    try:
        windows = split(long, WindowConfig())
        annotations = []
        for window in windows:
            starts = range(window.span.start, window.span.end - 4, 5)
            spans = tuple(found(s, s + 4, "Q1", 0.5 + (s % 7) / 20) for s in starts)
            annotations.append(WindowAnnotation(window=window, spans=spans, triples=()))
        merged = merge(long, annotations)
    finally:
        sys.setprofile(None)
    assert len(merged.spans) > 0.95 * n_words
    return calls


def test_the_work_of_splitting_and_merging_grows_with_the_length_of_the_text() -> None:
    assert _calls_of_a_long_text(8_000) < 4.5 * _calls_of_a_long_text(2_000)


@given(text=st.text(min_size=2, max_size=60), start=st.integers(0, 5))
def test_halves_are_the_whole(text: str, start: int) -> None:
    whole = Window(doc_id="d", index=4, span=Span(start, start + len(text)), text=text)
    first, second = halve(document("." * start + text), whole)
    assert first.text + second.text == text
    assert (first.span.start, first.span.end) == (start, second.span.start)
    assert second.span.end == whole.span.end
    assert (first.index, second.index) == (4, 4)


def test_a_window_is_halved_between_words() -> None:
    whole = Window(doc_id="d", index=0, span=Span(0, len(TEXT)), text=TEXT)
    first, second = halve(document(), whole)
    assert (first.text, second.text[:7]) == ("Marie Curie and Pierre Curie", " lived ")


@given(text=texts, config=configs, data=st.data())
def test_every_mention_has_one_window_that_has_most_of_it(
    text: str, config: WindowConfig, data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True).map(sorted))
    mentions = [Span(one, other) for one, other in pairwise(drawn)]
    windows = split(document(text), config)
    placed = place_mentions(document(text), windows, mentions)
    assert len(placed) == len(windows)
    visible = [span for span in mentions if not is_blank(document(text), span)]
    assert sorted(span for spans in placed for span in spans) == visible
    for window, spans in zip(windows, placed, strict=True):
        for span in spans:
            assert span.overlaps(window.span)
            holders = [w for w in windows if w.span.start <= span.start and span.end <= w.span.end]
            assert not holders or window in holders


def test_a_text_that_cannot_be_written_is_refused_with_the_place() -> None:
    check_text(document("👩🏽‍🚀"))
    with pytest.raises(
        InputError, match="document 'd': got half of a surrogate pair at character 3"
    ):
        check_text(document("abc" + chr(0xDC00)))


def test_mentions_outside_the_text_or_over_each_other_are_refused() -> None:
    check_mentions(document(), [Span(6, 11), Span(0, 5), Span(5, 6)])
    with pytest.raises(InputError, match=f"within the {len(TEXT)} characters"):
        check_mentions(document(), [Span(0, len(TEXT) + 1)])
    with pytest.raises(InputError, match="from 0 to 5 and from 4 to 6"):
        check_mentions(document(), [Span(4, 6), Span(0, 5)])


def test_a_window_full_of_names_is_halved_with_the_overlap_of_windows() -> None:
    config = WindowConfig(size=64, stride=56, max_names=12)
    whole = split(document(TABLE), WindowConfig(size=64, stride=56))
    halves = split(document(TABLE), config)
    assert len(halves) == 2 * len(whole)
    assert [window.index for window in halves] == list(range(len(halves)))
    assert halves[0].text.split()[-8:] == halves[1].text.split()[:8]
    assert halves[0].text.split()[0] == "Town0"
    assert halves[1].span.end == whole[0].span.end


def test_names_of_several_words_count_once_and_a_text_without_names_is_not_halved() -> None:
    config = WindowConfig(size=64, stride=56, max_names=12)
    long_names = " ".join(f"Upper Lower Middle Town {n}" for n in range(12))
    assert len(split(document(long_names), config)) == 1
    assert len(split(document(TABLE.lower()), config)) == len(
        split(document(TABLE), WindowConfig())
    )
