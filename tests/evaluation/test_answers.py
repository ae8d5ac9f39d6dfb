"""One pass at threshold 0 answers for every threshold: shown on real stages with random weights."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relik.evaluation import GoldDocument, GoldMention
from relik.evaluation.answers import answer_entities, answer_triples, propose
from relik.evaluation.taxonomy import BELOW_THRESHOLD, RIGHT, judge
from relik.pipeline import Pipeline
from relik.testing import FakeNamePipeline
from relik.types import AnnotateOptions, Annotation, Document, Entity, EntitySpan, Span

WORDS = ["Ada", "Lovelace", "Paris", "Hilton", "berlin", "the", "of", ".", "日本", "\r\n", "Texas"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)
OPTIONS = AnnotateOptions()


def documents(*texts: str) -> list[GoldDocument]:
    return [
        GoldDocument(document=Document(doc_id=f"{i}", text=text), mentions=(), triples=())
        for i, text in enumerate(texts)
    ]


def places(found: tuple[EntitySpan, ...]) -> list[tuple[Span, str | None]]:
    return [(each.span, each.entity_id) for each in found]


@settings(max_examples=40)
@given(text=TEXTS, rank=st.floats(0, 1))
def test_an_answer_at_a_threshold_is_that_at_none_without_what_is_below(
    tiny_pipeline: Pipeline, text: str, rank: float
) -> None:
    (everything,) = answer_entities(tiny_pipeline, documents(text), options=OPTIONS, threshold=0.0)
    assert everything.rejected == ()
    # Thresholds between the scores that there are, so that each parts them in another way.
    scores = sorted({0.0, 1.0, *(found.score for found in everything.annotation.spans)})
    at = min(int(rank * (len(scores) - 1)), len(scores) - 2)
    # Two runs agree but for rounding.
    assume(scores[at + 1] - scores[at] > 1e-5)
    threshold = (scores[at] + scores[at + 1]) / 2
    (split,) = answer_entities(tiny_pipeline, documents(text), options=OPTIONS, threshold=threshold)
    (asked,) = tiny_pipeline.annotate(
        [Document(doc_id="0", text=text)],
        options=AnnotateOptions(relations=False, nil=True, threshold=threshold),
    )
    assert places(split.annotation.spans) == places(asked.spans)
    assert sorted(places(split.annotation.spans + split.rejected)) == places(
        everything.annotation.spans
    )


def test_what_is_below_the_threshold_is_right_with_a_lower_one(tiny_pipeline: Pipeline) -> None:
    (gold,) = documents("Ada Lovelace of Paris , Texas . Hilton the berlin")
    (everything,) = answer_entities(tiny_pipeline, [gold], options=OPTIONS, threshold=0.0)
    linked = [found for found in everything.annotation.spans if found.entity_id is not None]
    wanted = min(linked, key=lambda found: found.score)
    gold = replace(gold, mentions=(GoldMention(span=wanted.span, entity_id=wanted.entity_id),))

    def verdict(threshold: float) -> str:
        (answer,) = answer_entities(tiny_pipeline, [gold], options=OPTIONS, threshold=threshold)
        (found,) = propose(tiny_pipeline, [gold], options=OPTIONS)
        (mention,) = judge(answer, found, known=tiny_pipeline.entities).mentions
        return mention.verdict

    assert verdict(wanted.score + 1e-3) == BELOW_THRESHOLD
    assert verdict(wanted.score - 1e-3) == RIGHT


def test_without_a_threshold_the_options_decide(tiny_pipeline: Pipeline) -> None:
    text = "Ada Lovelace of Paris , Texas . Hilton the berlin"
    options = AnnotateOptions(threshold=0.3)
    (answer,) = answer_entities(tiny_pipeline, documents(text), options=options)
    (asked,) = tiny_pipeline.annotate(
        [Document(doc_id="0", text=text)], options=replace(options, relations=False, nil=True)
    )
    assert (answer.annotation.spans, answer.rejected) == (asked.spans, ())


def named() -> FakeNamePipeline:
    return FakeNamePipeline(
        [Entity(entity_id="Q1", name="Ada"), Entity(entity_id="Q2", name="Bob")],
        facts={("Q1", "Q2"): ("P1",)},
    )


def test_given_mentions_are_linked_and_none_is_rejected() -> None:
    (gold,) = documents("Ada met Bob")
    gold = replace(gold, mentions=(GoldMention(span=Span(0, 3), entity_id="Q2"),) * 2)
    (answer,) = answer_entities(named(), [gold], options=OPTIONS, given_mentions=True)
    assert places(answer.annotation.spans) == [(Span(0, 3), "Q1")]
    assert answer.rejected == ()


def test_answers_and_candidates_stand_by_their_documents() -> None:
    gold = documents(*("Ada" if i % 3 else "Bob met Ada" for i in range(130)))
    answers = answer_triples(named(), gold, options=OPTIONS)
    found = propose(named(), gold, options=OPTIONS)
    assert [answer.gold for answer in answers] == gold
    assert [len(answer.annotation.triples) for answer in answers] == [
        0 if i % 3 else 1 for i in range(130)
    ]
    assert [len(each.candidates[0].entities) for each in found] == [
        1 if i % 3 else 2 for i in range(130)
    ]


@pytest.mark.parametrize("text", ["", "  "])
def test_blank_documents_have_no_windows(tiny_pipeline: Pipeline, text: str) -> None:
    (found,) = propose(tiny_pipeline, documents(text), options=OPTIONS)
    (answer,) = answer_entities(tiny_pipeline, documents(text), options=OPTIONS)
    assert (found.windows, found.candidates, answer.annotation.spans) == ((), (), ())
    assert isinstance(answer.annotation, Annotation)
