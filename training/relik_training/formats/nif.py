"""NIF 2.0 in Turtle, the format of GERBIL and its data sets; parsed by rdflib."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from relik.errors import InputError
from relik_training.formats.addresses import address_of, named
from relik_training.formats.annotated import (
    Mention,
    Record,
    RecordBuilder,
    select,
    without_triples,
)
from relik_training.formats.conversion_report import Report
from relik_training.formats.extras import import_optional
from relik_training.formats.offsets import CODE_POINTS, in_code_points
from relik_training.formats.streams import expecting, read_text, written

_NIF = "http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#"
_IDENTITY = "http://www.w3.org/2005/11/its/rdf#taIdentRef"
_NAME = "http://purl.org/dc/terms/identifier"
_DOCUMENT = "urn:relik:document:"


class Nif:
    """Contexts with their text, and phrases with offsets and the address of their entity."""

    loses = "triples, types, clusters, other fields, a second span at the same place"

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read contexts in the order of their addresses; the whole file is held in memory."""
        rdflib = import_optional("rdflib", "nif")
        graph = _parsed(rdflib, path, report)
        terms = _Terms(rdflib)
        of_context: dict[Any, list[Any]] = {}
        for phrase, context in graph.subject_objects(terms.context):
            if phrase != context and _is_mention(graph, terms, phrase):
                of_context.setdefault(context, []).append(phrase)
        contexts = sorted(graph.subject_objects(terms.text), key=lambda pair: str(pair[0]))
        for number, (context, text) in enumerate(contexts, start=1):
            report.progress(number, len(contexts))
            with expecting(f"{path}, {context}", "phrases with nif:beginIndex and nif:endIndex"):
                name = graph.value(context, terms.name)
                doc_id = str(context).partition("#")[0] if name is None else str(name)
                claims = _claims(graph, terms, of_context.get(context, []))
                record = _record(doc_id, str(text), claims, report)
            yield record

    def keep(self, record: Record, report: Report) -> Record | None:
        """Drop triples, and all but the first mention of each span."""
        record = without_triples(record, report, "nif holds no triples")
        spans: set[tuple[int, int]] = set()
        kept = []
        for mention in record.mentions:
            span = mention.span
            kept.append(span not in spans)
            if span in spans:
                report.drop("second span at the same place", doc_id=record.doc_id, span=span)
            spans.add(span)
        return select(record, kept, report)

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write Turtle, one statement per line; offsets count code points, as NIF defines them."""
        rdflib = import_optional("rdflib", "nif")
        terms = _Terms(rdflib)
        with written(path) as out:
            for number, record in enumerate(records):
                graph = rdflib.Graph()
                for statement in _statements(rdflib, terms, record, number):
                    graph.add(statement)
                lines = graph.serialize(format="nt", encoding="utf-8").split(b"\n")
                out.write(b"\n".join(sorted(line for line in lines if line)) + b"\n")


class _Terms:
    """The terms of NIF that are read and written."""

    def __init__(self, rdflib: Any) -> None:
        self.kind = rdflib.RDF.type
        self.a_context = rdflib.URIRef(f"{_NIF}Context")
        self.mentions = {rdflib.URIRef(_NIF + name) for name in ("Phrase", "EntityOccurrence")}
        self.phrase = rdflib.URIRef(f"{_NIF}Phrase")
        self.context = rdflib.URIRef(f"{_NIF}referenceContext")
        self.text = rdflib.URIRef(f"{_NIF}isString")
        self.begin = rdflib.URIRef(f"{_NIF}beginIndex")
        self.end = rdflib.URIRef(f"{_NIF}endIndex")
        self.surface = rdflib.URIRef(f"{_NIF}anchorOf")
        self.identity = rdflib.URIRef(_IDENTITY)
        self.name = rdflib.URIRef(_NAME)


def _parsed(rdflib: Any, path: Path, report: Report) -> Any:
    syntax = import_optional("rdflib.plugins.parsers.notation3", "nif")
    text = read_text(path, report)
    try:
        return rdflib.Graph().parse(data=text, format="turtle")
    except syntax.BadSyntax as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}, line {error.lines + 1}: is not Turtle ({reason[:200]}): give NIF 2.0 "
            "in Turtle"
        ) from error


def _is_mention(graph: Any, terms: _Terms, phrase: Any) -> bool:
    if graph.value(phrase, terms.identity) is not None:
        return True
    return not terms.mentions.isdisjoint(graph.objects(phrase, terms.kind))


def _claims(
    graph: Any, terms: _Terms, phrases: list[Any]
) -> list[tuple[int, int, str | None, tuple[str, ...]]]:
    claims = []
    for phrase in phrases:
        surface = graph.value(phrase, terms.surface)
        addresses = sorted(str(each) for each in graph.objects(phrase, terms.identity))
        start, end = (int(str(graph.value(phrase, edge))) for edge in (terms.begin, terms.end))
        claims.append((start, end, None if surface is None else str(surface), tuple(addresses)))
    return sorted(claims, key=lambda claim: (claim[0], claim[1], claim[3]))


def _record(
    doc_id: str,
    text: str,
    claims: list[tuple[int, int, str | None, tuple[str, ...]]],
    report: Report,
) -> Record:
    builder = RecordBuilder(doc_id, text, report)
    unit, spans = in_code_points(text, [claim[:3] for claim in claims])
    if unit != CODE_POINTS:
        report.note(f"documents whose offsets count {unit}, converted")
    for number, ((start, end), claim) in enumerate(zip(spans, claims, strict=True)):
        entity_id, extra = named(claim[3])
        mention = Mention(start=start, end=end, entity_id=entity_id, extra=extra)
        builder.mention(number, mention, claim[2])
    return builder.build()


def _statements(
    rdflib: Any, terms: _Terms, record: Record, number: int
) -> Iterator[tuple[Any, Any, Any]]:
    def offset(value: int) -> Any:
        return rdflib.Literal(value, datatype=rdflib.XSD.nonNegativeInteger)

    base = f"{_DOCUMENT}{number:09d}"
    context = rdflib.URIRef(f"{base}#char=0,{len(record.text)}")
    yield context, terms.kind, terms.a_context
    yield context, terms.name, rdflib.Literal(record.doc_id)
    yield context, terms.text, rdflib.Literal(record.text)
    yield context, terms.begin, offset(0)
    yield context, terms.end, offset(len(record.text))
    for mention in record.mentions:
        # A mention of the whole text would have the address of its context.
        phrase = rdflib.URIRef(f"{base}#mention={mention.start},{mention.end}")
        yield phrase, terms.kind, terms.phrase
        yield phrase, terms.context, context
        yield phrase, terms.begin, offset(mention.start)
        yield phrase, terms.end, offset(mention.end)
        yield phrase, terms.surface, rdflib.Literal(record.surface(mention))
        if mention.entity_id is not None:
            yield phrase, terms.identity, rdflib.URIRef(address_of(mention))
