"""spaCy's DocBin."""

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relik.errors import InputError
from relik_training.formats.conversion_report import Report
from relik_training.formats.convert import Conversion, convert

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read

spacy = pytest.importorskip("spacy")
TEXT = "  \U0001f600 Ann\r\n met US-based Bob. "
SPANS = [[4, 7, "Q1", "Ann", {"type": "PER"}], [14, 16, None, "US"], [14, 22, None, "US-based"]]


def test_spacy_reads_what_is_written_and_the_text_is_the_same(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "a.spacy"
    source.write_text(json.dumps({"doc_id": "d", "text": TEXT, "spans": SPANS}))
    conversion = Conversion(
        source=source, target=target, source_format="relik", target_format="docbin"
    )
    report = Report()
    convert(conversion, report)
    nlp = spacy.blank("en")
    (doc,) = spacy.tokens.DocBin().from_disk(target).get_docs(nlp.vocab)
    assert doc.text == TEXT
    assert [(ent.text, ent.label_, ent.kb_id_) for ent in doc.ents] == [
        ("Ann", "PER", "Q1"),
        ("US-based", "Entity", ""),
    ]
    assert report.as_dict()["dropped"] == {"span overlaps another": 1}


def test_entities_of_spacy_are_read(read: "Read") -> None:
    nlp = spacy.blank("en")
    doc = nlp("Ann met Bob")
    doc.ents = [doc.char_span(0, 3, label="PERSON", kb_id="Q1"), doc.char_span(8, 11, label="X")]
    rows = read("docbin", spacy.tokens.DocBin(docs=[doc]).to_bytes()).rows
    assert rows == [
        {
            "doc_id": "0",
            "text": "Ann met Bob",
            "spans": [[0, 3, "Q1", "Ann", {"type": "PERSON"}], [8, 11, None, "Bob", {"type": "X"}]],
            "triples": [],
        }
    ]


@pytest.mark.parametrize("content", [b"x", zlib.compress(b"\x01"), zlib.compress(b"\x80")])
def test_other_bytes_are_refused(read: "Read", content: bytes) -> None:
    with pytest.raises(InputError, match=r"source: is not a DocBin"):
        read("docbin", content)
