"""DocRED and Re-DocRED JSON: sentences of tokens, clusters of mentions, relations of clusters."""

from itertools import product
from typing import Any

from relik_training.formats.annotated import Mention, Record, RecordBuilder
from relik_training.formats.conversion_report import Report
from relik_training.formats.json_format import JsonFormat
from relik_training.formats.tokens import TEXT_KEY, Tokens, cut, in_tokens, join, sentences

_UNTYPED = "MISC"
_DOC_ID = "_doc_id"


def _record(row: dict[str, Any], _fallback_id: str, report: Report) -> Record:
    text, tokens = join(row["sents"], row.get(TEXT_KEY))
    builder = RecordBuilder(str(row.get(_DOC_ID, row["title"])), text, report)
    begins = [0]
    for sentence in row["sents"]:
        begins.append(begins[-1] + len(sentence))
    clusters = []
    first_token: dict[tuple[int, int], int] = {}
    for number, vertex in enumerate(row["vertexSet"]):
        keys = []
        for position, mention in enumerate(vertex):
            key = (number, position)
            if _add(builder, key, mention, begins, tokens):
                keys.append(key)
                first_token[key] = begins[mention["sent_id"]] + mention["pos"][0]
        clusters.append(keys)
    entities = dict(enumerate(clusters))
    for label in row.get("labels") or ():
        pairs = list(product(entities[label["h"]], entities[label["t"]]))
        # A mention is related to itself only if its entity has no other mention.
        distinct = [(head, tail) for head, tail in pairs if head != tail] or pairs
        closest = min(
            distinct,
            key=lambda pair: abs(first_token[pair[0]] - first_token[pair[1]]),
            default=(None, None),
        )
        builder.triple(closest[0], str(label["r"]), closest[1])
    return builder.build({"title": str(row["title"])}, clusters)


def _add(
    builder: RecordBuilder,
    key: tuple[int, int],
    mention: dict[str, Any],
    begins: list[int],
    tokens: Tokens,
) -> bool:
    sentence, (first, end) = mention["sent_id"], mention["pos"]
    if not (
        0 <= sentence < len(begins) - 1
        and 0 <= first < end <= begins[sentence + 1] - begins[sentence]
    ):
        builder.drop("span outside the tokens", (first, end))
        return False
    start = tokens.offsets[begins[sentence] + first][0]
    stop = tokens.offsets[begins[sentence] + end - 1][1]
    extra = {"type": str(mention.get("type", _UNTYPED)), "cluster": key[0]}
    builder.mention(key, Mention(start=start, end=stop, extra=extra))
    return start < stop


def _row(record: Record) -> dict[str, object]:
    tokens = cut(record)
    spans = [tokens.span(mention.start, mention.end) for mention in record.mentions]
    bounds = sentences(record.text, tokens, spans)
    clusters = _clusters(record)
    cluster_of = {i: number for number, group in enumerate(clusters) for i in group}
    vertices = []
    for group in clusters:
        vertex = []
        for i in group:
            number = max(n for n, (begin, _) in enumerate(bounds) if begin <= spans[i][0])
            begin = bounds[number][0]
            vertex.append(
                {
                    "name": record.surface(record.mentions[i]),
                    "sent_id": number,
                    "pos": [spans[i][0] - begin, spans[i][1] - begin],
                    "type": record.mentions[i].text("type", _UNTYPED),
                }
            )
        vertices.append(vertex)
    labels = dict.fromkeys(
        (cluster_of[s], relation, cluster_of[o]) for s, relation, o in record.triples
    )
    title = record.fields.get("title")
    return {
        "title": title if isinstance(title, str) and title else record.doc_id,
        "sents": [list(tokens.texts[begin:end]) for begin, end in bounds],
        "vertexSet": vertices,
        "labels": [{"h": h, "r": relation, "t": t, "evidence": []} for h, relation, t in labels],
        _DOC_ID: record.doc_id,
        TEXT_KEY: record.text,
    }


def _clusters(record: Record) -> list[list[int]]:
    """Return the clusters of the record, and one more for each mention without a cluster."""
    groups: list[list[int]] = []
    placed: set[int] = set()
    for group in record.clusters or ():
        members = [i for i in group if i not in placed]
        placed.update(members)
        if members:
            groups.append(members)
    groups.extend([i] for i in range(len(record.mentions)) if i not in placed)
    return groups


DOCRED = JsonFormat(
    loses="ids, other fields, which mentions a triple names; spans without a type get MISC",
    shape=(
        '{"title", "sents", "vertexSet": [[{"sent_id", "pos", "type"}]], '
        '"labels": [{"h", "r", "t"}]}'
    ),
    record=_record,
    row=_row,
    kept=in_tokens,
    array=True,
)
"""One JSON array; a triple relates entities, each a cluster of mentions."""
