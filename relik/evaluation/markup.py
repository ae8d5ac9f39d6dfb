"""HTML building blocks: escaped text, tables with captions, and a self-contained page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

# Characters that HTML cannot hold, or that would change the direction of text.
_REPLACED = {
    **{
        code: "\ufffd"
        for code in (
            *range(0x09),
            *range(0x0B, 0x20),
            *range(0x7F, 0xA0),
            *range(0x202A, 0x202F),
            *range(0x2066, 0x206A),
            *range(0xD800, 0xE000),
        )
    },
    ord("\r"): " ",
}

# The page runs no script and fetches nothing, whatever the text of a document contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --page: #ffffff;
  --line: #d5dbe3; --fill: #2f6fb3; --other: #b4540a; --gold: #d3efdc; --found: #ffe2c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ef; --soft: #9aa6b5; --page: #14181e;
  --line: #343c47; --fill: #6fb0f2; --other: #f0a35e; --gold: #1d4a30; --found: #5a3813; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p, dl, dt, caption { color: var(--soft); } dl { display: grid; gap: 0 1rem;
  grid-template-columns: max-content 1fr; } dd { margin: 0; color: var(--ink);
  overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0;
  border-bottom: 1px solid var(--line); } th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.text { min-width: 20rem; overflow-wrap: anywhere; white-space: pre-line; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); }
svg { max-width: 100%; height: auto; } svg text { fill: currentColor; font-size: 12px; }
.fill { fill: var(--fill); } .soft { fill: var(--soft); }
.axis { stroke: var(--line); fill: none; }
.whisker { stroke: var(--fill); fill: none; stroke-width: 2; }
.limit { stroke: var(--other); fill: none; stroke-width: 2; }
.dashed { stroke: var(--soft); fill: none; stroke-dasharray: 4 4; }
mark { color: inherit; background: none; border-radius: 2px; }
mark.gold { background: var(--gold); border-bottom: 2px solid var(--ink); }
mark.found { background: var(--found); outline: 1px dashed var(--other); }
mark.gold.found { background: linear-gradient(var(--gold) 50%, var(--found) 50%); }
"""


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML that needs no escaping; everything else on a page is text, and is escaped."""

    html: str


Cell: TypeAlias = str | int | float | Markup
"""Text, a number, or HTML."""


def text(value: str) -> str:
    """Escape text for use between tags and in quoted attributes; replace what HTML cannot hold."""
    return escape(value.translate(_REPLACED), quote=True)


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Write a table with a caption and a header.

    Args:
        rows: Rows of as many cells as there are columns, the first of which is the row's header.
            Floats show three digits.
    """
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{_cell_html(row[0])}</th>{"".join(map(_cell, row[1:]))}</tr>\n'
        for row in rows
    )
    return (
        f'<div class="wide"><table><caption>{text(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def figure(drawing: Markup, caption: str) -> str:
    """Write a drawing with its caption."""
    return f"<figure>{drawing.html}<figcaption>{text(caption)}</figcaption></figure>\n"


def section(heading: str, *parts: str) -> str:
    """Write a section."""
    return f"<section><h2>{text(heading)}</h2>\n{''.join(parts)}</section>\n"


def page(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[str]) -> str:
    """Write a whole page that loads nothing and runs no script."""
    terms = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>\n" for name, value in facts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{text(title)}</h1>\n<dl>\n{terms}</dl>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _cell(value: Cell) -> str:
    if isinstance(value, int | float):
        return f'<td class="number">{_cell_html(value)}</td>'
    return f"<td>{_cell_html(value)}</td>"


def _cell_html(value: Cell) -> str:
    if isinstance(value, Markup):
        return value.html
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else text(value)
