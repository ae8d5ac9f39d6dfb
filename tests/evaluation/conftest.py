"""Reads pages as a browser would, and finds what a page of ours must not have."""

from collections.abc import Callable
from html.parser import HTMLParser

import pytest

VOID = {"meta"}
FETCHING = {"src", "href", "xlink:href", "srcset", "action", "data", "poster"}


class ReadPage(HTMLParser):
    """Elements and text of a page whose elements all end where they should."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        """All text but that of the style sheet."""
        return "".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self._open
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            assert "url(" not in data
            assert "@import" not in data
        else:
            self.texts.append(data)


@pytest.fixture
def read_page() -> Callable[[str], ReadPage]:
    """Parse HTML; refuse what would run or be fetched, and tables that say not what they are."""

    def read(html: str) -> ReadPage:
        page = ReadPage(html)
        assert "script" not in page.tags
        names = {name for name, _ in page.attributes}
        assert not names & FETCHING
        assert not {name for name in names if name.startswith("on")}
        assert page.tags.count("caption") == page.tags.count("table")
        drawn = sum(pair in (("role", "img"), ("aria-hidden", "true")) for pair in page.attributes)
        assert drawn == page.tags.count("svg")
        return page

    return read
