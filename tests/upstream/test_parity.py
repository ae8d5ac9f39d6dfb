"""The rules of benchmarks/upstream_parity.py tell differences apart, and what none explains."""

from types import ModuleType
from typing import Any

import pytest

TEXT = "Marie Curie was born in Warsaw and worked in Paris."
CURIE, MARIE = (0, 11, "Marie Curie"), (0, 5, "Marie I")
WARSAW, PACT = (24, 30, "Warsaw"), (24, 30, "Warsaw Pact")
PARIS = (45, 50, "Paris")
TURNED = (24, 11, "Warsaw")


def output(*spans: Any, triplets: Any = (), text: str = TEXT) -> dict[str, Any]:
    rows = [[start, end, label, text[start:end]] for start, end, label in spans]
    by_span = dict(zip(spans, rows, strict=True))
    return {
        "text": text,
        "tokens": text.split(),
        "spans": rows,
        "triplets": [[by_span[a], label, by_span[b], score] for a, label, b, score in triplets],
    }


def kinds(parity: ModuleType, ours: Any, gold: Any, **more: Any) -> list[str]:
    witness = more.pop("witness", gold)
    return parity.explain(ours, gold, quirky_output=witness, case={"kwargs": more})


def test_equal_outputs_have_no_difference(parity: ModuleType) -> None:
    same = output(CURIE, WARSAW, triplets=[(CURIE, "born in", WARSAW, 0.5)])
    assert kinds(parity, same, same) == []


@pytest.mark.parametrize(
    ("ours", "gold", "expected"),
    [
        ([CURIE], [CURIE, MARIE], ["overlap"]),
        ([PACT], [PACT, WARSAW], ["several_labels"]),
        ([PACT], [WARSAW], ["other_label"]),
        ([CURIE], [CURIE, TURNED], ["end_before_start"]),
        ([CURIE, WARSAW], [CURIE, TURNED], ["end_before_start"] * 2),
        ([CURIE], [CURIE, WARSAW], ["unexplained"]),
        ([CURIE, WARSAW], [CURIE], ["unexplained"]),
        ([MARIE], [(0, 5, "Curie"), CURIE], ["other_label", "overlap"]),
    ],
)
def test_each_span_that_differs_has_a_kind(
    parity: ModuleType, ours: Any, gold: Any, expected: list[str]
) -> None:
    assert kinds(parity, output(*ours), output(*gold)) == expected


def test_a_mention_of_nothing_that_upstream_left_out_explains_a_span(parity: ModuleType) -> None:
    ours, gold = output(CURIE, WARSAW), output(CURIE)
    for nothing, kind in (((24, 11, "--NME--"), "end_before_start"), (PACT, "other_label")):
        assert kinds(parity, ours, gold, witness=output(CURIE, nothing)) == [kind]


@pytest.mark.parametrize(
    ("ours", "gold", "expected"),
    [
        ([("born in", 0.532)], [("born in", 0.53)], ["not_rounded"]),
        ([("born in", 0.55)], [("born in", 0.53), ("born in", 0.55)], ["triplet_doubled"]),
        ([("born in", 0.6)], [("born in", 0.53)], ["unexplained"]),
        ([], [("born in", 0.53)], ["unexplained"]),
        ([("born in", 0.53)], [], ["unexplained"]),
        ([("born in", 0.53), ("born in", 0.53)], [("born in", 0.53)], ["unexplained"]),
    ],
)
def test_each_triplet_that_differs_has_a_kind(
    parity: ModuleType, ours: Any, gold: Any, expected: list[str]
) -> None:
    one, other = (
        output(CURIE, WARSAW, triplets=[(CURIE, label, WARSAW, score) for label, score in found])
        for found in (ours, gold)
    )
    assert kinds(parity, one, other) == expected


def test_a_triplet_goes_with_its_end_or_moves_to_what_took_its_place(parity: ModuleType) -> None:
    gold = output(CURIE, MARIE, WARSAW, triplets=[(MARIE, "born in", WARSAW, 0.7)])
    assert kinds(parity, output(CURIE, WARSAW), gold) == ["overlap", "triplet_without_end"]
    moved = output(CURIE, WARSAW, triplets=[(CURIE, "born in", WARSAW, 0.701)])
    assert kinds(parity, moved, gold) == ["overlap", "triplet_without_end", "triplet_moved"]
    other = output(CURIE, WARSAW, triplets=[(CURIE, "died in", WARSAW, 0.701)])
    assert kinds(parity, other, gold)[-1] == "unexplained"


