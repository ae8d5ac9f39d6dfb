"""Labels say what is annotated, and keep quiet where the data set does."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.config import WindowConfig
from relik.errors import ConfigError, InputError
from relik_training.data.examples import Example, ExampleReader, read_examples
from relik_training.data.knowledge_records import Records
from relik_training.recipes.source_config import SourceConfig

KNOWN = {"Q1", "Q2", "Q3"}
TITLES = {"Ada Lovelace": "Q1", "Nobody": None}
SURE = {"London": "Q3", "New London": "Q2"}


def _read(
    tmp_path: Path, row: dict[str, object], *, size: int = 64, **settings: object
) -> list[Example]:
    (tmp_path / "set.jsonl").write_text(json.dumps({"doc_id": "d", **row}) + "\n")
    reader = ExampleReader(
        known=KNOWN.__contains__,
        title_id=TITLES.get,
        unambiguous=SURE.get,
        windows=WindowConfig(size=size, stride=max(1, size // 2)),
        has_name={"Mars", "Utrecht"}.__contains__,
    )
    source = SourceConfig(path="set.jsonl", **settings)  # type: ignore[arg-type]
    return list(reader.read(source, tmp_path))


def _labels(example: Example) -> dict[str, str | None]:
    return {example.text[m.span.start : m.span.end]: m.entity_id for m in example.mentions}


def _unknown(example: Example) -> list[str]:
    return [example.text[span.start : span.end] for span in example.unknown]


def test_ids_outside_the_knowledge_base_are_nil_and_clusters_without_ids_are_untold(
    tmp_path: Path,
) -> None:
    row = {"text": "Ada met Bob .", "spans": [[0, 3, "Q1", "Ada"], [8, 11, "Q99", "Bob"]]}
    (example,) = _read(tmp_path, row, mentions="all")
    assert _labels(example) == {"Ada": "Q1", "Bob": None}
    row["spans"] = [[0, 3, None, "Ada"], [8, 11, None, "Bob"]]
    (example,) = _read(tmp_path, row, mentions="all")
    assert _labels(example) == {"Ada": None, "Bob": None}
    (example,) = _read(tmp_path, row | {"clusters": []}, mentions="all")
    assert _labels(example) == {"Ada": "", "Bob": ""}


def test_a_name_that_is_sure_is_linked_where_only_clusters_are_annotated(tmp_path: Path) -> None:
    row = {"text": "in London", "spans": [[3, 9, None, "London"]], "clusters": []}
    assert _labels(_read(tmp_path, row)[0]) == {"London": "Q3"}


def test_a_set_can_give_its_spans_without_its_links(tmp_path: Path) -> None:
    row = {"text": "Ada met Bob", "spans": [[0, 3, "Q1", "Ada"], [8, 11, None, "Bob"]]}
    assert _labels(_read(tmp_path, row, links=False)[0]) == {"Ada": "", "Bob": ""}


def test_a_mention_that_may_be_known_does_not_teach_nil(tmp_path: Path) -> None:
    text = "Utrecht and Martian and Nowhere"
    spans = [
        [0, 7, None, "Utrecht", {}],
        [12, 19, None, "Martian", {"title": "Mars (planet)"}],
        [24, 31, None, "Nowhere", {"title": "Nowhere"}],
    ]
    row = {"text": text, "spans": spans}
    some = _labels(_read(tmp_path, row, mentions="some")[0])
    assert some == {"Utrecht": "", "Martian": "", "Nowhere": None}
    # Where all is annotated, somebody looked for each.
    assert set(_labels(_read(tmp_path, row, mentions="all")[0]).values()) == {None}


def test_dates_and_skipped_types_are_no_mentions(tmp_path: Path) -> None:
    text = "Ada in 1843 on Monday with 5"
    spans = [
        [0, 3, "Q1", "Ada"],
        [7, 11, None, "1843"],
        [15, 21, None, "Monday"],
        [27, 28, None, "5", {}, {"type": "NUM"}],
    ]
    row = {"text": text, "spans": [span + [{}] * (5 - len(span)) for span in spans]}
    (example,) = _read(tmp_path, row, mentions="all", skip_types=("NUM",))
    assert _labels(example) == {"Ada": "Q1"}


def test_capitalised_words_that_nobody_labelled_are_unknown(tmp_path: Path) -> None:
    text = "They saw Ada and Bob . Later he came on Monday . New York slept ."
    row = {"text": text, "spans": [[9, 12, "Q1", "Ada"]]}
    (example,) = _read(tmp_path, row, mentions="some")
    assert _unknown(example) == ["Bob", "New", "York"]
    assert _unknown(_read(tmp_path, row, mentions="all")[0]) == []
    assert _unknown(_read(tmp_path, row, mentions="none")[0]) == [text]


def test_repeated_names_titles_and_sure_names_are_labelled_where_asked(tmp_path: Path) -> None:
    text = "Ada Lovelace met Bob in London . Bob and Bobby left New London ."
    row = {"text": text, "title": "Ada Lovelace", "spans": [[17, 20, "Q2", "Bob"]]}
    assert _labels(_read(tmp_path, row)[0]) == {"Bob": "Q2"}
    (example,) = _read(tmp_path, row, propagate=True)
    assert _labels(example) == {
        "Ada Lovelace": "Q1",
        "Bob": "Q2",
        "London": "Q3",
        "New London": "Q2",
    }
    assert [m.span.start for m in example.mentions if m.entity_id == "Q2"] == [17, 33, 52]
    assert "Bobby" in _unknown(example)


def test_of_overlapping_mentions_the_linked_and_then_the_longer_stays(tmp_path: Path) -> None:
    spans = [[0, 12, None, "Ada Lovelace"], [0, 3, "Q1", "Ada"], [4, 12, None, "Lovelace"]]
    (example,) = _read(tmp_path, {"text": "Ada Lovelace", "spans": spans})
    assert _labels(example) == {"Ada": "Q1", "Lovelace": None}
    spans = [[0, 3, "Q1", "Ada"], [0, 12, "Q2", "Ada Lovelace"]]
    (example,) = _read(tmp_path, {"text": "Ada Lovelace", "spans": spans})
    assert _labels(example) == {"Ada Lovelace": "Q2"}


def test_relations_are_renamed_turned_round_or_dropped(tmp_path: Path) -> None:
    row = {
        "text": "Ada met Bob",
        "spans": [[0, 3, "Q1", "Ada"], [8, 11, "Q2", "Bob"]],
        "triples": [[0, "KNOWS", 1], [0, "CHILD", 1], [0, "BORN", 1], [1, "P9", 0]],
    }
    names = {"KNOWS": "P1", "CHILD": "-P40", "BORN": ""}
    (example,) = _read(tmp_path, row, relations="all", relation_names=names)
    assert example.triples == ((0, "P1", 1), (1, "P40", 0), (1, "P9", 0))
    assert example.relations == "all"


def test_names_with_small_words_inside_are_labelled_whole(tmp_path: Path) -> None:
    sure = {"Bank of Rome": "Q1", "Rome": "Q2", "Oslo": "Q3"}
    (tmp_path / "set.jsonl").write_text(
        json.dumps({"doc_id": "d", "text": "Bank of Rome and Oslo ; Rome in Oslo", "spans": []})
    )
    reader = ExampleReader(
        known=set(sure.values()).__contains__,
        title_id=TITLES.get,
        unambiguous=sure.get,
        windows=WindowConfig(),
    )
    (example,) = reader.read(SourceConfig(path="set.jsonl", propagate=True), tmp_path)
    found = [example.text[m.span.start : m.span.end] for m in example.mentions]
    # The first run reaches over "and", and is known neither whole nor in its capitalised parts
    # alone: only what is sure of itself is labelled.
    assert found == ["Rome", "Oslo", "Rome", "Oslo"]
    (tmp_path / "set.jsonl").write_text(
        json.dumps({"doc_id": "d", "text": "the Bank of Rome is in Oslo", "spans": []})
    )
    (example,) = reader.read(SourceConfig(path="set.jsonl", propagate=True), tmp_path)
    assert _labels(example) == {"Bank of Rome": "Q1", "Oslo": "Q3"}


def test_a_triple_holds_of_the_named_and_the_closest_pair_and_others_are_doubtful(
    tmp_path: Path,
) -> None:
    text = "Ada . Bob . x Ada Bob . Ada"
    clusters = {"cluster": 0}, {"cluster": 1}
    row = {
        "text": text,
        "spans": [
            [0, 3, None, "Ada", clusters[0]],
            [14, 17, None, "Ada", clusters[0]],
            [24, 27, None, "Ada", clusters[0]],
            [6, 9, None, "Bob", clusters[1]],
            [18, 21, None, "Bob", clusters[1]],
        ],
        "clusters": [[0, 1, 2], [3, 4]],
        "triples": [[0, "P1", 3]],
    }
    (example,) = _read(tmp_path, row, mentions="all", relations="all")
    places = [m.span.start for m in example.mentions]
    assert places == [0, 6, 14, 18, 24]
    assert set(example.triples) == {(0, "P1", 1), (2, "P1", 3)}
    assert example.doubtful == {(0, "P1", 3), (2, "P1", 1), (4, "P1", 1), (4, "P1", 3)}


def test_a_triple_reaches_the_windows_that_its_named_pair_is_not_in(tmp_path: Path) -> None:
    row = {
        "text": "Ada met Bob . long ago there Ada saw Bob",
        "spans": [
            [0, 3, "Q1", "Ada"],
            [8, 11, "Q2", "Bob"],
            [29, 32, "Q1", "Ada"],
            [37, 40, "Q2", "Bob"],
        ],
        "triples": [[0, "P1", 1]],
    }
    first, *_, last = _read(tmp_path, row, relations="some", size=5)
    assert [len(first.triples), len(last.triples)] == [1, 1]
    assert last.text[last.mentions[last.triples[0][0]].span.start :].startswith("Ada saw Bob")


def test_some_documents_of_a_set_can_be_taken(tmp_path: Path) -> None:
    rows = [json.dumps({"doc_id": str(i), "text": "Ada", "spans": []}) for i in range(10)]
    (tmp_path / "set.jsonl").write_text("\n".join(rows))

    def ids(**settings: object) -> list[str]:
        found = read_examples(
            ({"path": "set.jsonl", **settings},),
            data=tmp_path,
            titles="",
            entities=Records([]),
            windows=WindowConfig(),
        )
        return [example.doc_id for example in found]

    assert ids(every=4) == ["0", "4", "8"]
    assert ids(limit=5, every=2) == ["0", "2", "4"]
    with pytest.raises(ConfigError, match="did you mean 'limit'"):
        ids(limits=5)
    with pytest.raises(InputError, match="cannot be read"):
        ids(path="other.jsonl")


_WORD = st.text("aA 'é\U0001f600.", min_size=1, max_size=5)


@given(
    st.lists(_WORD, max_size=25),
    st.lists(st.tuples(st.integers(0, 80), st.integers(1, 9)), max_size=8),
    st.integers(1, 6),
)
def test_windows_keep_what_their_labels_point_at(
    tmp_path_factory: pytest.TempPathFactory,
    words: list[str],
    places: list[tuple[int, int]],
    size: int,
) -> None:
    text = " ".join(words)
    spans = [
        [at, at + length, "Q1", text[at : at + length]]
        for at, length in places
        if at + length <= len(text)
    ]
    row = {"text": text, "spans": spans, "triples": [[0, "P1", len(spans) - 1]] if spans else []}
    named = {surface for *_, surface in spans}
    for example in _read(tmp_path_factory.mktemp("set"), row, size=size):
        assert example.text in text
        reach = len(example.text)
        for mention in example.mentions:
            assert example.text[mention.span.start : mention.span.end] in named
        assert all(span.end <= reach for span in example.unknown)
        ends = [m.span for m in example.mentions]
        assert ends == sorted(ends)
        assert not any(one.overlaps(two) for one, two in pairwise(ends))
        assert all(s < len(ends) and o < len(ends) for s, _, o in example.triples)


def test_triples_that_no_sentence_states_are_no_relation_where_asked(tmp_path: Path) -> None:
    row = {
        "text": "Ada was born in London. Her brother Bob went away.",
        "spans": [[0, 3, "Q1", "Ada"], [16, 22, "Q3", "London"], [36, 39, "Q2", "Bob"]],
        "triples": [[0, "P19", 1], [2, "P19", 1], [0, "P27", 1]],
    }
    (example,) = _read(tmp_path, row, relations="all")
    assert sorted(example.triples) == [(0, "P19", 1), (0, "P27", 1), (2, "P19", 1)]
    words = {"P27": "citizen national"}
    (example,) = _read(tmp_path, row, relations="all", one_sentence=True, triggers=words)
    assert example.triples == ((0, "P19", 1),)
    assert not example.doubtful


def test_what_holds_between_two_sentences_is_unknown_where_asked(tmp_path: Path) -> None:
    row = {
        "text": "Ada was born in London. Her brother Bob knew Rome.",
        "spans": [
            [0, 3, "Q1", "Ada"],
            [16, 22, "Q3", "London"],
            [36, 39, "Q2", "Bob"],
            [45, 49, "Q4", "Rome"],
        ],
        "triples": [[0, "P19", 1], [2, "P19", 1], [2, "P19", 3]],
    }
    asked = {"relations": "all", "one_sentence": True, "triggers": {"P19": "born"}}
    (example,) = _read(tmp_path, row, **asked, doubt_apart=True)
    assert example.triples == ((0, "P19", 1),)
    # Bob's London stands in another sentence; his Rome in his own, which says nothing of a birth.
    assert example.doubtful == {(2, "P19", 1)}


def test_the_inverse_of_what_a_set_says_is_unknown_where_asked(tmp_path: Path) -> None:
    row = {
        "text": "Ada in London, London has Bob",
        "spans": [
            [0, 3, "Q1", "Ada"],
            [7, 13, "Q3", "London"],
            [15, 21, "Q3", "London"],
            [26, 29, "Q2", "Bob"],
        ],
        "triples": [[0, "P131", 1], [2, "P150", 3], [3, "P131", 2], [0, "P17", 1]],
    }
    settings = {"relations": "all", "inverses": {"P131": "P150"}}
    (example,) = _read(tmp_path, row, **settings)
    plain = _read(tmp_path, row, relations="all")[0]
    assert example.triples == plain.triples
    # Bob's is said, and stays true; Ada's is not, of neither mention of London.
    assert example.doubtful - plain.doubtful == {(1, "P150", 0), (2, "P150", 0)}
    assert not example.doubtful & set(example.triples)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"triggers": {"P47": "border"}}, "expected one_sentence = true"),
        ({"one_sentence": True, "triggers": {"P47": ["border"]}}, r"triggers\.P47: got \['border"),
        ({"doubt_apart": True}, "doubt_apart: got true without one_sentence"),
    ],
)
def test_words_of_relations_that_cannot_be_used_are_refused(
    tmp_path: Path, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        read_examples(
            ({"path": "set.jsonl", **settings},),
            data=tmp_path,
            titles="",
            entities=Records([]),
            windows=WindowConfig(),
        )
