from pathlib import Path

import pytest

from relik.bundle import Bundle
from relik.commands.evaluate import measure_relations
from relik.commands.measure import Source
from relik.errors import InputError
from relik.evaluation import GoldDocument, GoldMention, GoldTriple
from relik.kb import KnowledgeBase
from relik.types import Document, Span


def gold(relation: str) -> list[GoldDocument]:
    ada = GoldMention(span=Span(0, 3), entity_id=None)
    bob = GoldMention(span=Span(8, 11), entity_id=None)
    return [
        GoldDocument(
            document=Document(doc_id="d", text="Ada met Bob"),
            mentions=(ada, bob),
            triples=(GoldTriple(subject=ada, relation_id=relation, object=bob),),
        )
    ]


@pytest.fixture
def relations(tiny_bundle: Bundle) -> list[str]:
    kb = KnowledgeBase.open(tiny_bundle.path / "relations")
    return [kb.entity_id(row) for row in range(len(kb))]


def test_all_relations_of_the_bundle_are_candidates_unless_some_are_named(
    tiny_bundle: Bundle, relations: list[str]
) -> None:
    source = Source(bundle=str(tiny_bundle.path), backend="onnx")
    report = measure_relations(source, gold(relations[0]))
    assert report["candidates"] == sorted(relations)
    assert (report["documents"], report["model"]) == (1, tiny_bundle.config.model)
    one = measure_relations(source, gold(relations[0]), candidates=[relations[0]])
    figures = one["relations"]
    assert isinstance(figures, dict)
    assert figures["f1"] == 1.0


def test_relations_can_come_from_another_index(tiny_bundle: Bundle, relations: list[str]) -> None:
    own = Path(tiny_bundle.path) / "relations"
    source = Source(bundle=str(tiny_bundle.path), kb=own, backend="onnx")
    named = measure_relations(source, gold(relations[0]))
    plain = measure_relations(
        Source(bundle=str(tiny_bundle.path), backend="onnx"), gold(relations[0])
    )
    assert named["relations"] == plain["relations"]


def test_gold_that_is_about_other_relations_is_refused(
    tiny_bundle: Bundle, relations: list[str]
) -> None:
    source = Source(bundle=str(tiny_bundle.path), backend="onnx")
    with pytest.raises(InputError, match="none of them with a triple"):
        measure_relations(source, gold("other"))
    with pytest.raises(InputError, match="'other', expected ids"):
        measure_relations(source, gold("other"), candidates=["other"])
