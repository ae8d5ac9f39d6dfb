"""What a window names without a link may be right; what a link decides is not left open."""

import pytest

pytest.importorskip("rich")

from relik.types import Span
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records
from relik_training.data.statements import Mention
from relik_training.data.unlabelled_names import unlabelled_names

ENTITIES = Records(
    [
        {"id": "Q0", "name": "Paris"},
        {"id": "Q1", "name": "Paris Hilton"},
        {"id": "Q2", "name": "Karl Marx", "partials": ["Marx"]},
        {"id": "Q3", "name": "Devanagari", "aliases": ["Nagari"]},
        {"id": "Q4", "name": "Rome", "surfaces": {"Romans": 3}},
        {"id": "Q5", "name": "Oslo"},
    ]
)


def _names(text: str, *linked: tuple[int, int, str | None]) -> set[int]:
    example = Example(
        doc_id="",
        index=0,
        text=text,
        mentions=tuple(Mention(span=Span(a, b), entity_id=c) for a, b, c in linked),
        triples=(),
        unknown=(),
        relations="none",
    )
    return set(unlabelled_names(example, ENTITIES))


def test_names_aliases_surface_forms_and_parts_of_names_count() -> None:
    assert _names("nagari, which the Romans and Marx knew") == {2, 3, 4}
    assert _names("nothing of the kind") == set()


def test_a_longer_name_and_those_in_it_are_all_found() -> None:
    assert _names("Paris Hilton was there") == {0, 1}


def test_the_words_of_a_linked_mention_are_decided() -> None:
    assert _names("Paris Hilton was there", (0, 12, "Q1")) == set()
    assert _names("Paris Hilton was there", (0, 5, "Q0")) == set()
    assert _names("Paris and Paris", (0, 5, "Q0")) == {0}


@pytest.mark.parametrize("link", [None, ""])
def test_a_mention_that_is_linked_to_nothing_decides_nothing(link: str | None) -> None:
    assert _names("Paris Hilton was there", (0, 12, link)) == {0, 1}
