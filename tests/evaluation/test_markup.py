from collections.abc import Callable
from html import unescape
from typing import Protocol

from hypothesis import given
from hypothesis import strategies as st

from relik.evaluation.markup import Markup, figure, page, section, table, text

ATTACK = """<script>alert("x")</script><img src=x onerror='alert(1)'>&amp;"""


class Page(Protocol):
    tags: list[str]
    texts: list[str]
    attributes: list[tuple[str, str | None]]

    @property
    def text(self) -> str: ...


Read = Callable[[str], Page]


@given(value=st.text())
def test_text_is_shown_as_it_is_but_for_what_html_cannot_hold(value: str) -> None:
    written = text(value)
    assert not set(written) & set("<>\"'")
    written.encode()
    for one, other in zip(value, unescape(written), strict=True):
        assert other == one or other in "\ufffd "


def test_controls_and_marks_that_turn_text_around_are_replaced() -> None:
    assert (
        text("a\x00\x1b[31m\x85\u202e\u2066\ud800\r\tb\n")
        == "a\ufffd\ufffd[31m" + "\ufffd" * 4 + " \tb\n"
    )


def test_a_table_has_a_caption_and_headers(read_page: Read) -> None:
    rows = [["a", 1, 0.5, Markup("<b>bold</b>")], [ATTACK, 12345, 1.0, ATTACK]]
    read = read_page(table(ATTACK, ("", ATTACK, "n", "m"), rows))
    assert read.tags.count("th") == 6
    assert read.tags.count("b") == 1
    assert "img" not in read.tags
    assert read.text.count(ATTACK) == 4
    assert "12,345" in read.texts
    assert "0.500" in read.texts
    assert [value for name, value in read.attributes if name == "scope"] == ["col"] * 4 + [
        "row"
    ] * 2


def test_a_page_stands_alone_and_lets_nothing_run(read_page: Read) -> None:
    drawing = Markup('<svg role="img" aria-label="x"><path d="M0 0"/></svg>')
    parts = section(ATTACK, figure(drawing, ATTACK))
    html = page(ATTACK, [("file", ATTACK)], [parts])
    read = read_page(html)
    assert read.text.count(ATTACK) == 5
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes
    assert ("lang", "en") in read.attributes
    assert "prefers-color-scheme: dark" in html
    assert read.tags.count("h1") == 1
