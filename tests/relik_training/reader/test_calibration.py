"""Calibrated scores mean what they say; what the texts cannot judge is left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.types import Annotation, Coverage, EntitySpan, Span, Triple
from relik_training.data.examples import Example
from relik_training.data.statements import Mention
from relik_training.reader.calibration import (
    Fitted,
    Judged,
    choose_ends,
    expected_calibration_error,
    fit_platt,
    fit_scores,
    judge_spans,
    judge_triples,
)


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))


def _example(relations: str = "some", unknown: tuple[Span, ...] = ()) -> Example:
    return Example(
        doc_id="d",
        index=0,
        text="Ada met Bob and Cy and Di in Ely.",
        mentions=(
            Mention(span=Span(0, 3), entity_id="Q1"),
            Mention(span=Span(8, 11), entity_id="Q2"),
            Mention(span=Span(16, 18), entity_id=None),
            Mention(span=Span(23, 25), entity_id=""),
        ),
        triples=((0, "P1", 1),),
        unknown=unknown,
        relations=relations,
    )


def _found(*spans: tuple[Span, str | None], triples: tuple[Triple, ...] = ()) -> Annotation:
    return Annotation(
        doc_id="d",
        spans=tuple(EntitySpan(span=s, entity_id=i, score=0.5, candidates=()) for s, i in spans),
        triples=triples,
        coverage=Coverage(characters=33, windows=1, truncated=False),
    )


def test_platt_recovers_the_scaling_that_made_the_outcomes() -> None:
    rng = np.random.default_rng(1)
    odds = rng.normal(size=20_000) * 2
    correct = rng.random(20_000) < _sigmoid(0.6 * odds - 1.0)
    scale, shift = fit_platt(_sigmoid(odds).astype(np.float32), correct)
    assert (scale, shift) == (pytest.approx(0.6, abs=0.05), pytest.approx(-1.0, abs=0.05))


def test_calibration_lowers_the_calibration_error() -> None:
    rng = np.random.default_rng(2)
    odds = rng.normal(size=5000) * 3
    correct = rng.random(5000) < _sigmoid(0.3 * odds)
    report = fit_scores(
        Judged(scores=_sigmoid(odds).astype(np.float32), correct=correct, n_gold=3000), 0.9
    ).report
    assert float(str(report["ece_after"])) < 0.03 < float(str(report["ece_before"]))


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), max_size=60),
    st.integers(0, 100),
)
def test_whatever_was_judged_the_order_of_scores_survives(
    judged: list[tuple[float, bool]], missed: int
) -> None:
    scores = np.array([score for score, _ in judged], dtype=np.float32)
    correct = np.array([right for _, right in judged], dtype=bool)
    fitted = fit_scores(
        Judged(scores=scores, correct=correct, n_gold=int(correct.sum()) + missed), 0.9
    )
    assert fitted.scale > 0
    assert np.isfinite(fitted.shift)
    assert 0 < fitted.threshold < 1


def test_the_threshold_is_the_one_with_the_best_f1() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.1] * 40, dtype=np.float32)
    correct = np.array([True, True, True, False, False] * 40)
    fitted = fit_scores(Judged(scores=scores, correct=correct, n_gold=120), 0.9)
    assert fitted.report["f1"] == pytest.approx(1.0, abs=1e-4)


def test_scores_that_are_right_as_often_as_they_say_have_no_error() -> None:
    scores = np.array([0.25] * 4 + [1.0] * 3, dtype=np.float32)
    correct = np.array([True, False, False, False, True, True, True])
    assert expected_calibration_error(scores, correct) == 0
    assert expected_calibration_error(scores, ~correct) == pytest.approx((4 * 0.5 + 3) / 7)
    assert expected_calibration_error(scores[:0], correct[:0]) == 0


def test_a_link_is_correct_by_exact_span_and_id() -> None:
    found = _found((Span(0, 3), "Q1"), (Span(8, 11), "Q9"), (Span(12, 18), "Q2"))
    assert [right for _, right in judge_spans(_example(), found)] == [True, False, False]


def test_a_link_where_the_annotator_saw_nothing_of_the_knowledge_base_is_wrong() -> None:
    assert judge_spans(_example(), _found((Span(16, 18), "Q3"))) == [(0.5, False)]


def test_links_that_the_texts_cannot_judge_are_left_out() -> None:
    unlinked, unnamed, nil = (Span(23, 25), "Q4"), (Span(29, 32), "Q5"), (Span(0, 3), None)
    found = _found(nil, unlinked, unnamed)
    assert judge_spans(_example(unknown=(Span(29, 32),)), found) == []


def test_triples_between_unlabelled_ends_count_only_where_all_relations_are_annotated() -> None:
    ada, bob, cy, ely = Span(0, 3), Span(8, 11), Span(16, 18), Span(29, 32)
    triples = (
        Triple(subject=ada, relation_id="P1", object=bob, score=0.9),
        Triple(subject=ada, relation_id="P2", object=bob, score=0.8),
        Triple(subject=bob, relation_id="P1", object=cy, score=0.7),
        Triple(subject=ada, relation_id="P1", object=ely, score=0.6),
    )
    found = _found((ada, "Q1"), (bob, "Q2"), (cy, None), (ely, "Q5"), triples=triples)
    some = [(0.9, True), (0.8, False), (0.7, False)]
    assert judge_triples(_example(), found, least=0.5) == some
    assert judge_triples(_example("all"), found, least=0.5) == [*some, (0.6, False)]
    assert judge_triples(_example(), found, least=0.6) == []


def test_half_of_the_best_f1_serves_other_texts_better_than_the_peak_of_a_ragged_curve() -> None:
    rng = np.random.default_rng(4)

    def drawn(n: int) -> Judged:
        odds = rng.normal(size=n) * 2
        correct = rng.random(n) < _sigmoid(odds)
        return Judged(scores=_sigmoid(odds).astype(np.float32), correct=correct, n_gold=n // 2)

    others = drawn(20_000)
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(40):
        few = drawn(150)
        for halved, rates in found.items():
            fitted = fit_scores(few, 0.9, halved=halved)
            odds = np.log(others.scores / (1 - others.scores)) * fitted.scale + fitted.shift
            kept = _sigmoid(odds) >= fitted.threshold
            right = (kept & others.correct).sum()
            rates.append(2 * right / (kept.sum() + others.n_gold))
            if halved:
                best = fit_scores(few, 0.9).report["f1"]
                assert fitted.threshold == pytest.approx(float(str(best)) / 2, abs=0.01)
    assert np.mean(found[True]) > np.mean(found[False])


def test_a_fixed_threshold_is_taken_with_the_figures_that_it_has() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1], dtype=np.float32)
    correct = np.array([True, True, False, True, False, False])
    judged = Judged(scores=scores, correct=correct, n_gold=4)
    fitted = fit_scores(judged, 0.9, fixed=0.35)
    assert fitted.threshold == pytest.approx(0.35)
    kept = 1 / (1 + np.exp(-(fitted.scale * np.log(scores / (1 - scores)) + fitted.shift))) >= 0.35
    assert fitted.report["recall"] == pytest.approx(correct[kept].sum() / 4)


@pytest.mark.parametrize("slack", [0.02, -0.02])
def test_slack_moves_the_threshold_and_loses_no_more_than_it_says(slack: float) -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(4000).astype(np.float32)
    judged = Judged(scores=scores, correct=rng.random(4000) < scores, n_gold=2400)
    best = fit_scores(judged, 0.9)
    moved = fit_scores(judged, 0.9, slack=slack)
    assert (moved.threshold < best.threshold) == (slack > 0)
    assert moved.threshold != best.threshold
    most, kept = (float(str(fitted.report["f1"])) for fitted in (best, moved))
    assert most - 0.02 <= kept <= most


def test_doubt_about_ends_counts_where_it_tells_right_triples_from_wrong_ones() -> None:
    rng = np.random.default_rng(3)
    spans = Fitted(scale=1.0, shift=0.0, threshold=0.1)

    def documents(*, telling: bool) -> list[Annotation]:
        made = []
        for _ in range(400):
            right = bool(rng.random() < 0.5)
            # The second triple has other ends than gold, which are doubted or not.
            score = (0.9 if right else 0.3) if telling else float(rng.choice([0.3, 0.9]))
            ada, bob = Span(0, 3), Span(8, 11)
            found = tuple(
                EntitySpan(span=span, entity_id=key, score=score, candidates=())
                for span, key in ((ada, "Q1"), (bob, "Q2"))
            )
            relation = "P1" if right else "P2"
            triple = Triple(subject=ada, relation_id=relation, object=bob, score=0.5)
            made.append(
                Annotation(
                    doc_id="d",
                    spans=found,
                    triples=(triple,),
                    coverage=Coverage(characters=33, windows=1, truncated=False),
                )
            )
        return made

    examples = [_example()] * 400
    weight, judged = choose_ends(examples, documents(telling=True), spans, (1.0, 2.0))
    assert weight > 0
    assert len(judged.scores) == 400
    assert judged.scores[judged.correct].min() > judged.scores[~judged.correct].max()
    assert choose_ends(examples, documents(telling=True), spans, ())[0] == 0.0
    flat, judged = choose_ends(examples, documents(telling=False), spans, (4.0,))
    assert flat == 0.0
    assert set(judged.scores.tolist()) == {0.5}
