"""Annotated documents on a terminal: text with coloured mentions, and tables below it."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

WireDocument: TypeAlias = Mapping[str, object]
_Record: TypeAlias = Mapping[str, object]

# Control characters and surrogates become one character each, so that offsets stay right.
_UNPRINTABLE = {
    **{code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))},
    ord("\t"): "\t",
    ord("\n"): "\n",
    ord("\r"): " ",
}
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")


def render(document: WireDocument, text: str) -> RenderableType:
    """Lay out a document: coloured text, then a table of entities and a table of triples."""
    spans = cast(Sequence[_Record], document["spans"])
    triples = cast(Sequence[_Record], document["triples"])
    colours = _colours(spans)
    parts: list[RenderableType] = [_colour_text(text, spans, colours)]
    if spans:
        parts.append(_entity_table(spans, colours))
    if triples:
        parts.append(_triple_table(spans, triples, colours))
    if cast(_Record, document["coverage"])["truncated"]:
        parts.append(Text("Part of the text was not read.", style="bold red"))
    return Group(*parts, "")


def _colours(spans: Sequence[_Record]) -> list[str]:
    """Return a colour for each mention: one colour per entity, a dim one for NIL."""
    of_entity: dict[object, str] = {}
    styles = []
    for span in spans:
        entity_id = span["entity_id"]
        if entity_id is None:
            styles.append("dim")
        else:
            fresh = _COLOURS[len(of_entity) % len(_COLOURS)]
            styles.append(of_entity.setdefault(entity_id, fresh))
    return styles


def _colour_text(text: str, spans: Sequence[_Record], colours: Sequence[str]) -> Text:
    shown = _printable(text)
    for span, colour in zip(spans, colours, strict=True):
        style = colour if colour == "dim" else f"bold {colour}"
        shown.stylize(f"{style} underline", cast(int, span["start"]), cast(int, span["end"]))
    return shown


def _entity_table(spans: Sequence[_Record], colours: Sequence[str]) -> Table:
    explained = any("description" in span for span in spans)
    table = _new_table(
        "Mention", "Entity", "Name", *(["Description"] if explained else []), "Score"
    )
    for span, colour in zip(spans, colours, strict=True):
        cells: list[RenderableType] = [
            _printable(str(span["text"]), colour),
            _printable(str(span["entity_id"] or "NIL")),
            _printable(str(span["name"] or "")),
            *([_printable(str(span.get("description") or ""))] if explained else []),
            f"{span['score']:.2f}",
        ]
        table.add_row(*cells, style="dim" if colour == "dim" else None)
    return table


def _triple_table(
    spans: Sequence[_Record], triples: Sequence[_Record], colours: Sequence[str]
) -> Table:
    table = _new_table("Subject", "Relation", "Object", "Score")
    for triple in triples:
        subject, object_ = cast(int, triple["subject"]), cast(int, triple["object"])
        table.add_row(
            _printable(str(spans[subject]["text"]), colours[subject]),
            _printable(f"{triple['relation'] or ''} ({triple['relation_id']})".lstrip()),
            _printable(str(spans[object_]["text"]), colours[object_]),
            f"{triple['score']:.2f}",
        )
    return table


def _printable(text: str, style: str = "") -> Text:
    return Text(text.translate(_UNPRINTABLE), style=style)


def _new_table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column == "Score" else "left")
    return table
