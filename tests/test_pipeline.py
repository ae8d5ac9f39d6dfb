"""Text to annotations on tiny random weights: any text, any batch, exactly what was asked for."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relik import windows as windowing
from relik.bundle import Bundle
from relik.config import PipelineConfig, WindowConfig
from relik.errors import BundleError, InputError
from relik.pipeline import Pipeline
from relik.types import AnnotateOptions, Annotation, Document, Span

LOOSE = AnnotateOptions(threshold=0.05, relation_threshold=0.5, nil=True)
TEXT = (
    "Ada Lovelace was born in Paris, the capital of France. A writer in Berlin and the bank of "
    "the river. Paris Hilton was in Texas and in Paris, Texas."
)
WORDS = [
    "Ada",
    "Lovelace",
    "Paris",
    "Hilton",
    "berlin",
    "the",
    "of",
    ".",
    "日本",
    "👩‍👩‍👧",
    "\r\n",
    "[SEP]",
]


def _annotate(
    pipeline: Pipeline, *texts: str, options: AnnotateOptions = LOOSE
) -> list[Annotation]:
    documents = [Document(doc_id=f"d{k}", text=text) for k, text in enumerate(texts)]
    found = pipeline.annotate(documents, options=options)
    for document, annotation in zip(documents, found, strict=True):
        _check(document, annotation)
    return found


def _check(document: Document, annotation: Annotation) -> None:
    """Assert what holds for every annotation."""
    assert annotation.doc_id == document.doc_id
    spans = [found.span for found in annotation.spans]
    assert spans == sorted(spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert all(span.end <= len(document.text) for span in spans)
    assert all(0 <= found.score <= 1 for found in annotation.spans)
    known = set(spans)
    assert all({t.subject, t.object} <= known for t in annotation.triples)
    assert not annotation.coverage.truncated


def _assert_alike(one: Annotation, other: Annotation) -> None:
    assert [(s.span, s.entity_id) for s in one.spans] == [
        (s.span, s.entity_id) for s in other.spans
    ]
    np.testing.assert_allclose(
        [s.score for s in one.spans], [s.score for s in other.spans], atol=1e-3
    )
    ends = [[(t.subject, t.relation_id, t.object) for t in a.triples] for a in (one, other)]
    assert ends[0] == ends[1]
    assert one.coverage == other.coverage


def test_the_pipeline_says_what_it_is(tiny_pipeline: Pipeline, tiny_bundle: Bundle) -> None:
    assert tiny_pipeline.model == "tiny"
    assert tiny_pipeline.kb_version == tiny_pipeline.entities.version
    assert tiny_pipeline.config == tiny_bundle.config
    assert (len(tiny_pipeline.entities), len(tiny_pipeline.relations)) == (30, 3)


def test_records_are_found_by_id(tiny_pipeline: Pipeline) -> None:
    entity, relation = tiny_pipeline.entity("Q1"), tiny_pipeline.relation("P2")
    assert entity is not None
    assert relation is not None
    assert (entity.name, relation.name) == ("Paris", "capital of")
    assert tiny_pipeline.entity("P2") is None
    assert tiny_pipeline.relation("Q1") is None


def test_a_text_has_spans_and_triples(tiny_pipeline: Pipeline) -> None:
    (found,) = _annotate(tiny_pipeline, TEXT)
    assert len(found.spans) > 3
    assert found.triples
    assert found.coverage.windows > 1
    assert found.coverage.characters == len(TEXT)
    assert all(s.entity_id is None or s.entity_id in tiny_pipeline.entities for s in found.spans)


def test_no_documents_give_no_annotations(tiny_pipeline: Pipeline) -> None:
    assert tiny_pipeline.annotate([]) == []


@pytest.mark.parametrize("text", ["", " ", "\r\n\t\u2003 \u00a0"])
def test_blank_text_has_an_empty_annotation(tiny_pipeline: Pipeline, text: str) -> None:
    empty, full = _annotate(tiny_pipeline, text, TEXT)
    assert (empty.spans, empty.triples, empty.coverage.windows) == ((), (), 0)
    assert full.spans


TEXTS = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)


@settings(max_examples=25)
@given(texts=st.lists(TEXTS, max_size=4))
def test_a_document_is_annotated_as_if_it_were_alone(
    tiny_pipeline: Pipeline, texts: list[str]
) -> None:
    together = _annotate(tiny_pipeline, *texts)
    for k, text in enumerate(texts):
        (alone,) = tiny_pipeline.annotate([Document(doc_id=f"d{k}", text=text)], options=LOOSE)
        _assert_alike(together[k], alone)


def test_documents_with_equal_ids_are_kept_apart(tiny_pipeline: Pipeline) -> None:
    texts = [TEXT, "Hilton was in Paris", TEXT]
    found = tiny_pipeline.annotate([Document(doc_id="", text=t) for t in texts], options=LOOSE)
    for text, annotation in zip(texts, found, strict=True):
        (alone,) = tiny_pipeline.annotate([Document(doc_id="", text=text)], options=LOOSE)
        _assert_alike(annotation, alone)


@settings(max_examples=40)
@given(text=st.text(max_size=120))
def test_any_text_is_annotated(tiny_pipeline: Pipeline, text: str) -> None:
    _annotate(tiny_pipeline, text)


@pytest.mark.parametrize(
    "text",
    [
        "日" * 5_000,
        "a" * 20_000,
        "👩‍👩‍👧🏽" * 500,
        "한국어 " * 60,
        "é" * 300 + "e\u0301" * 300,
        ".,[]-" * 400,
        "\u05e4\u05e8 " * 300,
        "[SEP]" * 50 + "[CLS] [MASK] --NME-- [E-3]" * 20,
    ],
    ids=["cjk", "one-word", "emoji", "hangul", "accents", "marks", "rtl", "special"],
)
def test_text_without_words_as_expected_is_read_whole(tiny_pipeline: Pipeline, text: str) -> None:
    document = Document(doc_id="d", text=text)
    windows = tiny_pipeline.split(document)
    assert [window.index for window in windows] == list(range(len(windows)))
    assert all(window.text == text[window.span.start : window.span.end] for window in windows)
    reached = 0
    for window in windows:
        assert not text[reached : window.span.start].strip()
        reached = max(reached, window.span.end)
    assert not text[reached:].strip()
    (found,) = _annotate(tiny_pipeline, text, options=replace(LOOSE, relations=False))
    assert found.coverage.windows == len(windows)


def test_windows_of_too_many_tokens_are_halved(tiny_pipeline: Pipeline) -> None:
    text = " ".join(["[a,b]"] * 12)  # one window of 12 words and 60 tokens, of which 24 fit
    windows = tiny_pipeline.split(Document(doc_id="d", text=text))
    assert len(windows) >= 3
    assert "".join(window.text for window in windows) == text


def test_a_long_text_is_annotated(tiny_pipeline: Pipeline) -> None:
    (found,) = _annotate(tiny_pipeline, (TEXT + " ") * 60)
    assert found.coverage.windows > 150


@pytest.mark.slow
def test_a_very_long_text_is_annotated(tiny_pipeline: Pipeline) -> None:
    text = ((TEXT + " ") * 2_000)[:200_000]
    (found,) = _annotate(tiny_pipeline, text)
    assert found.coverage.characters >= len(text) - 1


@pytest.mark.parametrize("code", [0xD800, 0xDFFF])
def test_half_a_surrogate_pair_is_refused_and_the_document_named(
    tiny_pipeline: Pipeline, code: int
) -> None:
    half = chr(code)
    documents = [Document(doc_id="good", text="Paris"), Document(doc_id="bad", text=f"ab{half}")]
    message = "document 'bad': got half of a surrogate pair at character 2, expected Unicode"
    with pytest.raises(InputError, match=message):
        tiny_pipeline.annotate(documents)
    with pytest.raises(InputError, match=message):
        tiny_pipeline.link(documents, [[], []])
    with pytest.raises(InputError, match=message):
        tiny_pipeline.split(documents[1])


def test_entities_alone_have_no_triples(tiny_pipeline: Pipeline) -> None:
    (alone,) = _annotate(tiny_pipeline, TEXT, options=replace(LOOSE, relations=False))
    assert alone.triples == ()
    assert alone.spans


def test_relations_alone_have_the_spans_that_they_join(tiny_pipeline: Pipeline) -> None:
    (found,) = _annotate(tiny_pipeline, TEXT, options=replace(LOOSE, entities=False))
    ends = {end for triple in found.triples for end in (triple.subject, triple.object)}
    assert found.triples
    assert {one.span for one in found.spans} == ends


def test_threshold_one_keeps_nothing_and_zero_most(tiny_pipeline: Pipeline) -> None:
    counts = []
    for least in (0.0, 0.1, 0.3, 1.0):
        options = AnnotateOptions(threshold=least, relation_threshold=least, nil=True)
        (found,) = _annotate(tiny_pipeline, TEXT, options=options)
        assert all(one.score >= least for one in found.spans)
        assert all(one.score >= least for one in found.triples)
        counts.append(len(found.spans))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 0


def test_options_left_out_are_those_of_the_bundle(tiny_pipeline: Pipeline) -> None:
    reader = tiny_pipeline.config.reader
    explicit = AnnotateOptions(
        top_k=tiny_pipeline.config.retriever.entity_top_k,
        threshold=reader.threshold,
        relation_threshold=reader.relation_threshold,
    )
    (default,) = _annotate(tiny_pipeline, TEXT, options=AnnotateOptions())
    (same,) = _annotate(tiny_pipeline, TEXT, options=explicit)
    assert default == same


def test_explained_spans_have_candidates(tiny_pipeline: Pipeline) -> None:
    (plain,) = _annotate(tiny_pipeline, TEXT)
    (found,) = _annotate(tiny_pipeline, TEXT, options=replace(LOOSE, explain=True))
    _assert_alike(plain, found)
    assert all(1 <= len(one.candidates) <= 5 for one in found.spans)
    assert not any(one.candidates for one in plain.spans)
    for one in found.spans:
        assert one.entity_id in {None, one.candidates[0].entity_id}


def test_only_entities_of_the_types_asked_for_are_linked(tiny_pipeline: Pipeline) -> None:
    (found,) = _annotate(tiny_pipeline, TEXT, options=replace(LOOSE, types=("person",)))
    linked = {one.entity_id for one in found.spans if one.entity_id is not None}
    assert linked
    assert linked <= {"Q2", "Q4"}
    windows = tiny_pipeline.split(Document(doc_id="d", text=TEXT))
    for proposed in tiny_pipeline.retrieve(windows, options=replace(LOOSE, types=("place",))):
        assert {c.entity_id for c in proposed.entities} <= {"Q1", "Q3", "Q5"}
        assert [c.rank for c in proposed.entities] == list(range(len(proposed.entities)))


def test_mentions_of_nothing_known_are_kept_where_asked_for_or_where_a_triple_ends(
    tiny_pipeline: Pipeline,
) -> None:
    unknown = replace(LOOSE, types=("no such type",))
    (kept,) = _annotate(tiny_pipeline, TEXT, options=unknown)
    assert kept.triples
    assert {one.entity_id for one in kept.spans} == {None}
    (found,) = _annotate(tiny_pipeline, TEXT, options=replace(unknown, nil=False))
    ends = {end for triple in found.triples for end in (triple.subject, triple.object)}
    assert found.triples == kept.triples
    assert {one.span for one in found.spans} == ends
    options = replace(unknown, nil=False, relations=False)
    assert _annotate(tiny_pipeline, TEXT, options=options)[0].spans == ()


def test_no_more_candidates_are_proposed_than_asked_for(tiny_pipeline: Pipeline) -> None:
    windows = tiny_pipeline.split(Document(doc_id="d", text=TEXT))
    for top_k in (1, 3, 99):
        found = tiny_pipeline.retrieve(windows, options=AnnotateOptions(top_k=top_k))
        assert all(1 <= len(proposed.entities) <= top_k for proposed in found)
        assert all(len(proposed.relations) == 3 for proposed in found)
    _annotate(tiny_pipeline, TEXT, options=replace(LOOSE, top_k=99))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (AnnotateOptions(top_k=0), "got top_k 0, expected at least 1"),
        (AnnotateOptions(top_k=-3), "got top_k -3"),
        (AnnotateOptions(threshold=1.5), r"got threshold 1\.5, expected 0 to 1"),
        (AnnotateOptions(relation_threshold=-0.1), r"got relation_threshold -0\.1"),
        (AnnotateOptions(threshold=float("nan")), "got threshold nan"),
    ],
)
def test_options_out_of_range_are_refused(
    tiny_pipeline: Pipeline, options: AnnotateOptions, message: str
) -> None:
    for text in ("Paris", ""):
        document = Document(doc_id="d", text=text)
        with pytest.raises(InputError, match=message):
            tiny_pipeline.annotate([document], options=options)
        with pytest.raises(InputError, match=message):
            tiny_pipeline.link([document], [[]], options=options)


def _link(
    pipeline: Pipeline, text: str, mentions: Sequence[Span], *, nil: bool = False
) -> Annotation:
    document = Document(doc_id="d", text=text)
    (found,) = pipeline.link([document], [mentions], options=AnnotateOptions(nil=nil))
    _check(document, found)
    assert [one.span for one in found.spans] == sorted(mentions)
    return found


def _words(text: str) -> list[Span]:
    return [Span(*match.span()) for match in re.finditer(r"\w+", text)]


def test_given_mentions_are_all_linked(tiny_pipeline: Pipeline) -> None:
    found = _link(tiny_pipeline, TEXT, _words(TEXT)[::-1])
    assert all(one.entity_id is not None for one in found.spans)
    assert found.coverage.characters == len(TEXT)


def test_a_mention_without_any_candidate_is_linked_to_nothing(tiny_pipeline: Pipeline) -> None:
    options = AnnotateOptions(types=("no such type",), nil=False)
    document = Document(doc_id="d", text=TEXT)
    (found,) = tiny_pipeline.link([document], [_words(TEXT)], options=options)
    assert [(one.span, one.entity_id) for one in found.spans] == [(s, None) for s in _words(TEXT)]


def test_a_mention_may_cross_the_border_of_a_window(tiny_pipeline: Pipeline) -> None:
    windows = tiny_pipeline.split(Document(doc_id="d", text=TEXT))
    border = windows[0].span.end
    found = _link(tiny_pipeline, TEXT, [Span(border - 30, border + 30)])
    assert found.spans[0].entity_id is not None


def test_a_mention_may_be_the_whole_text(tiny_pipeline: Pipeline) -> None:
    assert _link(tiny_pipeline, TEXT, [Span(0, len(TEXT))]).spans[0].entity_id is not None


def test_a_mention_of_part_of_a_word_keeps_its_place(tiny_pipeline: Pipeline) -> None:
    _link(tiny_pipeline, "Lovelaces", [Span(2, 4), Span(5, 6)])


def test_a_mention_in_white_space_is_linked_to_nothing(tiny_pipeline: Pipeline) -> None:
    text = f"  Paris {' ' * 40} Berlin \n "
    end = len(text)
    found = _link(tiny_pipeline, text, [Span(0, 2), Span(2, 7), Span(20, 22), Span(end - 1, end)])
    assert [one.entity_id is None for one in found.spans] == [True, False, True, True]
    assert _link(tiny_pipeline, " \n ", [Span(1, 2)]).spans[0].entity_id is None


def test_a_mention_that_begins_before_its_window_can_be_related(tiny_bundle: Bundle) -> None:
    rules = replace(tiny_bundle.config.rules, apart_weight=1.0)
    pipeline = replace(tiny_bundle, config=replace(tiny_bundle.config, rules=rules)).pipeline()
    text = "\r\n Ada was born in Paris"
    document, mentions = Document(doc_id="d", text=text), [Span(1, 6), Span(19, 24)]
    options = AnnotateOptions(relation_threshold=0.0)
    (found,) = pipeline.link([document], [mentions], options=options)
    assert [one.span for one in found.spans] == mentions
    assert {triple.subject for triple in found.triples} == set(mentions)


def test_a_document_without_mentions_has_none(tiny_pipeline: Pipeline) -> None:
    assert _link(tiny_pipeline, TEXT, []).spans == ()
    assert _link(tiny_pipeline, "", []).spans == ()
    assert tiny_pipeline.link([], []) == []


def test_mentions_of_many_documents_are_linked_as_if_alone(tiny_pipeline: Pipeline) -> None:
    texts = [TEXT, "", "Paris Hilton", TEXT[30:]]
    documents = [Document(doc_id="same", text=text) for text in texts]
    mentions = [_words(text) for text in texts]
    together = tiny_pipeline.link(documents, mentions)
    for document, given_, found in zip(documents, mentions, together, strict=True):
        _assert_alike(found, tiny_pipeline.link([document], [given_])[0])


@settings(max_examples=25)
@given(text=TEXTS, cuts=st.sets(st.integers(1, 150), max_size=8), nil=st.booleans())
def test_any_mentions_come_back_exactly(
    tiny_pipeline: Pipeline, text: str, cuts: set[int], nil: bool
) -> None:
    edges = sorted(cut for cut in cuts if cut <= len(text))
    mentions = [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    _link(tiny_pipeline, text, mentions, nil=nil)


@pytest.mark.parametrize(
    ("mentions", "message"),
    [
        ([[Span(0, 6)]], r"document 'd': got a mention from 0 to 6, .* 5 characters"),
        ([[Span(2, 4), Span(0, 3)]], "got mentions from 0 to 3 and from 2 to 4, expected none"),
        ([[Span(0, 3), Span(0, 3)]], "expected none that overlap"),
        ([], "got mentions of 0 documents, expected 1"),
    ],
)
def test_mentions_that_cannot_be_are_refused(
    tiny_pipeline: Pipeline, mentions: list[list[Span]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        tiny_pipeline.link([Document(doc_id="d", text="Paris")], mentions)


def test_stages_give_what_annotate_gives(tiny_pipeline: Pipeline) -> None:
    document = Document(doc_id="d", text=TEXT)
    windows = tiny_pipeline.split(document)
    candidates = tiny_pipeline.retrieve(windows, options=LOOSE)
    read = tiny_pipeline.read(windows, candidates, options=LOOSE)
    merged = tiny_pipeline.merge(document, read[::-1], options=LOOSE)
    _assert_alike(merged, tiny_pipeline.annotate([document], options=LOOSE)[0])
    assert all(tiny_pipeline.count_tokens(window) > 0 for window in windows)


def test_given_mentions_are_related_to_each_other(tiny_pipeline: Pipeline) -> None:
    document, spans = Document(doc_id="d", text=TEXT), _words(TEXT)
    (found,) = tiny_pipeline.link([document], [spans], options=LOOSE)
    _check(document, found)
    assert [one.span for one in found.spans] == spans
    assert found.triples
    for tasks in ({"relations": False}, {"entities": False}):
        (other,) = tiny_pipeline.link([document], [spans], options=replace(LOOSE, **tasks))
        if "relations" in tasks:
            assert other.triples == ()
        else:
            ends = {end for t in other.triples for end in (t.subject, t.object)}
            assert {one.span for one in other.spans} == ends


def test_windows_with_given_mentions_are_read_beside_others(tiny_pipeline: Pipeline) -> None:
    document = Document(doc_id="d", text=TEXT)
    windows = tiny_pipeline.split(document)
    candidates = tiny_pipeline.retrieve(windows, options=LOOSE)
    spans = [[*each] for each in windowing.place_mentions(document, windows, _words(TEXT))]
    free = tiny_pipeline.read(windows, candidates, options=LOOSE)
    bound = tiny_pipeline.read(windows, candidates, options=LOOSE, mentions=spans)
    mixed = tiny_pipeline.read(
        [*windows, *windows],
        [*candidates, *candidates],
        options=LOOSE,
        mentions=[*spans, *([None] * len(windows))],
    )
    for one, other in zip(mixed, [*bound, *free], strict=True):
        assert [s.span for s in one.spans] == [s.span for s in other.spans]
        assert [s.entity_id for s in one.spans] == [s.entity_id for s in other.spans]


def test_other_indexes_take_the_place_of_the_bundles_own(tiny_bundle: Bundle) -> None:
    relations = tiny_bundle.path / "relations"
    pipeline = tiny_bundle.pipeline("onnx", entities=relations)
    assert pipeline.kb_version == pipeline.relations.version
    (found,) = _annotate(pipeline, TEXT)
    assert {one.entity_id for one in found.spans} <= {None, "P1", "P2", "P3"}


def test_a_missing_index_is_named(tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere"):
        tiny_bundle.pipeline("onnx", entities=tmp_path / "nowhere")


def test_windows_as_large_as_they_may_be_are_cut_to_what_fits(tiny_bundle: Bundle) -> None:
    config: PipelineConfig = replace(
        tiny_bundle.config, windows=WindowConfig(size=10**9, stride=10**9)
    )
    pipeline = replace(tiny_bundle, config=config).pipeline("onnx")
    (found,) = _annotate(pipeline, TEXT * 4)
    assert found.coverage.windows > 1