def test_only_a_space_at_the_end_of_the_text_may_differ(parity: ModuleType) -> None:
    gold = output(CURIE)
    assert kinds(parity, output(CURIE, text=TEXT + " "), gold) == ["space_kept"]
    assert kinds(parity, output(CURIE, text=TEXT + "."), gold) == ["unexplained"] * 2


def test_what_no_rule_explains_is_put_down_to_the_call_where_that_can_be_why(
    parity: ModuleType,
) -> None:
    ours, gold = output(CURIE, WARSAW), output(CURIE)
    assert kinds(parity, ours, gold, max_length=100) == ["max_length"]
    forged = [output(*spans, text=TEXT + " [E-0]") for spans in ((CURIE, WARSAW), (CURIE,))]
    assert kinds(parity, *forged) == ["marker"]
    assert set(parity.KINDS) >= {"max_length", "marker", "unexplained"}


def answered(*spans: Any, triplets: Any = (), ids: tuple[int, ...] = (1, 2)) -> Any:
    """An output of ours, with candidates of those ids."""
    pytest.importorskip("spacy")
    from relik.upstream.dropin.outputs import Candidates, RelikOutput, Span, Triplets
    from relik.upstream.index.documents import Document

    rows = {span: Span(*span, TEXT[span[0] : span[1]]) for span in spans}
    return RelikOutput(
        text=TEXT,
        tokens=TEXT.split(),
        id=0,
        spans=list(rows.values()),
        triplets=[Triplets(rows[a], label, rows[b], score) for a, label, b, score in triplets],
        candidates=Candidates(span=[[[Document(str(i), i) for i in ids]]], triplet=[]),
    )


def case_of(gold: dict[str, Any], *, scores: tuple[float, float] = (9.0, 8.0)) -> dict[str, Any]:
    line = [[number, str(number), score] for number, score in zip((1, 2), scores, strict=True)]
    return {
        "is_list": False,
        "kwargs": {},
        "outputs": [gold | {"id": 0, "n_span_candidates": [[2]]}],
        "retrieved": [{"encoder": "encoder-span", "results": [line]}],
    }


def test_answers_with_quirks_are_equal_or_differ_in_the_order_of_ties(parity: ModuleType) -> None:
    case = case_of(output(CURIE, MARIE, WARSAW))
    assert parity.classify(case, answered(CURIE, MARIE, WARSAW)) == "equal"
    assert parity.classify(case, answered(MARIE, CURIE, WARSAW)) == "order_of_ties"
    for unlike in ([WARSAW, CURIE, MARIE], [CURIE, MARIE], [CURIE, MARIE, PACT]):
        assert parity.classify(case, answered(*unlike)) == "unlike"
    assert parity.classify(case, [answered(CURIE, MARIE, WARSAW)]) == "unlike"


def test_candidates_of_equal_score_may_change_places_and_no_others(parity: ModuleType) -> None:
    gold, changed = output(CURIE), answered(PARIS, ids=(2, 1))
    assert parity.classify(case_of(gold, scores=(9.0, 9.0 - 1e-6)), changed) == "candidates_tie"
    assert parity.classify(case_of(gold), changed) == "unlike"
    assert parity.classify(case_of(gold), answered(CURIE, ids=(1, 3))) == "unlike"
    assert parity.classify(case_of(gold), answered(PARIS)) == "unlike"


def test_a_triplet_may_have_any_label_of_a_place_and_of_no_other(parity: ModuleType) -> None:
    spans = (CURIE, WARSAW, PACT)
    case = case_of(output(*spans, triplets=[(CURIE, "born in", WARSAW, 0.5)]))
    for end, label, found in (
        (PACT, "born in", "labels_of_a_place"),
        (PACT, "died in", "unlike"),
        (CURIE, "born in", "unlike"),
    ):
        answer = answered(*spans, triplets=[(CURIE, label, end, 0.5)])
        assert parity.classify(case, answer) == found
