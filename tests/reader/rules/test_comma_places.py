"""Two places with a comma between them: told from one name with a comma, and read as two."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.bundle import Bundle
from relik.config import RulesConfig
from relik.names.trie import PARTIAL, PRIMARY, NameMatch
from relik.reader.inputs import MarkerLayout, Row, build_input, tokenise_text
from relik.reader.rules.batch_rules import BatchRules
from relik.reader.rules.comma_places import places_apart, two_places
from relik.testing import FakeKnowledgeBase, FakeNames
from relik.types import Entity, Span, Window, WindowCandidates

TOWN, STATE, CAPITAL, KING, COLLEGE = range(5)
NAMES = {
    "paris": [NameMatch(CAPITAL, 9, PRIMARY), NameMatch(TOWN, 1, PRIMARY)],
    "paris texas": [NameMatch(TOWN, 2, 0)],
    # The town goes by the name of its state, though seldom.
    "texas": [NameMatch(STATE, 8, PRIMARY), NameMatch(TOWN, 0, 0)],
    "new york": [NameMatch(STATE, 5, PRIMARY)],
    "new york new york": [NameMatch(STATE, 5, PRIMARY)],
    "ada king": [NameMatch(KING, 1, PRIMARY)],
    "ada king jr": [NameMatch(KING, 1, PRIMARY)],
    "jr": [NameMatch(STATE, 1, PRIMARY)],
    "college": [NameMatch(COLLEGE, 1, PARTIAL)],
    "college paris": [NameMatch(COLLEGE, 1, PRIMARY)],
}
ENTITIES = [Entity(entity_id=str(row), name=str(row)) for row in range(9)]
KB, TERMS = FakeKnowledgeBase(ENTITIES), FakeKnowledgeBase(ENTITIES, any_case=True)
KB.names = TERMS.names = FakeNames(NAMES)


def _parted(text: str) -> list[tuple[str, str]]:
    return [(text[a:b].rstrip(" ,"), text[b:].split(".")[0]) for a, b in two_places(KB, text)]  # type: ignore[arg-type]  # only names are asked


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Paris, Texas", [("Paris", "Texas")]),
        ("in Paris , Texas.", [("Paris", "Texas")]),
        ("Paris,Texas", [("Paris", "Texas")]),
        ("paris, Texas and Paris, texas", []),  # as nobody writes places
        ("Paris; Texas", []),
        ("Paris Texas", []),
        ("Paris, new Texas", []),
        ("New York, New York", []),  # one record
        ("Ada King, Jr.", []),
        ("College, Paris", []),  # no college is called so
        ("Paris,", []),
        (", Texas", []),
        ("", []),
    ],
)
def test_two_places_are_told_from_one_name(text: str, parts: list[tuple[str, str]]) -> None:
    assert _parted(text) == parts


@given(text=st.text(alphabet="PTparisTexs, \u00e9\u0301", max_size=30))
def test_any_text_is_looked_at(text: str) -> None:
    for first, second in two_places(KB, text):  # type: ignore[arg-type]  # only names are asked
        assert 0 <= first < second < len(text)
        assert "," in text[first:second]


def _row(bundle: Bundle, text: str, *, max_tokens: int = 48) -> Row:
    tokens = tokenise_text(text, bundle.tokenizer().encode(text, add_special_tokens=False))
    layout = MarkerLayout.of(bundle.tokenizer(), n_entities=6, n_relations=3)
    built = build_input(tokens, [], [], layout, max_tokens=max_tokens)
    window = Window(doc_id="d", index=0, span=Span(0, len(text)), text=text)
    return Row(window, WindowCandidates(entities=(), relations=()), tokens, built, None, ())


def _begins(
    row: Row, starts: np.ndarray, *, apart: bool = True, kb: FakeKnowledgeBase = KB
) -> list[int]:
    """Give the positions that more probably begin a mention than not."""
    told = places_apart(kb, [row], starts[None], apart=apart)[0]  # type: ignore[arg-type]  # only names are asked
    return np.flatnonzero(told[:, 1] > told[:, 0]).tolist()


def test_the_second_place_begins_a_mention_where_the_first_does(tiny_bundle: Bundle) -> None:
    row = _row(tiny_bundle, "Ada was born in Paris, Texas")
    words = [row.window.text[first:] for first in row.text.starts]
    paris = 1 + next(k for k, rest in enumerate(words) if rest.startswith("Paris"))
    texas = 1 + next(k for k, rest in enumerate(words) if rest.startswith("Texas"))
    none = np.zeros((len(row.built.ids), 2), dtype=np.float32)
    none[:, 0] = 1.0
    first = none.copy()
    first[paris] = (0.0, 2.0)
    assert _begins(row, none) == []
    assert _begins(row, first) == [paris, texas]
    assert _begins(row, first, apart=False) == [paris]
    assert _begins(row, first, kb=TERMS) == [paris]
    assert _begins(replace(row, given=(Span(0, 3),)), first) == [paris]
    # What more probably begins a mention by itself stays as it is.
    second = none.copy()
    second[texas] = (0.0, 2.0)
    assert _begins(row, second) == [texas]


def test_rules_of_english_hold_for_english_names_alone(tiny_bundle: Bundle) -> None:
    row = _row(tiny_bundle, "Ada was born in Paris, Texas")
    starts = np.zeros((1, len(row.built.ids), 2), dtype=np.float32)
    starts[0, :, 0] = 1.0
    at = row.window.text.index("Paris")
    starts[0, 1 + np.flatnonzero(row.text.starts == at)[0]] = (0.0, 2.0)
    config = RulesConfig(places_apart=True)
    changed = {}
    for code in ("en", "de"):
        kb = FakeKnowledgeBase(ENTITIES, language=code)
        kb.names = KB.names
        rules = BatchRules(config, kb, [row], threshold=0.5)  # type: ignore[arg-type]  # only names are asked
        changed[code] = not np.array_equal(rules.start_logits(starts), starts)
    assert changed == {"en": True, "de": False}


def test_places_behind_the_end_of_the_row_are_left(tiny_bundle: Bundle) -> None:
    row = _row(tiny_bundle, "Ada was born in Paris, Texas")
    cut = replace(row, built=replace(row.built, n_text=len(row.text.ids) - 1))
    starts = np.zeros((len(row.built.ids), 2), dtype=np.float32)
    starts[:, 0] = 1.0
    starts[cut.built.n_text - 1] = (0.0, 2.0)
    assert _begins(cut, starts) == [cut.built.n_text - 1]
    assert _begins(row, starts) == [cut.built.n_text - 1, cut.built.n_text + 1]
