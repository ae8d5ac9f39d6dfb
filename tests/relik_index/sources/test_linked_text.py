"""Surface forms of linked text."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from relik.errors import InputError
from relik.kb import KnowledgeBase
from relik.names.trie import CASED, PARTIAL, PRIMARY, NameMatch
from relik.testing import HashEncoder
from relik_index import BuildOptions, build_index
from relik_index.names.enrich import Enricher, KnownNames
from relik_index.sources.json_lines import WHOLE
from relik_index.sources.linked_text import count_surfaces, trusted

Build = Callable[..., Path]


def _texts(path: Path, *rows: tuple[str, str | None]) -> Path:
    lines = []
    for surface, entity_id in rows:
        span = [4, 4 + len(surface), entity_id, surface]
        lines.append(json.dumps({"text": f"See {surface}.", "spans": [span]}))
    path.write_text("\n".join(lines))
    return path


def test_links_are_counted_by_id_and_surface_form(tmp_path: Path) -> None:
    one = _texts(tmp_path / "one.jsonl", ("Rome", "Q1"), ("Rome", "Q1"), ("Rome", None))
    other = _texts(tmp_path / "two.jsonl", ("the city", "Q1"), ("Rome", "Q2"))
    assert count_surfaces([one, other]) == {"Q1": {"Rome": 2, "the city": 1}, "Q2": {"Rome": 1}}


def test_no_texts_give_no_surface_forms() -> None:
    assert count_surfaces([]) == {}


def test_texts_without_a_link_are_refused(tmp_path: Path) -> None:
    path = _texts(tmp_path / "one.jsonl", ("Rome", None))
    with pytest.raises(InputError, match="got no mention with an id"):
        count_surfaces([path])


def test_a_span_that_is_not_its_surface_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"text": "Rome", "spans": [[0, 2, "Q1", "Rome"]]}')
    with pytest.raises(InputError, match=r"line 1: is not a gold document"):
        count_surfaces([path])


def test_what_was_seen_once_is_trusted_where_it_shares_a_word_with_a_name() -> None:
    seen = {"it": 1, "old Rome": 1, "Roma": 2, "x" * 61: 9, "Rome": 5}
    kept = trusted(seen, ("Rome", "Urbs"))
    assert list(kept.items()) == [("Rome", 5), ("Roma", 2), ("old Rome", 1)]


def test_counts_of_linked_text_are_added_to_those_of_the_source(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    source = tmp_path / "kb.jsonl"
    source.write_text(
        '{"id": "Q1", "name": "Rome", "surfaces": {"Rome": 3}}\n{"id": "Q2", "name": "Ostia"}\n'
    )
    texts = _texts(
        tmp_path / "t.jsonl", ("Rome", "Q1"), ("the city", "Q1"), ("the city", "Q1"), ("it", "Q2")
    )
    enricher = Enricher(linked=count_surfaces([texts]))
    options = BuildOptions(enrich=enricher.enriched)
    out = tmp_path / "out"
    build_index(source, out, encoder=HashEncoder(8), tokenizer=tokenizer, options=options)
    kb = KnowledgeBase.open(out, verify=True)
    assert kb.names.lookup("rome") == [NameMatch(0, 4, WHOLE | CASED | PRIMARY)]
    assert kb.names.lookup("the city") == [NameMatch(0, 2, WHOLE)]
    # Seen once and like none of its names, it is at most a part of one.
    assert kb.names.lookup("it") == [NameMatch(1, 0, PARTIAL)]
    assert [kb.count(0), kb.count(1)] == [6, 0]
    assert enricher.n_linked == 4  # two records, once for records and once for names


def test_counts_of_linked_text_go_before_those_of_the_bundle(
    build: Build, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    known = KnownNames(build([{"id": "Q1", "name": "Rome", "surfaces": {"Rome": 7, "Roma": 3}}]))
    source = tmp_path / "mine.jsonl"
    source.write_text('{"id": "Q1", "name": "Rome"}\n')
    texts = _texts(tmp_path / "t.jsonl", ("Rome", "Q1"))
    enricher = Enricher(known=known, linked=count_surfaces([texts]))
    options = BuildOptions(enrich=enricher.enriched)
    out = tmp_path / "out"
    build_index(source, out, encoder=HashEncoder(8), tokenizer=tokenizer, options=options)
    kb = KnowledgeBase.open(out)
    assert kb.names.lookup("rome") == [NameMatch(0, 1, WHOLE | CASED | PRIMARY)]
    assert kb.names.lookup("roma") == [NameMatch(0, 0, WHOLE | CASED)]
