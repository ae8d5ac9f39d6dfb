"""Texts of records."""

from relik.kb import candidate_text, encoder_text
from relik.types import Entity


def test_the_encoder_reads_name_and_description() -> None:
    entity = Entity(
        entity_id="Q1",
        name="Paris",
        aliases=("PARIS", "City of Light", "city of light", "Lutetia", "Panam", "Paname"),
        description="capital of France",
    )
    assert encoder_text(entity) == "Paris capital of France"
    assert candidate_text(entity) == "Paris, capital of France"


def test_a_bare_record_is_its_name() -> None:
    entity = Entity(entity_id="P1", name="spouse")
    assert encoder_text(entity) == candidate_text(entity) == "spouse"
