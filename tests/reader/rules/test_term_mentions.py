"""Spans that a list of terms names: raised where they are, and as before where they are not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.bundle import Bundle
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.layout import LAYOUT
from relik.names.gazetteer import longest_terms
from relik.reader.open_reader import open_reader
from relik.reader.rules.term_mentions import lifted
from relik.types import AnnotateOptions, Candidate, Span, Window, WindowCandidates

_ALL = AnnotateOptions(threshold=0.0, relation_threshold=0.0, relations=False)
_TEXT = "ada lovelace was born in paris, near london, and saw berlin."


@given(st.floats(0, 1), st.floats(-10, 10))
def test_a_lift_is_undone_by_its_opposite(probability: float, weight: float) -> None:
    there = lifted(probability, weight)
    assert 0 < there < 1
    assert (there >= probability - 1e-8) if weight >= 0 else (there <= probability + 1e-8)
    if 1e-4 < probability < 1 - 1e-4:
        assert lifted(there, -weight) == pytest.approx(probability, rel=1e-3)


def _scores(
    bundle: Bundle, *, any_case: bool, weight: float, unnamed: float = 0.0
) -> dict[Span, tuple[str, float]]:
    entities = KnowledgeBase.open(bundle.path / LAYOUT.entities)
    entities.any_case = any_case
    rules = replace(
        bundle.config.rules,
        term_weight=weight,
        unnamed_weight=unnamed,
        term_prior_factor=1.0,
        nil_weight=-50.0,
    )
    reader = open_reader(
        bundle.path,
        backend="onnx",
        config=replace(bundle.config, rules=rules),
        tokenizer=bundle.tokenizer(),
    )
    entities, relations = entities, KnowledgeBase.open(bundle.path / LAYOUT.relations)
    view = KnowledgeView(entities=entities, relations=relations)
    given_ = tuple(
        Candidate(entity_id=entities.entity_id(row), score=1 / (row + 1), rank=row, source="given")
        for row in range(4)
    )
    window = Window(doc_id="d", index=0, span=Span(0, len(_TEXT)), text=_TEXT)
    (told,) = reader.read(
        [window], [WindowCandidates(entities=given_, relations=())], view, options=_ALL
    )
    return {one.span: (str(one.entity_id), one.score) for one in told.spans}


def test_spans_with_a_name_of_their_record_gain_and_others_do_not(tiny_bundle: Bundle) -> None:
    entities = KnowledgeBase.open(tiny_bundle.path / LAYOUT.entities)
    plain = _scores(tiny_bundle, any_case=True, weight=0.0)
    raised = _scores(tiny_bundle, any_case=True, weight=6.0)
    terms = {
        span: {sense.row for sense in senses} for span, senses in longest_terms(entities, _TEXT)
    }
    named = {
        span for span, (key, _) in raised.items() if entities.row_of(key) in terms.get(span, ())
    }
    assert named
    assert len(raised.keys() & terms.keys()) >= len(plain.keys() & terms.keys())
    for span in raised.keys() & plain.keys():
        if span in named:
            assert raised[span][1] > plain[span][1]
        else:
            assert raised[span][0] == plain[span][0]
            assert raised[span][1] == pytest.approx(plain[span][1], abs=1e-5)


def test_a_knowledge_base_of_proper_names_is_read_as_before(tiny_bundle: Bundle) -> None:
    plain = _scores(tiny_bundle, any_case=False, weight=0.0)
    assert _scores(tiny_bundle, any_case=False, weight=6.0) == plain


def test_what_has_no_name_of_its_record_loses_over_a_list_of_terms_alone(
    tiny_bundle: Bundle,
) -> None:
    before = _scores(tiny_bundle, any_case=True, weight=6.0)
    after = _scores(tiny_bundle, any_case=True, weight=6.0, unnamed=3.0)
    entities = KnowledgeBase.open(tiny_bundle.path / LAYOUT.entities)
    terms = {
        span: {sense.row for sense in senses} for span, senses in longest_terms(entities, _TEXT)
    }
    both = before.keys() & after.keys()
    lost = {span for span in both if after[span][1] < before[span][1]}
    assert lost
    for span in both:
        named = entities.row_of(after[span][0]) in terms.get(span, ())
        assert (span in lost) != named
    plain = _scores(tiny_bundle, any_case=False, weight=6.0)
    assert _scores(tiny_bundle, any_case=False, weight=6.0, unnamed=3.0) == plain
