import random
from pathlib import Path

import pytest

from relik.errors import ConfigError, InputError
from relik.types import Span
from relik_training.data.examples import Example
from relik_training.data.json_lines import write_jsonl
from relik_training.data.statements import Mention
from relik_training.recipes.relation_settings import Unseen
from relik_training.relations.unseen import HIDDEN, draw_unseen, texts_of, without_relations

IDS = [f"P{number}" for number in range(20)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = ({"text": "a b", "spans": [], "triples": [[0, key, 1]]} for key in reversed(IDS))
    write_jsonl(tmp_path / "set.jsonl", rows)
    return tmp_path


def example(
    *triples: tuple[int, str, int], doubtful: tuple[tuple[int, str, int], ...] = ()
) -> Example:
    spans = (Span(0, 1), Span(2, 3), Span(4, 5))
    return Example(
        doc_id="d",
        index=0,
        text="a b c",
        mentions=tuple(Mention(span=span, entity_id="") for span in spans),
        triples=triples,
        doubtful=frozenset(doubtful),
        unknown=(),
        relations="all",
    )


def test_a_draw_depends_on_its_seed_alone(data: Path) -> None:
    one = draw_unseen(Unseen(source="set.jsonl", count=5, draw=3, apart=4), data)
    assert one.unseen == tuple(random.Random(3).sample(sorted(IDS), 5))
    assert not set(one.unseen) & set(one.apart)
    assert (len(one.all), one.measured) == (9, one.apart)
    assert draw_unseen(Unseen(source="set.jsonl", count=5, draw=3), data).measured == one.unseen
    assert draw_unseen(Unseen(source="set.jsonl", count=5, draw=4), data).unseen != one.unseen


def test_relations_can_be_named(tmp_path: Path) -> None:
    assert draw_unseen(Unseen(relations=("P1", "P2")), tmp_path).unseen == ("P1", "P2")


def test_more_relations_than_there_are_cannot_be_drawn(data: Path) -> None:
    with pytest.raises(ConfigError, match="has 20 relations, expected at least 21"):
        draw_unseen(Unseen(source="set.jsonl", count=15, apart=6), data)
    with pytest.raises(ConfigError, match="is missing"):
        draw_unseen(Unseen(source="other.jsonl"), data)


def test_texts_to_measure_on_are_all_that_state_one_of_the_relations(data: Path) -> None:
    rows = list(texts_of(data / "set.jsonl", {"P3", "P7"}))
    assert [row["triples"] for row in rows] == [[[0, "P7", 1]], [[0, "P3", 1]]]
    with pytest.raises(InputError, match="no text with one of"):
        list(texts_of(data / "set.jsonl", {"P99"}))


def test_a_text_that_states_only_what_is_left_out_goes() -> None:
    kept = list(without_relations([example((0, "P1", 1)), example((0, "P2", 1))], {"P1"}))
    assert [each.triples for each in kept] == [((0, "P2", 1),)]


def test_nothing_is_learned_of_a_pair_with_a_relation_that_is_left_out() -> None:
    (left,) = without_relations([example((0, "P1", 1), (1, "P2", 2))], {"P1"})
    assert left.triples == ((1, "P2", 2),)
    assert left.doubtful == {(0, HIDDEN, 1), (1, HIDDEN, 0)}
    # Not even where the same pair, or one of the same things, has a relation that is trained on.
    assert not list(without_relations([example((0, "P1", 1), (1, "P2", 0))], {"P1"}))
    (left,) = without_relations(
        [example((1, "P2", 2), doubtful=((0, "P1", 1), (2, "P2", 0)))], {"P1"}
    )
    assert left.doubtful == {(0, HIDDEN, 1), (1, HIDDEN, 0), (2, "P2", 0)}


def test_no_trace_of_a_relation_that_is_left_out_remains() -> None:
    examples = [example((0, "P1", 1), (1, "P2", 2), doubtful=((2, "P1", 0),))]
    for left in without_relations(examples, {"P1"}):
        assert "P1" not in {r for _, r, _ in (*left.triples, *left.doubtful)}
