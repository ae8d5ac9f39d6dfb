"""NIF 2.0."""

from typing import TYPE_CHECKING

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write

pytest.importorskip("rdflib")

HEAD = """@prefix nif: <http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#> .
@prefix itsrdf: <http://www.w3.org/2005/11/its/rdf#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix d: <http://example.org/> .
"""
CONTEXT = """
<http://example.org/2#char=0,19> a nif:Context ; nif:isString "\U0001f600 Ann is in London" ;
  nif:referenceContext <http://example.org/2#char=0,19> ; nif:beginIndex 0 ; nif:endIndex 19 .
<http://example.org/1#char=0,3> a nif:Context, nif:RFC5147String ; nif:isString "x y"@en .
"""


def phrase(start: int, end: int, surface: str, identity: str) -> str:
    name = f"<http://example.org/2#char={start},{end}>"
    return f"""{name} a nif:Phrase ; nif:anchorOf "{surface}" ;
  nif:beginIndex "{start}"^^xsd:nonNegativeInteger ; nif:endIndex "{end}"^^xsd:int ;
  {identity} nif:referenceContext <http://example.org/2#char=0,19> .
"""


ANN = phrase(2, 5, "Ann", "itsrdf:taIdentRef <http://aksw.org/notInWiki/Ann> ;")
WORD = phrase(6, 8, "is", "").replace("nif:Phrase", "nif:Word")
LONDON = "itsrdf:taIdentRef <http://dbpedia.org/resource/City_of_London> ;"


def test_contexts_and_phrases_are_read(read: "Read") -> None:
    rows = read("nif", HEAD + CONTEXT + ANN + WORD + phrase(12, 18, "London", LONDON)).rows
    assert [row["doc_id"] for row in rows] == ["http://example.org/1", "http://example.org/2"]
    title = "City of London"
    assert rows[1]["spans"] == [[2, 5, None, "Ann"], [12, 18, title, "London", {"title": title}]]


def test_wikidata_is_taken_before_others(read: "Read") -> None:
    both = f"{LONDON} itsrdf:taIdentRef <http://www.wikidata.org/entity/Q84> ;"
    rows = read("nif", HEAD + CONTEXT + phrase(12, 18, "London", both)).rows
    assert rows[1]["spans"] == [[12, 18, "Q84", "London"]]


@pytest.mark.parametrize(("shift", "unit"), [(1, "UTF-16 units"), (3, "UTF-8 bytes")])
def test_offsets_of_java_and_of_bytes_are_converted(read: "Read", shift: int, unit: str) -> None:
    content = phrase(12 + shift, 18 + shift, "London", LONDON)
    done = read("nif", HEAD + CONTEXT + content)
    assert done.rows[1]["spans"][0][:2] == [12, 18]
    assert done.report["notes"] == {f"documents whose offsets count {unit}, converted": 1}


def test_what_is_written_is_one_statement_a_line(write: "Write", read: "Read") -> None:
    spans = [[0, 2, "a b", "\r\n"], [2, 3, "Q2", '"'], [2, 3, "Q3", '"']]
    text, report = write("nif", {"doc_id": "d 1", "text": '\r\n"\\', "spans": spans})
    assert report["dropped"] == {"second span at the same place": 1}
    assert all(line.endswith(" .") for line in text.splitlines())
    row = read("nif", text).rows[0]
    assert (row["doc_id"], row["text"]) == ("d 1", '\r\n"\\')
    assert row["spans"] == [[0, 2, "a b", "\r\n"], [2, 3, "Q2", '"']]


def test_other_content_is_refused(read: "Read") -> None:
    with pytest.raises(InputError, match=r"source, line 6: is not Turtle"):
        read("nif", HEAD + "\n{}\n")
    with pytest.raises(InputError, match=r"source, http://example.org/2.*beginIndex"):
        read("nif", HEAD + CONTEXT + ANN.replace("nif:beginIndex", "nif:other"))
    with pytest.raises(InputError, match="got no documents"):
        read("nif", HEAD)
