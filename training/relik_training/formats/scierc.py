"""SciERC and DyGIE JSON Lines: sentences of tokens, entities, relations and coreference."""

from collections.abc import Iterable
from typing import Any

from relik_training.formats.annotated import Mention, Record, RecordBuilder
from relik_training.formats.conversion_report import Report
from relik_training.formats.json_format import JsonFormat
from relik_training.formats.spert import UNTYPED
from relik_training.formats.tokens import TEXT_KEY, cut, in_tokens, join, sentences


def _record(row: dict[str, Any], fallback_id: str, report: Report) -> Record:
    text, tokens = join(row["sentences"], row.get(TEXT_KEY))
    builder = RecordBuilder(str(row.get("doc_key", fallback_id)), text, report)
    clusters = [[(first, last) for first, last in group] for group in row.get("clusters", ())]
    cluster_of = {key: number for number, group in enumerate(clusters) for key in group}
    known = set()
    for first, last, kind in _flat(row.get("ner", ())):
        known.add((first, last))
        if not 0 <= first <= last < len(tokens.texts):
            builder.drop("span outside the tokens", (first, last))
            continue
        extra: dict[str, object] = {"type": str(kind)}
        if (first, last) in cluster_of:
            extra["cluster"] = cluster_of[first, last]
        start, end = tokens.offsets[first][0], tokens.offsets[last][1]
        builder.mention((first, last), Mention(start=start, end=end, extra=extra))
    for first, last, other_first, other_last, relation in _flat(row.get("relations", ())):
        builder.triple((first, last), relation, (other_first, other_last))
    for key in cluster_of:
        if key not in known:
            builder.drop("span of a cluster that is no entity", key)
    return builder.build(None, clusters if "clusters" in row else None)


def _flat(per_sentence: Iterable[Iterable[Any]]) -> list[Any]:
    return [each for sentence in per_sentence for each in sentence]


def _row(record: Record) -> dict[str, object]:
    tokens = cut(record)
    spans = [tokens.span(mention.start, mention.end) for mention in record.mentions]
    related = [
        (min(spans[s][0], spans[o][0]), max(spans[s][1], spans[o][1])) for s, _, o in record.triples
    ]
    bounds = sentences(record.text, tokens, [*spans, *related])
    ner = [
        [
            [first, end - 1, mention.text("type", UNTYPED)]
            for (first, end), mention in zip(spans, record.mentions, strict=True)
            if begin <= first < stop
        ]
        for begin, stop in bounds
    ]
    relations = [
        [
            [spans[s][0], spans[s][1] - 1, spans[o][0], spans[o][1] - 1, relation]
            for s, relation, o in record.triples
            if begin <= spans[s][0] < stop
        ]
        for begin, stop in bounds
    ]
    row: dict[str, object] = {
        "doc_key": record.doc_id,
        "sentences": [list(tokens.texts[begin:stop]) for begin, stop in bounds],
        "ner": ner,
        "relations": relations,
        TEXT_KEY: record.text,
    }
    if record.clusters is not None:
        row["clusters"] = [
            [[spans[i][0], spans[i][1] - 1] for i in group] for group in record.clusters
        ]
    return row


SCIERC = JsonFormat(
    loses=(
        "ids, other fields, which of several identical spans a triple or a cluster refers to; "
        "spans without a type get the type Entity"
    ),
    shape='{"doc_key", "sentences": [[token]], "ner": [[[first, last, type]]], "relations"?}',
    record=_record,
    row=_row,
    kept=in_tokens,
)
"""Lines of documents; offsets count tokens of the document, and the end is inclusive."""
