"""Sports pages: every name is labelled where it stands, and a page is drawn by its number alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relik.errors import ConfigError
from relik_training.augment.augmentation import with_copies
from relik_training.augment.other_names import OtherNames
from relik_training.augment.sports_pages import SportsPages
from relik_training.data.json_lines import write_jsonl
from relik_training.data.knowledge_records import Records
from relik_training.recipes.reader_settings import Augmentation

_LETTERS = "abcdefghijklmn"


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for letter in _LETTERS:
        land, town = f"Land{letter}", f"Town{letter}"
        rows += [
            {"id": f"L{letter}", "name": land, "types": ["place"], "description": "country"},
            {"id": f"C{letter}", "name": town, "types": ["place"], "description": "city in Landa"},
            {
                "id": f"N{letter}",
                "name": f"{land} national football team",
                "types": ["organisation"],
                "description": "men's national association football team",
                "partials": [land],
            },
            {
                "id": f"T{letter}",
                "name": f"{town} Rovers",
                "types": ["organisation"],
                "description": "association football club in Landa",
                "partials": [town, "Rovers"],
            },
            {
                "id": f"P{letter}",
                "name": f"Given{letter} Family{letter}",
                "types": ["person"],
                "description": "association football player",
                "partials": [f"Family{letter}"],
            },
        ]
    return rows


_ROWS = _rows()
_RECORDS = Records(_ROWS)
_PAGES = SportsPages(_ROWS, _RECORDS, OtherNames(_ROWS, _RECORDS))


@given(st.integers(0, 5000))
@settings(max_examples=60)
def test_every_name_is_labelled_where_it_stands(number: int) -> None:
    page = _PAGES.window(number, seed=3)
    names = {row["id"]: row["name"].casefold() for row in _ROWS}
    last = 0
    for mention in page.mentions:
        form = page.text[mention.span.start : mention.span.end].casefold()
        assert last <= mention.span.start < mention.span.end
        assert mention.entity_id is not None
        assert form in names[mention.entity_id]
        last = mention.span.end
    labelled = sum(m.span.end - m.span.start for m in page.mentions)
    rest = page.text.casefold()
    for mention in reversed(page.mentions):
        rest = rest[: mention.span.start] + rest[mention.span.end :]
    assert labelled
    assert not any(word in rest for word in ("town", "land", "given", "family", "rovers"))


def test_a_country_in_brackets_is_a_country_and_in_a_table_a_team() -> None:
    found: dict[str, set[str]] = {"( ": set(), "\n": set()}
    for number in range(200):
        page = _PAGES.window(number, seed=3)
        for mention in page.mentions:
            before = page.text[max(0, mention.span.start - 2) : mention.span.start]
            for sign, kinds in found.items():
                if before.endswith(sign):
                    kinds.add((mention.entity_id or "")[0])
    assert found["( "] == {"L"}
    assert "L" not in found["\n"]
    assert {"N", "T"} <= found["\n"]


def test_pages_depend_on_seed_and_number_alone() -> None:
    again = SportsPages(_ROWS, _RECORDS, OtherNames(_ROWS, _RECORDS))
    assert again.window(7, seed=3) == _PAGES.window(7, seed=3)
    assert again.window(7, seed=4) != _PAGES.window(7, seed=3)


def test_pages_come_behind_the_windows(tmp_path: Any) -> None:
    path = tmp_path / "entities.jsonl"
    write_jsonl(path, _ROWS)
    told = with_copies([], path, _RECORDS, Augmentation(sports_pages=5), seed=3)
    assert [page.doc_id for page in told] == [f"sports-page-{n}" for n in range(5)]


def test_a_knowledge_base_without_teams_is_refused(tmp_path: Any) -> None:
    rows = [row for row in _ROWS if row["id"][0] == "C"]
    path = tmp_path / "entities.jsonl"
    write_jsonl(path, rows)
    with pytest.raises(ConfigError, match="too few teams"):
        with_copies([], path, Records(rows), Augmentation(sports_pages=5), seed=3)
