"""Titles and addresses as ids."""

import json
from pathlib import Path

import pytest

from relik.errors import InputError
from relik_training.formats.addresses import address_of, id_and_title, named, plain_title
from relik_training.formats.annotated import Mention, Record
from relik_training.formats.conversion_report import Report
from relik_training.formats.titles import EntityMap, read_entity_map

MAP = EntityMap({"IPhone": "Q2766", "S\u00e3o_Paulo": "Q174", "AC/DC": "Q27593"})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("iPhone", "Q2766"),
        ("https://en.wikipedia.org/wiki/IPhone#History", "Q2766"),
        ("http://pt.dbpedia.org/resource/S%C3%A3o_Paulo", "Q174"),
        ("Sa\u0303o  Paulo", "Q174"),
        ("https://en.wikipedia.org/wiki/AC/DC?action=raw", "Q27593"),
        ("Sao Paulo", None),
        ("", None),
    ],
)
def test_titles_are_found_as_wikipedia_writes_them(name: str, found: str | None) -> None:
    assert MAP.find(name) == found


def test_a_percent_sign_of_a_plain_title_is_one() -> None:
    assert plain_title("100%25_Wolf") == "100%25 Wolf"
    assert plain_title("https://en.wikipedia.org/wiki/100%25_Wolf") == "100% Wolf"


def linked(mention: Mention) -> tuple[str | None, int]:
    report = Report()
    record = Record(doc_id="d", text="x", mentions=(mention,))
    return MAP.link(record, report).mentions[0].entity_id, report.dropped


def mention(entity_id: str | None, title: str = "") -> Mention:
    return Mention(start=0, end=1, entity_id=entity_id, extra={"title": title} if title else {})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (mention("iPhone"), ("Q2766", 0)),
        (mention(None, "IPhone"), ("Q2766", 0)),
        (mention("Q1", "Rome"), ("Q1", 0)),
        (mention("Rome", "Rome"), (None, 1)),
        (mention("https://en.wikipedia.org/wiki/Rome"), (None, 1)),
        (mention(None, "Rome"), (None, 0)),
        (mention("geo:7"), ("geo:7", 0)),
        (mention(None), (None, 0)),
    ],
)
def test_only_titles_that_are_not_in_the_map_are_dropped(
    given: Mention, expected: tuple[str | None, int]
) -> None:
    assert linked(given) == expected


@pytest.mark.parametrize(
    "row", [{"title": "x"}, {"title": "x", "id": 3}, {"title": None, "id": "x"}]
)
def test_a_map_of_another_shape_is_refused(tmp_path: Path, row: dict[str, object]) -> None:
    path = tmp_path / "map.jsonl"
    path.write_text('{"title": "a", "id": "b"}\n' + json.dumps(row))
    with pytest.raises(InputError, match=r"map.jsonl, line 2: .*\"title\": \"London\""):
        read_entity_map(path)


@pytest.mark.parametrize(
    ("entity_id", "title"),
    [
        ("Q84", ""),
        ("London", "London"),
        ("London", ""),
        (" a_b ", " a_b "),
        ("http://example.org/x", ""),
        ("http://dbpedia.org/resource/London", ""),
        ("http://example.org/a b", ""),
        ("\U0001f600%20", ""),
    ],
)
def test_an_id_comes_back_from_its_address(entity_id: str, title: str) -> None:
    assert named([address_of(mention(entity_id, title))])[0] == entity_id


def test_of_several_addresses_wikidata_is_taken_and_none_of_nothing() -> None:
    page = "http://dbpedia.org/resource/A_b"
    assert named([page, "http://www.wikidata.org/entity/Q1"]) == ("Q1", {})
    assert named(["http://aksw.org/notInWiki/x", page]) == ("A b", {"title": "A b"})
    assert named(["http://aksw.org/notInWiki/x"]) == named([]) == (None, {})
    assert id_and_title("https://www.wikidata.org/wiki/Q5") == ("Q5", {})
