"""Lines of a knowledge base."""

import gzip
import json
from pathlib import Path

import pytest

from relik.errors import InputError
from relik.names.normalise import normalise
from relik.names.trie import CASED, MAX_COUNT, PARTIAL, PRIMARY, NameMatch
from relik.types import Entity
from relik_index.sources.json_lines import WHOLE, SourceRecord, name_matches, read_source


def _line(**values: object) -> bytes:
    return json.dumps({"id": "Q1", "name": "Paris", **values}).encode()


def test_a_line_becomes_a_record(tmp_path: Path) -> None:
    path = tmp_path / "kb"
    path.write_bytes(
        _line(
            aliases=["Lutetia"],
            description="capital",
            types=["place"],
            surfaces={"Paris": 3, "paris": 1},
            partials=["Par"],
            source="wikidata",
            long_description=None,
            wikipedia_title="Paris",
            templated=True,
        )
    )
    (record,) = read_source(path)
    assert record.entity == Entity(
        entity_id="Q1", name="Paris", aliases=("Lutetia",), description="capital", types=("place",)
    )
    assert record.count == 4
    assert record.partials == {"Par": PARTIAL}


def test_gzip_byte_order_mark_and_empty_lines_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "kb"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + _line() + b"\n\n" + _line(id="Q2") + b"\n"))
    assert [record.entity.entity_id for record in read_source(path)] == ["Q1", "Q2"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "expected an object"),
        (b'{"id": "Q2"}', "got no name"),
        (b'{"name": "x"}', "got no id"),
        (_line(id="  "), "empty id"),
        (_line(id=2), "expected a string"),
        (_line(id="Q2", name=None), "expected a string"),
        (_line(id="Q2", aliases="x"), "expected a list of strings"),
        (_line(id="Q2", aliases=[1]), "expected a string"),
        (_line(id="Q2", description=3), "expected a string"),
        (_line(id="Q2", surfaces=["x"]), "expected an object of counts"),
        (_line(id="Q2", surfaces={"x": 1.5}), "expected a whole number"),
        (_line(id="Q2", surfaces={"x": True}), "expected a whole number"),
        (_line(id="Q2", surfaces={"x": -1}), "expected a whole number"),
        (b'{"id": "Q2", "name": "\\ud800"}', "surrogate"),
        (b'{"id": "Q2", "name": "\xff"}', "is not UTF-8"),
        (_line(), "'Q1' again"),
    ],
)
def test_a_wrong_line_is_refused_by_its_number(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "kb"
    path.write_bytes(_line() + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=rf"line 2: .*{said}"):
        list(read_source(path))


def test_files_without_records_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "kb"
    path.write_bytes(b"\n")
    with pytest.raises(InputError, match="no records"):
        list(read_source(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_source(tmp_path / "missing"))
    path.write_bytes(gzip.compress(_line() * 1000)[:60])
    with pytest.raises(InputError, match="line 1: cannot be unpacked"):
        list(read_source(path))


def test_names_are_merged_by_key() -> None:
    record = SourceRecord(
        entity=Entity(entity_id="Q1", name="Barack Obama", aliases=("barack  obama", "⊕", "POTUS")),
        surfaces={"Obama": 100, "obama": 2, "Barack Obama": 70_000, "change": 9},
        partials={"Barack": PARTIAL, "Obama": PARTIAL},
    )
    assert name_matches(record, row=3) == {
        "barack obama": NameMatch(3, MAX_COUNT, WHOLE | PRIMARY),
        "potus": NameMatch(3, 0, WHOLE | CASED),
        "obama": NameMatch(3, 102, WHOLE | CASED),
        "barack": NameMatch(3, 0, CASED | PARTIAL),
        "change": NameMatch(3, 9, WHOLE),
    }


def test_a_surface_that_never_occurred_keeps_its_case() -> None:
    entity = Entity(entity_id="Q1", name="X")
    record = SourceRecord(entity=entity, surfaces={"Turkey": 0})
    assert name_matches(record, row=0)["turkey"] == NameMatch(0, 0, WHOLE | CASED)


def test_whole_names_are_found_in_any_case_where_asked() -> None:
    entity = Entity(entity_id="Q1", name="Breast Cancer", aliases=("BRCA",))
    record = SourceRecord(entity=entity, partials={"Breast": PARTIAL}, known={"bc": (3, CASED)})
    flags = {k: m.flags for k, m in name_matches(record, row=0, any_case=True).items()}
    assert flags == {
        "breast cancer": WHOLE | PRIMARY,
        "brca": WHOLE,
        "breast": CASED | PARTIAL,
        "bc": 0,
    }
    assert name_matches(record, row=0)["breast cancer"].flags == WHOLE | PRIMARY | CASED


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("Carcinoma, Basal Cell", {"basal cell carcinoma"}),
        ("Dyskinesia, 3", set()),
        ("Epilepsy, Photogenic, with Diplegia", set()),
        ("Fever", set()),
    ],
)
def test_a_term_that_is_turned_round_is_found_as_text_has_it(name: str, more: set[str]) -> None:
    record = SourceRecord(entity=Entity(entity_id="D1", name=name))
    assert name_matches(record, row=0, any_case=True).keys() == {normalise(name)} | more
    assert name_matches(record, row=0).keys() == {normalise(name)}


def test_what_a_dump_escaped_twice_is_read_as_it_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "kb"
    path.write_bytes(
        _line(
            name=r"Pok\u00E9mon",
            aliases=[r"\uD83D\uDE00", r"\ud83d alone"],
            description=r"a\u00E9s",
        )
    )
    (record,) = read_source(path)
    entity = record.entity
    assert (entity.name, entity.description) == ("Pokémon", "aés")
    assert entity.aliases == ("😀", r"\ud83d alone")
