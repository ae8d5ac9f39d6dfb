"""Names that a source does not give."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from relik.kb import KnowledgeBase
from relik.names.language import open_language
from relik.names.resolve import resolve
from relik.names.trie import CASED, DERIVED, KINDS, PARTIAL, PRIMARY, Kind, NameMatch
from relik.testing import HashEncoder
from relik.types import Entity
from relik_index import BuildOptions, build_index
from relik_index.names.enrich import Enricher, KnownNames, other_forms
from relik_index.sources.json_lines import WHOLE, SourceRecord

Build = Callable[..., Path]


@pytest.fixture
def known(build: Build) -> KnownNames:
    return KnownNames(
        build(
            [
                {"id": "Q90", "name": "Paris", "surfaces": {"Paris": 7, "Parisian": 3}},
                {"id": "Q7", "name": "Ann Lee", "partials": ["Lee"]},
            ]
        )
    )


def _record(entity_id: str, name: str, description: str = "", **more: object) -> SourceRecord:
    entity = Entity(entity_id=entity_id, name=name, description=description)
    return SourceRecord(entity=entity, **more)  # type: ignore[arg-type]


def test_names_and_counts_of_the_same_thing_are_taken_over(
    known: KnownNames, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    source = tmp_path / "mine.jsonl"
    source.write_text('{"id": "Q1", "name": "Rome"}\n{"id": "Q90", "name": "Paris"}\n')
    enricher = Enricher(known=known)
    out = tmp_path / "mine"
    options = BuildOptions(enrich=enricher.enriched)
    build_index(source, out, encoder=HashEncoder(8), tokenizer=tokenizer, options=options)
    kb = KnowledgeBase.open(out, verify=True)
    assert kb.names.lookup("parisian") == [NameMatch(1, 3, WHOLE | CASED)]
    assert kb.names.lookup("paris") == [NameMatch(1, 7, WHOLE | CASED | PRIMARY)]
    assert [kb.count(0), kb.count(1)] == [0, 10]
    assert enricher.n_known == 2  # once for records, once for names


def test_what_an_index_of_terms_keeps_beside_names_is_not_taken_over(build: Build) -> None:
    record = {"id": "D1", "name": "Breast Cancer"}
    terms = KnownNames(build([record], options=BuildOptions(any_case=True)))
    told = terms.of(_record("D1", "Breast Cancer"))
    assert told is not None
    assert list(told[0]) == ["breast cancer"]


def test_an_id_alone_does_not_make_two_things_the_same(known: KnownNames) -> None:
    other = _record("Q90", "Screw M4")
    assert Enricher(known=known).enriched(other) == other


def test_counts_of_the_source_go_before_those_that_are_known(known: KnownNames) -> None:
    own = _record("Q90", "Paris", surfaces={"Paris": 2})
    enriched = Enricher(known=known).enriched(own)
    assert enriched.count == 2
    assert {key: count for key, (count, _) in enriched.known.items()} == {"paris": 0, "parisian": 0}


def test_parts_are_added_where_a_record_has_none() -> None:
    enricher = Enricher()
    assert enricher.enriched(_record("1", "Ann Lee", "Irish poet")).partials == {"Lee": PARTIAL}
    assert enricher.enriched(_record("2", "Oslo", "capital of Norway")).partials == {}
    given = _record("3", "Ann Lee", "Irish poet", partials={"Annie": PARTIAL, "Lee": PARTIAL})
    assert enricher.enriched(given).partials == given.partials
    plain = _record("1", "Ann Lee", "Irish poet")
    assert Enricher(parts=False).enriched(plain) == plain


def test_a_part_stays_a_part_when_taken_over(known: KnownNames) -> None:
    enriched = Enricher(known=known, parts=False).enriched(_record("Q7", "Ann Lee"))
    assert enriched.known["lee"][1] & PARTIAL


def test_forms_say_of_which_kind_they_are() -> None:
    english = open_language("en")
    party = Entity(entity_id="1", name="Kurdistan Democratic Party", types=("organisation",))
    assert KINDS[other_forms(party, english)["KDP"]] is Kind.ACRONYM
    person = Entity(entity_id="2", name="Hermann G\u00f6ring", types=("person",))
    assert {form: KINDS[flags] for form, flags in other_forms(person, english).items()} == {
        "Hermann Goring": Kind.FOLDED,
        "Hermann Goering": Kind.FOLDED,
        "G\u00f6ring": Kind.PARTIAL,
        "Goring": Kind.PARTIAL,
        "Goering": Kind.PARTIAL,
    }


@pytest.mark.parametrize(
    ("name", "types", "language", "forms"),
    [
        ("Denmark", ("place",), "en", {"Dane", "Danish"}),
        ("Islam", (), "en", {"Moslem", "Muslim"}),
        ("Turkey", (), "en", set()),
        ("France", ("organisation",), "en", set()),
        ("Denmark", ("place",), "de", set()),
    ],
)
def test_demonyms_of_no_rule_are_forms_of_places_and_faiths(
    name: str, types: tuple[str, ...], language: str, forms: set[str]
) -> None:
    entity = Entity(entity_id="1", name=name, description="something", types=types)
    found = other_forms(entity, open_language(language))
    assert {form for form, flags in found.items() if flags & DERIVED} == forms


def test_a_demonym_means_its_place_and_nothing_else_of_that_name(build: Build) -> None:
    records = [
        {"id": "Q35", "name": "Denmark", "types": ["place"], "surfaces": {"Denmark": 50}},
        {"id": "Q1", "name": "Denmark", "types": ["work"], "surfaces": {"Denmark": 9}},
        {"id": "Q2", "name": "Danish", "surfaces": {"Danish": 5}},
    ]
    kb = KnowledgeBase.open(build(records, options=BuildOptions(enrich=Enricher().enriched)))
    place, people = resolve(kb, "Danish")
    assert (kb.entity_id(place.row), place.kind, place.derived) == ("Q35", Kind.INFLECTED, True)
    assert (kb.entity_id(people.row), people.kind) == ("Q2", Kind.EXACT)
    assert place.share == pytest.approx(10.2 / 15.9, abs=0.02)


def test_kinds_of_a_source_s_parts_are_told_where_they_can_be() -> None:
    given = _record("3", "Ann Lee", "Irish poet", partials={"Annie": PARTIAL, "Lee": PARTIAL})
    party = _record("1", "Kurdistan Democratic Party", partials={"KDP": PARTIAL})
    party = replace(party, entity=replace(party.entity, types=("organisation",)))
    enricher = Enricher(parts=False)
    assert {KINDS[flags] for flags in enricher.enriched(given).partials.values()} == {Kind.PARTIAL}
    assert [KINDS[flags] for flags in enricher.enriched(party).partials.values()] == [Kind.ACRONYM]
