"""Whole names around mentions: proposed where the text has them, kept where they are linked so."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.bundle import Bundle
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.layout import LAYOUT
from relik.names.trie import PRIMARY, NameMatch
from relik.reader.decode import NIL_CLASS, DecodedSpan, ProposedSpan
from relik.reader.inputs import (
    MarkerLayout,
    Row,
    build_input,
    candidate_rows,
    place_mention,
    tokenise_text,
)
from relik.reader.open_reader import open_reader
from relik.reader.rules.whole_names import settled, with_whole_names
from relik.testing import FakeNames
from relik.types import AnnotateOptions, Candidate, Span, Window, WindowCandidates

_CANDIDATES = ("Q1", "Q2", "Q3", "Q4")


@pytest.fixture(scope="module")
def kb(tiny_bundle: Bundle) -> KnowledgeBase:
    return KnowledgeBase.open(tiny_bundle.path / LAYOUT.entities)


def _candidates(kb: KnowledgeBase, ids: tuple[str, ...]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(entity_id=key, score=1.0, rank=k, source="given") for k, key in enumerate(ids)
    )


def _row(
    bundle: Bundle, text: str, ids: tuple[str, ...] = _CANDIDATES, *, max_tokens: int = 48
) -> Row:
    kb = KnowledgeBase.open(bundle.path / LAYOUT.entities)
    candidates = _candidates(kb, ids)
    tokens = tokenise_text(text, bundle.tokenizer().encode(text, add_special_tokens=False))
    built = build_input(
        tokens,
        kb.tokens_of(candidate_rows(kb, candidates)),
        [],
        MarkerLayout.of(bundle.tokenizer(), n_entities=6, n_relations=3),
        max_tokens=max_tokens,
    )
    window = Window(doc_id="d", index=0, span=Span(7, 7 + len(text)), text=text)
    return Row(
        window,
        WindowCandidates(entities=candidates, relations=()),
        tokens,
        built,
        None,
        candidate_rows(kb, candidates),
    )


def _found(row: Row, surface: str, mention: float = 0.8) -> ProposedSpan:
    at = row.window.span.start + row.window.text.index(surface)
    return ProposedSpan(*place_mention(row, Span(at, at + len(surface))), mention)


def _added(kb: KnowledgeBase, row: Row, *found: ProposedSpan) -> dict[str, tuple[float, str]]:
    """Give surface -> probability and candidate of what is proposed behind what was found."""
    told = with_whole_names(kb, row, found)
    assert told[: len(found)] == list(found)
    return {
        row.window.text[row.text.starts[one.start - 1] : row.text.ends[one.end - 1]]: (
            one.mention,
            row.candidates.entities[one.only - NIL_CLASS - 1].entity_id,
        )
        for one in told[len(found) :]
    }


def test_a_whole_name_around_a_mention_is_proposed(tiny_bundle: Bundle, kb: KnowledgeBase) -> None:
    row = _row(tiny_bundle, "Paris Hilton was born, and Ada Lovelace was.")
    found = [_found(row, "Paris", 0.3), _found(row, "Hilton", 0.6)]
    assert _added(kb, row, *found) == {"Paris Hilton": (0.6, "Q2")}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("paris hilton was a writer", "hilton"),  # no name as it is written
        ("Paris  Hilton was a writer", "Paris"),
        ("Ada Lovelaces was a city", "Ada"),  # not from word to word
        ("Paris was a city", "Paris"),
    ],
)
def test_what_is_no_whole_name_is_not(
    tiny_bundle: Bundle, kb: KnowledgeBase, text: str, found: str
) -> None:
    row = _row(tiny_bundle, text)
    assert _added(kb, row, _found(row, found)) == {}


def test_a_name_with_a_comma_is_one_unless_it_is_of_two_places(
    tiny_bundle: Bundle, kb: KnowledgeBase
) -> None:
    row = _row(tiny_bundle, "Paris, Texas was a city")
    assert _added(kb, row, _found(row, "Paris")) == {"Paris, Texas": (0.8, "Q3")}
    town, state = kb.row_of("Q3"), kb.row_of("Q5")
    assert town is not None
    assert state is not None
    known = {
        "paris": [NameMatch(town, 0, 0)],
        "paris texas": [NameMatch(town, 0, PRIMARY)],
        "texas": [NameMatch(state, 0, PRIMARY)],
    }
    two = SimpleNamespace(
        row_of=kb.row_of, name=kb.name, names=FakeNames(known), policy=kb.policy, count=kb.count
    )
    assert _added(two, row, _found(row, "Paris")) == {}  # type: ignore[arg-type]


def test_each_place_of_a_name_is_looked_at(tiny_bundle: Bundle, kb: KnowledgeBase) -> None:
    row = _row(tiny_bundle, "Ada Lovelace and Ada Lovelace")
    found = [ProposedSpan(*place, 0.5) for place in ((1, 1), (4, 4))]
    added = with_whole_names(kb, row, found)[2:]
    assert [(one.start, one.end) for one in added] == [(1, 2), (4, 5)]


def test_a_name_that_is_found_already_stays_as_it_is(
    tiny_bundle: Bundle, kb: KnowledgeBase
) -> None:
    row = _row(tiny_bundle, "Ada Lovelace was born")
    assert _added(kb, row, _found(row, "Ada"), _found(row, "Ada Lovelace")) == {}


def test_only_candidates_that_are_read_have_names(tiny_bundle: Bundle, kb: KnowledgeBase) -> None:
    text = "Ada Lovelace was born"
    row = _row(tiny_bundle, text, ("Q1", "Q5"))
    assert _added(kb, row, _found(row, "Ada")) == {}
    whole = _row(tiny_bundle, text, ("Q1", "Q4"))
    assert _added(kb, whole, _found(whole, "Ada")) == {"Ada Lovelace": (0.8, "Q4")}
    short = _row(tiny_bundle, text, ("Q1", "Q4"), max_tokens=len(whole.built.ids) - 3)
    assert len(short.built.entity_positions) < len(whole.built.entity_positions)
    assert _added(kb, short, _found(short, "Ada")) == {}


def test_mentions_that_are_given_are_left_alone(tiny_bundle: Bundle, kb: KnowledgeBase) -> None:
    row = replace(_row(tiny_bundle, "Ada Lovelace was born"), given=(Span(7, 10),))
    assert _added(kb, row, _found(row, "Ada")) == {}


def test_a_name_of_two_records_is_neither(tiny_bundle: Bundle, kb: KnowledgeBase) -> None:
    row = _row(tiny_bundle, "Ada Lovelace was born")
    for flags, told in (((PRIMARY, PRIMARY), {}), ((PRIMARY, 0), {"Ada Lovelace": (0.8, "Q4")})):
        matches = [NameMatch(k, 0, flag) for k, flag in enumerate(flags)]
        names = SimpleNamespace(lookup=lambda _, held=matches: held)
        shared = SimpleNamespace(
            row_of=kb.row_of, name=kb.name, names=names, policy=kb.policy, count=kb.count
        )
        assert _added(shared, row, _found(row, "Ada")) == told  # type: ignore[arg-type]


@st.composite
def _linked(draw: st.DrawFn) -> list[DecodedSpan]:
    spans = []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(1, 8))
        best = draw(st.integers(1, 3))
        links = np.eye(4, dtype=np.float32)[best]
        end, only = start + draw(st.integers(0, 5)), draw(st.sampled_from([0, 0, 2, 3]))
        spans.append(DecodedSpan(start=start, end=end, mention=0.5, links=links, only=only))
    return spans


@given(_linked())
def test_nothing_stands_within_a_whole_name_that_was_linked(spans: list[DecodedSpan]) -> None:
    kept = settled(spans)
    left = [id(one) for one in kept]
    assert [id(one) for one in spans if id(one) in left] == left
    assert all(not one.only or one.best == one.only for one in kept)
    longest = [
        one
        for one in spans
        if one.only == one.best and not any(o.only == o.best and _inside(one, o) for o in spans)
    ]
    for one in longest:
        assert any(one is held for held in kept)
        assert not any(_inside(held, one) for held in kept)
    lost = [one for one in spans if not one.only and not any(one is held for held in kept)]
    assert all(any(_inside(one, whole) for whole in longest) for one in lost)


def _inside(one: DecodedSpan, other: DecodedSpan) -> bool:
    return (
        other.start <= one.start
        and one.end <= other.end
        and (one.start, one.end) != (other.start, other.end)
    )


def test_the_reader_takes_the_whole_name(tiny_bundle: Bundle, kb: KnowledgeBase) -> None:
    text = "Ada Lovelace was born in Paris"
    window = Window(doc_id="d", index=0, span=Span(0, len(text)), text=text)
    candidates = [WindowCandidates(entities=_candidates(kb, ("Q4",)), relations=())]
    options = AnnotateOptions(threshold=0.0, relation_threshold=0.0, nil=True)

    def read(*, whole_names: bool, nil_weight: float) -> dict[str, str | None]:
        rules = replace(tiny_bundle.config.rules, whole_names=whole_names, nil_weight=nil_weight)
        reader = open_reader(
            tiny_bundle.path,
            backend="onnx",
            config=replace(tiny_bundle.config, rules=rules),
            tokenizer=tiny_bundle.tokenizer(),
        )
        entities, relations = kb, KnowledgeBase.open(tiny_bundle.path / LAYOUT.relations)
        view = KnowledgeView(entities=entities, relations=relations)
        (told,) = reader.read([window], candidates, view, options=options)
        return {text[s.span.start : s.span.end]: s.entity_id for s in told.spans}

    # The model is random: without the option it finds other spans.
    before = read(whole_names=False, nil_weight=-50.0)
    assert "Ada Lovelace" not in before
    after = read(whole_names=True, nil_weight=-50.0)
    assert after["Ada Lovelace"] == "Q4"
    assert not {"Ada", "Lovelace"} & after.keys()
    # Linked to nothing, it is no whole name.
    assert read(whole_names=True, nil_weight=50.0) == read(whole_names=False, nil_weight=50.0)
