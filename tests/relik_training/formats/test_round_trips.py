"""What a format can hold comes back from it as it was."""

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relik_training.formats.annotated import Mention, Record
from relik_training.formats.conversion_report import Report
from relik_training.formats.table import FORMATS, format_named

# Words with emoji, a family joined by U+200D, combining marks, right-to-left, and Chinese.
WORDS = (
    *("Ann", "Bob", "U.S.", "(x),", "...", "\\u00e9", '"', "-DOCSTART-", "a_b", "%20", "<b>"),
    *("\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "e\u0301t\u00e9"),
    *("\u0634\u0627\u0645", "\u05e9\u05dc\u05d5\u05dd", "\u5317\u4eac"),
)
GAPS = (" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u2028", "", ", ")
IDS = ("Q84", "http://example.org/a b", "London", "enwiki:A_b", "G\u00f6teborg", "2643743", "urn:x")
TYPES = ("PER", "LOC", "x y")
Row = tuple[object, ...]


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)), min_size=1))
    return draw(st.sampled_from(("", " ", "\n"))) + "".join(word + gap for word, gap in parts)


@st.composite
def records(draw: st.DrawFn, doc_id: str = "d 1") -> Record:
    text = draw(texts())
    edges = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(edges, edges), max_size=5))
    mentions = []
    for first, second in spans:
        start, end = sorted((first, second))
        extra: dict[str, object] = {}
        if draw(st.booleans()):
            extra["type"] = draw(st.sampled_from(TYPES))
        if start < end:
            entity_id = draw(st.none() | st.sampled_from(IDS))
            mentions.append(Mention(start=start, end=end, entity_id=entity_id, extra=extra))
    triples = []
    if mentions:
        ends = st.integers(0, len(mentions) - 1)
        stated = st.tuples(ends, st.sampled_from(("r 1", "P17")), ends)
        triples = draw(st.lists(stated, max_size=3, unique=True))
    return Record(doc_id=doc_id, text=text, mentions=tuple(mentions), triples=tuple(triples))


