"""Records know their names, and which names mean one of them nearly always."""

from relik.names.trie import PARTIAL
from relik_training.data.knowledge_records import Records

RECORDS = Records(
    [
        {"id": "Q1", "name": "Paris", "surfaces": {"Paris": 97, "the capital": 1}},
        {"id": "Q2", "name": "Paris", "aliases": ["Paris, Texas"], "surfaces": {"Paris": 3}},
        {"id": "Q3", "name": "Ada Lovelace", "partials": ["Lovelace"]},
        {"id": "Q4", "name": "Georgia", "surfaces": {"Georgia": 6}},
        {"id": "Q5", "name": "Georgia", "surfaces": {"Georgia": 5}},
        {"id": "Q6", "name": "black box"},
        {"id": "Q7", "name": "Rare", "surfaces": {"Rare": 2}},
    ]
)


def test_names_are_found_most_frequent_first() -> None:
    assert [(m.row, m.count) for m in RECORDS.lookup("paris")] == [(0, 97), (1, 3)]
    assert RECORDS.lookup("nothing") == []


def test_a_name_that_is_nearly_always_linked_to_one_record_means_it() -> None:
    assert RECORDS.unambiguous("Paris") == "Q1"
    assert RECORDS.unambiguous("Georgia") is None
    assert RECORDS.unambiguous("Rare") is None


def test_a_long_name_with_one_bearer_means_it() -> None:
    assert RECORDS.unambiguous("Ada Lovelace") == "Q3"
    assert RECORDS.unambiguous("Paris, Texas") == "Q2"


def test_a_part_of_a_name_means_nobody() -> None:
    assert RECORDS.lookup("lovelace")[0].flags & PARTIAL
    assert RECORDS.unambiguous("Lovelace") is None


def test_a_name_or_a_part_of_one_is_known_as_such() -> None:
    assert RECORDS.has_name("the Capital")
    assert RECORDS.has_name("Lovelace")
    assert not RECORDS.has_name("Nobody")
    assert not RECORDS.has_name("")


def test_ids_lead_to_rows() -> None:
    assert len(RECORDS) == 7
    assert RECORDS.row_of("Q3") == 2
    assert RECORDS.row_of("Q9") is None
    assert "Q4" in RECORDS
    assert "Q9" not in RECORDS
