"""Pages about people and places: what they say is labelled, and all of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relik.errors import ConfigError
from relik_training.augment.augmentation import with_copies
from relik_training.augment.life_pages import LifePages
from relik_training.augment.place_pages import PlacePages
from relik_training.data.examples import Example
from relik_training.data.json_lines import write_jsonl
from relik_training.data.knowledge_records import Records
from relik_training.recipes.reader_settings import Augmentation

_LETTERS = "abcdefghijklmn"
_CLUB = "association football club"


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"id": "football", "name": "association football", "description": "team sport"},
        {"id": "judo", "name": "judo", "description": "martial art"},
        {"id": "back", "name": "defender", "description": "association football position"},
        {"id": "land", "name": "Landia", "types": ["place"], "description": "country in Europe"},
        {"id": "north", "name": "Northland", "types": ["place"], "description": "state of Landia"},
    ]
    place, firm, person = ["place"], ["organisation"], ["person"]
    inside = "town in Northland, Landia; population 5"
    for n, letter in enumerate(_LETTERS):
        rows += [
            {"id": f"C{n}", "name": f"Town{letter}", "types": place, "description": inside},
            {"id": f"T{n}", "name": f"Rovers{letter}", "types": firm, "description": _CLUB},
            {
                "id": f"S{n}",
                "name": f"Univ{letter} College",
                "types": firm,
                "description": "school",
            },
            {"id": f"G{n}", "name": f"19{10 + n} Summer Olympics", "description": "games"},
            {
                "id": f"P{n}",
                "name": f"Given{letter} Family{letter}",
                "types": person,
                "description": "Landian footballer" if n % 2 else "Landian actor (born 1950)",
            },
        ]
    return rows


_ROWS = _rows()
_RECORDS = Records(_ROWS)
_LIVES = LifePages(_ROWS, _RECORDS)
_PLACES = PlacePages(_ROWS, _RECORDS)
_SPORT_FORMS = {"football": {"footballer", "football", "soccer"}, "judo": {"judoka"}}


def _surface(page: Example, number: int) -> str:
    span = page.mentions[number].span
    return page.text[span.start : span.end]


def _kind(page: Example, number: int) -> str:
    entity_id = page.mentions[number].entity_id or ""
    return entity_id if entity_id.isalpha() else entity_id[:1]


@given(st.integers(0, 5000))
@settings(max_examples=80)
def test_what_is_said_of_a_person_is_labelled_where_it_stands(number: int) -> None:
    page = _LIVES.window(number, seed=3)
    names = {row["id"]: row["name"] for row in _ROWS}
    for n, mention in enumerate(page.mentions):
        assert mention.entity_id is not None
        forms = _SPORT_FORMS.get(mention.entity_id, {names[mention.entity_id]})
        assert _surface(page, n) in forms
    spans = [mention.span for mention in page.mentions]
    assert spans == sorted(spans)
    assert _kind(page, 0) == "P"
    rest = page.text
    for span in reversed(spans):
        rest = rest[: span.start] + rest[span.end :]
    assert not any(word in rest for word in ("Town", "Rovers", "Univ", "Olympics", "Family"))
    assert "  " not in page.text
    assert "{" not in page.text


_EXPECTED = {
    ("P", "P641"): {"football", "judo"},
    ("P", "P54"): {"T"},
    ("P", "P413"): {"back"},
    ("P", "P1344"): {"G"},
    ("P", "P69"): {"S"},
    ("P", "P19"): {"C"},
    ("P", "P20"): {"C"},
    ("T", "P641"): {"football"},
    ("back", "P641"): {"football"},
}


def test_triples_are_between_what_they_are_true_of() -> None:
    seen = set()
    for number in range(400):
        page = _LIVES.window(number, seed=3)
        assert page.relations == "all"
        for subject, relation, obj in page.triples:
            seen.add((_kind(page, subject), relation))
            assert _kind(page, obj) in _EXPECTED[_kind(page, subject), relation]
        related = {obj for _, _, obj in page.triples}
        # Whatever is named beside the person is named for what it has to do with the person.
        assert related == set(range(1, len(page.mentions)))
    assert seen == set(_EXPECTED)


def test_later_sentences_are_about_the_first_name() -> None:
    apart = 0
    for number in range(200):
        page = _LIVES.window(number, seed=3)
        first_stop = page.text.find(". ")
        later = [t for t in page.triples if page.mentions[t[2]].span.start > first_stop > 0]
        assert all(subject == 0 for subject, _, _ in later)
        apart += len(later)
    assert apart > 50


@given(st.integers(0, 5000))
@settings(max_examples=80)
def test_a_place_lies_in_the_next_and_in_its_country(number: int) -> None:
    page = _PLACES.window(number, seed=3)
    told = {(_kind(page, s), r, _kind(page, o)) for s, r, o in page.triples}
    assert ("C", "P131", "north") in told
    if "land" in {mention.entity_id for mention in page.mentions}:
        assert {("C", "P17", "land"), ("north", "P17", "land"), ("land", "P150", "north")} <= told
    assert not {("C", "P131", "land"), ("land", "P150", "C")} & told
    assert not set(page.triples) & page.doubtful


def test_what_stands_in_a_place_is_no_record() -> None:
    built = [
        _surface(page, n)
        for page in (_PLACES.window(number, seed=3) for number in range(60))
        for n, mention in enumerate(page.mentions)
        if mention.entity_id == ""
    ]
    assert built
    assert all(name.startswith("Town") and " " in name for name in built)


@pytest.mark.parametrize("pages", [_LIVES, _PLACES])
def test_pages_depend_on_seed_and_number_alone(pages: LifePages | PlacePages) -> None:
    again = type(pages)(_ROWS, _RECORDS)
    assert again.window(7, seed=3) == pages.window(7, seed=3)
    assert again.window(7, seed=4) != pages.window(7, seed=3)


def test_they_come_behind_the_windows(tmp_path: Any) -> None:
    path = tmp_path / "entities.jsonl"
    write_jsonl(path, _ROWS)
    told = with_copies([], path, _RECORDS, Augmentation(life_pages=2, place_pages=1), seed=3)
    assert [page.doc_id for page in told] == ["life-page-0", "life-page-1", "place-page-0"]


@pytest.mark.parametrize("kind", ["life_pages", "place_pages"])
def test_a_knowledge_base_without_what_they_need_is_refused(tmp_path: Any, kind: str) -> None:
    rows = [row for row in _ROWS if row["id"][0] == "T"]
    path = tmp_path / "entities.jsonl"
    write_jsonl(path, rows)
    with pytest.raises(ConfigError, match=kind.replace("_", " ")):
        with_copies([], path, Records(rows), Augmentation(**{kind: 5}), seed=3)