def back(name: str, documents: Iterable[Record], suffix: str = "") -> tuple[list[Record], Report]:
    """Write documents and read them again."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        format_named(name).write(documents, path)
        return list(format_named(name).read(path, report)), report


def kept(name: str, documents: Iterable[Record]) -> list[Record]:
    found = (format_named(name).keep(document, Report()) for document in documents)
    return [document for document in found if document is not None]


def places(record: Record) -> list[Row]:
    return sorted((m.start, m.end) for m in record.mentions)


def ids(record: Record) -> list[Row]:
    return sorted((m.start, m.end, m.entity_id or "") for m in record.mentions)


def types(record: Record) -> list[Row]:
    return sorted((m.start, m.end, m.text("type", "Entity")) for m in record.mentions)


def triples(record: Record) -> list[Row]:
    spans = [(m.start, m.end) for m in record.mentions]
    return sorted((spans[s], relation, spans[o]) for s, relation, o in record.triples)


HELD: dict[str, tuple[Callable[[Record], list[Row]], ...]] = {
    "blink": (ids,),
    "docbin": (ids, types),
    "doccano": (ids, types, triples),
    "docred": (places, triples),
    "kilt": (ids,),
    "labelstudio": (ids, types, triples),
    "nif": (ids,),
    "relik": (ids, types, triples),
    "scierc": (types, triples),
    "spert": (types, triples),
}
NEEDS = {"docbin": "spacy", "nif": "rdflib"}


def test_every_format_that_keeps_offsets_is_here() -> None:
    assert set(FORMATS) - set(HELD) == {"aida", "nyt", "webnlg"}


@pytest.mark.parametrize("name", HELD)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_texts_offsets_and_what_is_held_come_back(name: str, data: st.DataObject) -> None:
    pytest.importorskip(NEEDS.get(name, "json"))
    documents = [data.draw(records(doc_id=doc_id)) for doc_id in ("d 1", "d/\U0001f600")]
    sent = kept(name, documents)
    received, report = back(name, sent)
    assert report.dropped == 0
    assert [each.doc_id for each in received] == [each.doc_id for each in sent]
    assert [each.text for each in received] == [each.text for each in sent]
    for held in HELD[name]:
        assert [held(each) for each in received] == [held(each) for each in sent]


@settings(max_examples=40, deadline=None)
@given(records())
def test_aida_keeps_tokens_and_titles(document: Record) -> None:
    mentions = tuple(
        replace(m, extra={**m.extra, "title": m.entity_id}) if m.entity_id == "G\u00f6teborg" else m
        for m in document.mentions
    )
    for sent in kept("aida", [replace(document, mentions=mentions)]):
        ((received,), report) = back("aida", [sent])
        assert report.dropped == 0
        assert "".join(received.text.split()) == "".join(sent.text.split())
        assert [squeezed(received, m) for m in received.mentions] == sorted(
            squeezed(sent, m) for m in sent.mentions
        )
        assert kept("aida", [received]) == [received]
        assert back("aida", [received])[0] == [received]


def squeezed(record: Record, mention: Mention) -> Row:
    """Give a mention by the characters before it that are no white space."""
    before = "".join(record.text[: mention.start].split())
    surface = "".join(record.surface(mention).split())
    return len(before), surface, mention.entity_id or "", mention.text("title")


@settings(max_examples=40, deadline=None)
@given(records())
def test_nyt_keeps_texts_of_spans_and_triples(document: Record) -> None:
    ((received,), report) = back("nyt", kept("nyt", [document]))
    assert report.dropped == 0
    assert received.text == document.text
    assert {received.surface(m) for m in received.mentions} == {
        document.surface(m) for m in document.mentions
    }
    assert said(received) == said(document)


def said(record: Record) -> set[Row]:
    return {
        (record.surface(record.mentions[s]), relation, record.surface(record.mentions[o]))
        for s, relation, o in record.triples
    }


@settings(max_examples=40, deadline=None)
@given(records())
def test_webnlg_finds_what_it_finds_where_it_is_written(document: Record) -> None:
    plain = tuple(replace(m, entity_id=None) for m in document.mentions)
    for sent in kept("webnlg", [replace(document, mentions=plain)]):
        ((received,), _) = back("webnlg", [sent])
        assert received.text == sent.text
        assert {relation for _, relation, _ in said(received)} <= {r for _, r, _ in said(sent)}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_gzip_if_its_name_says_so_and_always_the_same(name: str) -> None:
    pytest.importorskip(NEEDS.get(name, "json"))
    document = Record(
        doc_id="d",
        text="Ann met Bob .",
        mentions=(Mention(start=0, end=3, extra={"type": "PER"}), Mention(start=8, end=11)),
        triples=((0, "met", 1),),
    )
    sent = kept(name, [document])
    assert back(name, sent, ".gz")[0] == back(name, sent)[0]
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for file in ("one.gz", "other.gz"):
            format_named(name).write(sent, Path(folder) / file)
            made.append((Path(folder) / file).read_bytes())
        assert made[0] == made[1]
        assert made[0][:2] == b"\x1f\x8b"


def test_our_own_shape_keeps_fields_clusters_and_extras() -> None:
    row = {
        "doc_id": "d",
        "title": "T",
        "text": "Ann, she",
        "spans": [[0, 3, "Q1", "Ann", {"cluster": 0}], [5, 8, None, "she", {"cluster": 0}]],
        "triples": [[0, "r", 1]],
        "clusters": [[0, 1]],
    }
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "a", Path(folder) / "b"
        first.write_text(json.dumps(row))
        format_named("relik").write(format_named("relik").read(first, Report()), second)
        assert json.loads(second.read_text()) == row


@pytest.mark.parametrize("name", ["scierc", "docred"])
def test_clusters_and_lines_come_back(name: str) -> None:
    document = Record(
        doc_id="d",
        text="Ann met Bob\nShe ran .",
        mentions=tuple(Mention(start=s, end=e) for s, e in ((0, 3), (8, 11), (12, 15))),
        clusters=((0, 2), (1,)),
    )
    ((received,), _) = back(name, kept(name, [document]))
    spans = [(m.start, m.end) for m in received.mentions]
    groups = [sorted(spans[i] for i in group) for group in received.clusters or ()]
    assert groups == [[(0, 3), (12, 15)], [(8, 11)]]
    assert received.text == document.text
