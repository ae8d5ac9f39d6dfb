"""What docs/data.md says of the formats holds."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relik_training.formats.table import FORMATS

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
FORMAT_TABLE, _, EXAMPLES = PAGE.partition("## One example each")
IN_JSON = dict(re.findall(r"^\| `(\w+)` \| `([\[{].*[\]}])` \|$", EXAMPLES, flags=re.MULTILINE))


def test_every_format_has_its_rows() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", FORMAT_TABLE, flags=re.MULTILINE)) == set(FORMATS)
    listed = set(re.findall(r"^\| `(\w+)` \|", EXAMPLES, flags=re.MULTILINE))
    assert listed == set(FORMATS) - {"relik"}


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"relik", "aida", "nif", "docbin"}))
def test_an_example_is_read_without_loss(name: str, read: "Read") -> None:
    done = read(name, IN_JSON[name])
    assert done.report["dropped"] == {}
    assert done.rows[0]["spans"]


def test_the_shape_that_is_shown_is_ours(read: "Read") -> None:
    shown = re.search(r"```json\n(.*?)\n```", PAGE, flags=re.DOTALL)
    assert shown
    done = read("relik", shown.group(1))
    assert (done.report["dropped"], done.report["triples"]) == ({}, 1)


def test_the_example_of_aida_is_read(read: "Read") -> None:
    shown = re.search(r"`(London\u21e5.*?)`", EXAMPLES)
    assert shown
    line = shown.group(1).replace("\u21e5", "\t")
    done = read("aida", f"-DOCSTART- (1 EU)\n{line}\n")
    assert done.rows[0]["spans"][0][2:4] == ["London", "London"]


def test_the_example_of_nif_is_read(read: "Read") -> None:
    pytest.importorskip("rdflib")
    shown = re.search(r"^\| `nif` \| `(.*)` \|$", EXAMPLES, flags=re.MULTILINE)
    assert shown
    prefixes = (
        "@prefix nif: <http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#> .\n"
        "@prefix itsrdf: <http://www.w3.org/2005/11/its/rdf#> .\n@base <http://example.org/> .\n"
    )
    assert read("nif", prefixes + shown.group(1)).rows[0]["spans"] == [[0, 6, "Q84", "London"]]
