"""What the triples of a document say of each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.config import PipelineConfig, ReaderConfig, RulesConfig
from relik.document.consistency import best_relations, refined, without_loops
from relik.errors import ConfigError
from relik.reader.rules.functional import best_values
from relik.testing import FakeKnowledgeBase
from relik.types import Annotation, Coverage, Entity, EntitySpan, Span, Triple

KB = FakeKnowledgeBase(
    [
        Entity(entity_id="Q1", name="Hattalkhindi"),
        Entity(entity_id="Q2", name="Maharashtra"),
        Entity(entity_id="person", name="person"),
    ]
)


def annotation(
    text: str,
    mentions: list[tuple[str, str | None]],
    triples: list[tuple[int, str, int, float]],
) -> Annotation:
    """Link the next place of each surface, and relate them by their numbers."""
    spans, at = [], 0
    for surface, entity_id in mentions:
        start = text.index(surface, at)
        at = start + len(surface)
        spans.append(EntitySpan(span=Span(start, at), entity_id=entity_id, score=0.5))
    return Annotation(
        doc_id="d",
        spans=tuple(spans),
        triples=tuple(
            Triple(subject=spans[a].span, relation_id=r, object=spans[b].span, score=score)
            for a, r, b, score in triples
        ),
        coverage=Coverage(characters=len(text), windows=1, truncated=False),
    )


def told(found: Annotation) -> list[tuple[int, str, int]]:
    number = {span.span: i for i, span in enumerate(found.spans)}
    return [(number[t.subject], t.relation_id, number[t.object]) for t in found.triples]


def test_no_record_is_related_to_itself() -> None:
    text = "Hattalkhindi is a village in Parner, Maharashtra."
    mentions = [("Hattalkhindi", "Q1"), ("Parner", "Q1"), ("Maharashtra", "Q2")]
    found = annotation(
        text, mentions, [(0, "P131", 1, 0.9), (1, "P131", 0, 0.4), (0, "P131", 2, 0.5)]
    )
    assert told(without_loops(found, text, KB)) == [(0, "P131", 2)]


def test_a_mention_is_looked_up_once_however_many_relations_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    lookup = KB.names.lookup
    monkeypatch.setattr(KB.names, "lookup", lambda key: asked.append(key) or lookup(key))
    text = "Maharashtra, Maharashtra"
    mentions = [("Maharashtra", "Q2"), ("Maharashtra", "Q2")]
    few, many = (
        annotation(text, mentions, [(0, f"P{k}", 1, 0.5) for k in range(n)]) for n in (1, 50)
    )
    assert told(without_loops(few, text, KB)) == []
    once = len(asked)
    assert told(without_loops(many, text, KB)) == []
    assert len(asked) == 2 * once


def test_two_things_of_a_type_may_be_related() -> None:
    text = "Oswald shot Kennedy."
    found = annotation(text, [("Oswald", "person"), ("Kennedy", "person")], [(0, "Kill", 1, 0.9)])
    assert without_loops(found, text, KB) == found


def test_mentions_of_nothing_known_may_be_related() -> None:
    text = "Oswald shot Kennedy."
    found = annotation(text, [("Oswald", None), ("Kennedy", None)], [(0, "Kill", 1, 0.9)])
    assert without_loops(found, text, KB) == found


def test_the_best_relation_of_two_records_stays_wherever_it_is_said() -> None:
    text = "Pune, Maharashtra. Pune is in Maharashtra, as Nashik is."
    mentions = [("Pune", "Q1"), ("Maharashtra", "Q2"), ("Pune", "Q1"), ("Maharashtra", "Q2")]
    found = annotation(
        text,
        [*mentions, ("Nashik", None)],
        [
            (0, "in", 1, 0.3),
            (0, "of", 1, 0.6),
            (2, "in", 3, 0.9),
            (2, "of", 3, 0.2),
            (4, "of", 3, 0.1),
        ],
    )
    assert told(best_relations(found, 1)) == [(0, "in", 1), (2, "in", 3), (4, "of", 3)]
    assert best_relations(found, 0) == found
    assert best_relations(found, 2) == found


def test_the_other_direction_is_another_pair() -> None:
    text = "Paris is the capital of France."
    found = annotation(
        text, [("Paris", "Q1"), ("France", "Q2")], [(0, "P17", 1, 0.6), (1, "P36", 0, 0.5)]
    )
    assert best_relations(found, 1) == found


def test_fewer_relations_than_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="relations_per_pair"):
        ReaderConfig(relations_per_pair=-1)


def test_of_a_functional_relation_the_best_object_stays_wherever_it_is_said() -> None:
    text = "Siemens, Berlin, Munich, Siemens, Munich, Bosch, Berlin"
    found = annotation(
        text,
        [
            ("Siemens", "Q1"),
            ("Berlin", "Q2"),
            ("Munich", "Q3"),
            ("Siemens", "Q1"),
            ("Munich", "Q3"),
            ("Bosch", None),
            ("Berlin", "Q2"),
        ],
        [
            (0, "P159", 1, 0.7),
            (0, "P159", 2, 0.3),
            (3, "P159", 4, 0.8),
            (0, "P452", 1, 0.1),
            (5, "P159", 6, 0.2),
        ],
    )
    best = best_values(found, text, ["P159"], [])
    assert told(best) == [(0, "P159", 2), (3, "P159", 4), (0, "P452", 1), (5, "P159", 6)]
    assert best_values(found, text, ["P19"], ["P150"]) == found
    assert best_values(found, text, [], []) == found


def test_of_an_inverse_functional_relation_the_best_subject_stays() -> None:
    text = "India, Maharashtra, Pune"
    found = annotation(
        text,
        [("India", "Q3"), ("Maharashtra", "Q2"), ("Pune", None)],
        [(0, "P150", 2, 0.4), (1, "P150", 2, 0.6), (0, "P150", 1, 0.1)],
    )
    assert told(best_values(found, text, [], ["P150"])) == [(1, "P150", 2), (0, "P150", 1)]


def test_what_one_sentence_says_is_better_than_what_two_say() -> None:
    text = "Munich is large. Siemens has its seat in Berlin."
    found = annotation(
        text,
        [("Munich", "Q3"), ("Siemens", "Q1"), ("Berlin", "Q2")],
        [(1, "P159", 0, 0.9), (1, "P159", 2, 0.4)],
    )
    assert told(best_values(found, text, ["P159"], [])) == [(1, "P159", 2)]


def test_the_first_of_an_address_is_the_place() -> None:
    text = "Microsoft is based in Redmond, Washington."
    found = annotation(
        text,
        [("Microsoft", "Q1"), ("Redmond", "Q2"), ("Washington", "Q3")],
        [(0, "P159", 1, 0.97), (0, "P159", 2, 0.98), (0, "P131", 2, 0.5)],
    )
    assert told(best_values(found, text, ["P159", "P131"], [])) == [(0, "P159", 1), (0, "P131", 2)]


def test_of_like_scores_the_nearer_is_told() -> None:
    text = "Merkel was born in Hamburg, and lives with her family in Berlin."
    found = annotation(
        text,
        [("Merkel", "Q1"), ("Hamburg", "Q2"), ("Berlin", "Q3")],
        [(0, "P19", 1, 0.50), (0, "P19", 2, 0.55)],
    )
    assert told(best_values(found, text, ["P19"], [])) == [(0, "P19", 1)]
    surer = annotation(
        text,
        [("Merkel", "Q1"), ("Hamburg", "Q2"), ("Berlin", "Q3")],
        [(0, "P19", 1, 0.3), (0, "P19", 2, 0.9)],
    )
    assert told(best_values(surer, text, ["P19"], [])) == [(0, "P19", 2)]


def test_a_country_keeps_its_relation_where_the_district_takes_the_other() -> None:
    text = "Pune, Maharashtra, India"
    found = annotation(
        text,
        [("Pune", None), ("Maharashtra", "Q2"), ("India", "Q3")],
        [(0, "P131", 1, 0.9), (0, "P131", 2, 0.8), (0, "P17", 2, 0.7)],
    )
    config = PipelineConfig(
        reader=ReaderConfig(relations_per_pair=1), rules=RulesConfig(functional=("P131",))
    )
    assert told(refined(found, text, kb=KB, config=config)) == [
        (0, "P131", 1),
        (0, "P17", 2),
    ]


def test_functional_relations_are_ids() -> None:
    with pytest.raises(ConfigError, match=r"inverse_functional .*131.*strings"):
        RulesConfig(inverse_functional=("P150", 131))  # type: ignore[arg-type]


TRIPLES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(0, 3), st.floats(0, 1)).filter(
        lambda t: t[0] != t[2]
    ),
    max_size=12,
    unique_by=lambda t: t[:3],
)
IDS = st.lists(st.sampled_from([None, "Q1", "Q2", "person"]), min_size=4, max_size=4)


RELATIONS = st.lists(st.sampled_from("abc"), unique=True).map(tuple)


@given(TRIPLES, IDS, st.integers(0, 3), RELATIONS, RELATIONS)
def test_refining_drops_triples_alone_and_once(
    triples: list[tuple[int, str, int, float]],
    ids: list[str | None],
    most: int,
    functional: tuple[str, ...],
    inverse: tuple[str, ...],
) -> None:
    text = "Hattalkhindi, Maharashtra, Pune, person"
    surfaces = text.split(", ")
    found = annotation(text, list(zip(surfaces, ids, strict=True)), triples)
    config = PipelineConfig(
        reader=ReaderConfig(relations_per_pair=most),
        rules=RulesConfig(functional=functional, inverse_functional=inverse),
    )
    once = refined(found, text, kb=KB, config=config)
    assert once.spans == found.spans
    kept = iter(found.triples)
    assert all(triple in kept for triple in once.triples)  # the same order
    assert refined(once, text, kb=KB, config=config) == once
    pairs: dict[tuple[object, object], set[str]] = {}
    for a, relation, b in told(once):
        pairs.setdefault((ids[a] or a, ids[b] or b), set()).add(relation)
    assert not most or all(len(relations) <= most for relations in pairs.values())
    kept_pairs = {(a, relation, b) for (a, b), held in pairs.items() for relation in held}
    objects = [(a, relation) for a, relation, _ in kept_pairs if relation in functional]
    subjects = [(b, relation) for _, relation, b in kept_pairs if relation in inverse]
    assert len(objects) == len(set(objects))
    assert len(subjects) == len(set(subjects))
