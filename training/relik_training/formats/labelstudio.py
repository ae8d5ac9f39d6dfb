"""Label Studio JSON: tasks with results of type labels, choices or taxonomy, and relation.

Offsets count code points since October 2021 (pull request 1559 of Label Studio), and UTF-16 units
before. An export repeats the text of each region, which shows the unit of its offsets.
"""

from typing import Any

from relik_training.formats.annotated import Mention, Record, RecordBuilder
from relik_training.formats.conversion_report import Report
from relik_training.formats.json_format import JsonFormat
from relik_training.formats.offsets import CODE_POINTS, in_code_points
from relik_training.formats.spert import UNTYPED

_LABELS = ("labels", "hypertextlabels")
_IDS = ("choices", "taxonomy")
# Relation of an arrow without a label.
_UNLABELLED = "related"


def _record(task: dict[str, Any], fallback_id: str, report: Report) -> Record:
    data = task["data"]
    texts = [value for value in data.values() if isinstance(value, str)]
    text = data["text"] if "text" in data or len(texts) != 1 else texts[0]
    doc_id = str(data.get("doc_id", task.get("id", fallback_id)))
    builder = RecordBuilder(doc_id, text, report)
    results = _results(task, report)
    regions = _regions(results)
    claims = [_claim(value, text) for value in regions.values()]
    unit, spans = in_code_points(text, claims)
    if unit != CODE_POINTS:
        report.note(f"documents whose offsets count {unit}, converted")
    for (key, value), (start, end), claim in zip(regions.items(), spans, claims, strict=True):
        kind = next((value[name][0] for name in _LABELS if value.get(name)), None)
        mention = Mention(
            start=start,
            end=end,
            entity_id=_entity_id(value),
            extra={"type": str(kind)} if kind else {},
        )
        builder.mention(key, mention, claim[2])
    for relation in results:
        if relation.get("type") == "relation":
            _relate(builder, relation)
    return builder.build()


def _results(task: dict[str, Any], report: Report) -> list[dict[str, Any]]:
    annotations = task.get("annotations", task.get("completions", ()))
    valid = [each for each in annotations if not each.get("was_cancelled")]
    if len(valid) > 1:
        report.note("tasks with several annotations, of which the first was taken")
    return list(valid[0]["result"]) if valid else []


def _regions(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Join the results of each region: one has its labels, another its choices."""
    regions: dict[str, dict[str, Any]] = {}
    for result in results:
        value = result.get("value", {})
        if result.get("type") in (*_LABELS, *_IDS) and "start" in value:
            regions.setdefault(str(result["id"]), {}).update(value)
    return regions


def _claim(value: dict[str, Any], text: str) -> tuple[int, int, str | None]:
    # Offsets of an HTML region are relative to an XPath; globalOffsets are relative to the text.
    offsets = value.get("globalOffsets", value)
    surface = value.get("text")
    if not isinstance(surface, str):
        return offsets["start"], offsets["end"], None
    # Label Studio escapes the line ends of a region as a backslash and an n.
    surface = surface if "\\n" in text else surface.replace("\\n", "\n")
    return offsets["start"], offsets["end"], surface


def _entity_id(value: dict[str, Any]) -> str | None:
    if value.get("choices"):
        return str(value["choices"][0])
    return str(value["taxonomy"][0][-1]) if value.get("taxonomy") else None


def _relate(builder: RecordBuilder, relation: dict[str, Any]) -> None:
    source, target = str(relation["from_id"]), str(relation["to_id"])
    direction = relation.get("direction", "right")
    for label in relation.get("labels") or (_UNLABELLED,):
        if direction in ("right", "bi"):
            builder.triple(source, label, target)
        if direction in ("left", "bi"):
            builder.triple(target, label, source)


def _task(record: Record) -> dict[str, object]:
    results: list[dict[str, object]] = []
    for number, mention in enumerate(record.mentions):
        offsets = {
            "start": mention.start,
            "end": mention.end,
            "text": record.surface(mention),
        }
        region = {"id": f"span{number}", "to_name": "text"}
        labels = {**offsets, "labels": [mention.text("type", UNTYPED)]}
        results.append({**region, "from_name": "label", "type": "labels", "value": labels})
        if mention.entity_id is not None:
            taxonomy = {**offsets, "taxonomy": [[mention.entity_id]]}
            results.append({**region, "from_name": "entity", "type": "taxonomy", "value": taxonomy})
    results.extend(
        {
            "type": "relation",
            "from_id": f"span{subject}",
            "to_id": f"span{object_}",
            "direction": "right",
            "labels": [relation],
        }
        for subject, relation, object_ in record.triples
    )
    return {
        "data": {"text": record.text, "doc_id": record.doc_id},
        "annotations": [{"result": results}],
    }


LABEL_STUDIO = JsonFormat(
    loses="clusters, other fields; spans without a type get the label Entity",
    shape='{"data": {"text"}, "annotations": [{"result": [{"id", "type": "labels", "value"}]}]}',
    record=_record,
    row=_task,
    array=True,
)
"""One JSON array of tasks; labels are types, choices or a taxonomy of a region are ids."""
