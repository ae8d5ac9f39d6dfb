import json

from hypothesis import given
from hypothesis import strategies as st

from relik.testing import FakePipeline
from relik.types import AnnotateOptions, Annotation, Coverage, Document, EntitySpan, Span, Triple
from relik.wire.document import document_to_wire

PIPELINE = FakePipeline()
VIEW = PIPELINE.view


def to_wire(annotation, text, *, explain=False):
    return document_to_wire(
        annotation, text, entity=VIEW.entity, relation=VIEW.relation, explain=explain
    )


@given(text=st.text() | st.lists(st.sampled_from(["Ada", "met", "😀", "Bob"])).map(" ".join))
def test_spans_index_the_text_and_triples_index_the_spans(text):
    (annotation,) = PIPELINE.annotate([Document(doc_id="d", text=text)])
    wire = to_wire(annotation, text)

    assert [text[span["start"] : span["end"]] for span in wire["spans"]] == [
        span["text"] for span in wire["spans"]
    ]
    for triple, given_triple in zip(wire["triples"], annotation.triples, strict=True):
        assert annotation.spans[triple["subject"]].span == given_triple.subject
        assert annotation.spans[triple["object"]].span == given_triple.object
    assert json.loads(json.dumps(wire)) == wire


def annotation_of(*spans, triples=()):
    return Annotation(
        doc_id="d",
        spans=spans,
        triples=triples,
        coverage=Coverage(characters=3, windows=1, truncated=True),
    )


def test_nil_has_neither_id_nor_name():
    nil = EntitySpan(span=Span(0, 3), entity_id=None, score=0.25)
    (span,) = to_wire(annotation_of(nil), "Ada", explain=True)["spans"]

    assert (span["entity_id"], span["name"], span["description"]) == (None, None, None)


def test_an_id_that_the_knowledge_base_lost_keeps_its_id_without_a_name():
    span = EntitySpan(span=Span(0, 3), entity_id="gone", score=0.25)
    triple = Triple(subject=Span(0, 3), relation_id="gone", object=Span(0, 3), score=1 / 3)
    wire = to_wire(annotation_of(span, triples=(triple,)), "Ada")

    assert (wire["spans"][0]["entity_id"], wire["spans"][0]["name"]) == ("gone", None)
    assert wire["triples"] == [
        {"subject": 0, "relation_id": "gone", "relation": None, "object": 0, "score": 0.3333}
    ]


def test_coverage_is_told():
    assert to_wire(annotation_of(), "Ada")["coverage"] == {
        "characters": 3,
        "windows": 1,
        "truncated": True,
    }


def test_only_explain_adds_description_and_candidates():
    text, options = "Ada", AnnotateOptions(explain=True)
    (annotation,) = PIPELINE.annotate([Document(doc_id="d", text=text)], options=options)
    plain, explained = (to_wire(annotation, text, explain=each)["spans"][0] for each in (0, 1))

    assert set(explained) - set(plain) == {"description", "candidates"}
    assert explained["candidates"] == [
        {
            "entity_id": "E:Ada",
            "name": "Ada",
            "description": "the word Ada",
            "score": 1.0,
            "rank": 0,
            "source": "lexical",
        }
    ]
