"""The strict reading of typed mentions and triples, counted by hand."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from relik.errors import InputError
from relik.evaluation import GoldDocument, Wanted, analyse_strict, read_gold
from relik.types import (
    AnnotateOptions,
    Annotation,
    Coverage,
    Document,
    EntitySpan,
    Span,
    Triple,
    Window,
    WindowCandidates,
)

TEXT = "Ada lives in Rome and works for Acme in Oslo"
ADA, ROME, ACME, OSLO = Span(0, 3), Span(13, 17), Span(32, 36), Span(40, 44)


class Canned:
    """Answers every document alike."""

    def __init__(self, types: dict[Span, str | None], *facts: tuple[Span, str, Span]) -> None:
        self._types, self._facts = types, facts

    def annotate(
        self, documents: Sequence[Document], *, options: AnnotateOptions
    ) -> list[Annotation]:
        assert options.relations
        return [
            Annotation(
                doc_id=document.doc_id,
                spans=tuple(
                    EntitySpan(span=span, entity_id=kind, score=0.9)
                    for span, kind in self._types.items()
                ),
                triples=tuple(
                    Triple(subject=s, relation_id=r, object=o, score=0.8) for s, r, o in self._facts
                ),
                coverage=Coverage(characters=len(document.text), windows=1),
            )
            for document in documents
        ]

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[Annotation]:
        raise NotImplementedError

    def split(self, document: Document) -> list[Window]:
        raise NotImplementedError

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        raise NotImplementedError


def _file(folder: Path, *, typed: bool = True) -> Path:
    types = {ADA: "Peop", ROME: "Loc", ACME: "Org", OSLO: "Loc"}
    spans = [
        [s.start, s.end, None, TEXT[s.start : s.end], *([{"type": kind}] if typed else [])]
        for s, kind in types.items()
    ]
    triples = [[0, "Live_In", 1], [0, "Work_For", 2], [2, "OrgBased_In", 3]]
    path = folder / "gold.jsonl.gz"
    row = {"doc_id": "a", "text": TEXT, "spans": spans, "triples": triples}
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    return path


@pytest.fixture
def gold(tmp_path: Path) -> list[GoldDocument]:
    return read_gold(_file(tmp_path), typed=True)


def test_the_type_of_a_span_is_read_as_its_id(gold: list[GoldDocument]) -> None:
    assert [m.entity_id for m in gold[0].mentions] == ["Peop", "Loc", "Org", "Loc"]
    assert gold[0].triples[1].object.entity_id == "Org"


def test_a_span_without_a_type_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, typed=False)
    assert read_gold(path)[0].mentions[0].entity_id is None
    with pytest.raises(InputError, match="has no type"):
        read_gold(path, typed=True)


def test_a_wrong_type_of_an_end_makes_a_triple_wrong(gold: list[GoldDocument]) -> None:
    # Acme is taken for a place: two triples have it as an end.
    found = Canned(
        {ADA: "Peop", ROME: "Loc", ACME: "Loc", OSLO: "Loc"},
        (ADA, "Live_In", ROME),
        (ADA, "Work_For", ACME),
        (ACME, "OrgBased_In", OSLO),
    )
    figures = analyse_strict(found, gold, options=AnnotateOptions()).figures
    triples, boundaries, entities = (
        figures[name] for name in ("triples", "boundaries", "entities")
    )
    assert isinstance(triples, dict)
    assert isinstance(boundaries, dict)
    assert isinstance(entities, dict)
    assert triples["counts"] == {"right": 1, "wrong": 2, "missed": 2}
    assert triples["f1"] == pytest.approx(1 / 3, abs=1e-4)
    # Live_In 1, the two others 0.
    assert triples["macro_f1"] == pytest.approx(1 / 3, abs=1e-4)
    assert boundaries["counts"] == {"right": 3, "wrong": 0, "missed": 0}
    assert boundaries["macro_f1"] == 1.0
    assert entities["counts"] == {"right": 3, "wrong": 1, "missed": 1}
    # Peop 1, Loc 4/5, Org 0.
    assert entities["macro_f1"] == pytest.approx(0.6, abs=1e-4)


def test_direction_and_relation_count(gold: list[GoldDocument]) -> None:
    found = Canned(
        {ADA: "Peop", ROME: "Loc", ACME: "Org", OSLO: "Loc"},
        (ROME, "Live_In", ADA),
        (ADA, "Kill", ACME),
        (ACME, "OrgBased_In", OSLO),
    )
    analysis = analyse_strict(found, gold, options=AnnotateOptions(), wanted=Wanted(breakdown=True))
    triples = analysis.figures["triples"]
    assert isinstance(triples, dict)
    assert triples["counts"] == {"right": 1, "wrong": 2, "missed": 2}
    # A relation that gold has not counts in the micro average alone.
    assert triples["macro_f1"] == pytest.approx(1 / 3, abs=1e-4)
    groups = analysis.figures["breakdown"]
    assert isinstance(groups, dict)
    assert groups["relations"]["Kill"]["support"] == 0
    assert groups["types"]["Loc"]["f1"] == 1.0


def test_mentions_of_no_type_are_no_entities(gold: list[GoldDocument]) -> None:
    found = Canned({ADA: None, ROME: "Loc"}, (ADA, "Live_In", ROME))
    figures = analyse_strict(found, gold, options=AnnotateOptions()).figures
    entities, triples = figures["entities"], figures["triples"]
    assert isinstance(entities, dict)
    assert isinstance(triples, dict)
    assert entities["counts"] == {"right": 1, "wrong": 0, "missed": 3}
    assert triples["counts"] == {"right": 0, "wrong": 1, "missed": 3}
