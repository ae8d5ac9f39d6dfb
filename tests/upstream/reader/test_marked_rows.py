"""Rows are those that upstream's readers saw, and without its quirks no text forges a marker."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.errors import BundleCorruptError, BundleNotFoundError, TextTooLongError
from relik.upstream.reader.marked_rows import Candidate, InputBuilder, ReaderRow, ReaderShape
from relik.upstream.text.subwords import NME, Markers, ReaderTokenizer, WordTokens, open_tokenizer
from relik.upstream.text.token_windows import UpstreamWindow

LINKS = ReaderShape(links=True, closed=False, use_nme=True, n_symbols=101)
RELATES = ReaderShape(links=False, closed=False, use_nme=True, n_symbols=24)
CLOSED = ReaderShape(links=False, closed=True, use_nme=True, n_symbols=24)
SHAPES = {"el": LINKS, "re": RELATES, "cie": CLOSED}

CLS, SEP, NME_ID, E0, R0 = 1, 2, 100, 101, 140
MARKERS = Markers(
    cls=CLS,
    sep=SEP,
    nme=NME_ID,
    entities=tuple(range(E0, E0 + 30)),
    relations=tuple(range(R0, R0 + 20)),
    n_base=100,
    n_all=160,
)


def _windows(case: dict[str, Any]) -> list[UpstreamWindow]:
    return [
        UpstreamWindow(
            doc_id=window["doc_id"],
            window_id=window["window_id"],
            text=window["text"],
            words=tuple(window["words"]),
            starts=np.array(list(window["token2char_start"].values()), dtype=np.int64),
            ends=np.array(list(window["token2char_end"].values()), dtype=np.int64),
            offset=window["offset"],
        )
        for window in case["windows"]
    ]


def _candidates(case: dict[str, Any], name: str) -> list[list[str]]:
    given = case["kwargs"].get("candidates")
    if given and name == "encoder-span":
        return [given for _ in case["windows"]]
    for part in case.get("retrieved") or []:
        if part["encoder"] == name:
            return [[text for _, text, _ in found] for found in part["results"]]
    return [[] for _ in case["windows"]]


def _rows(tokenizer: ReaderTokenizer, case: dict[str, Any], shape: ReaderShape) -> list[ReaderRow]:
    length = case["kwargs"].get("max_length", 1000)
    builder = InputBuilder(tokenizer.markers, shape, max_length=length, quirks=True)
    texts = tokenizer.encode_words(_windows(case))
    columns = [
        [list(zip(names, tokenizer.encode_candidates(names), strict=True)) for names in found]
        for found in (_candidates(case, "encoder-span"), _candidates(case, "encoder-triplet"))
    ]
    found = zip(texts, *columns, strict=True)
    return [row for i, (text, *both) in enumerate(found) for row in builder.build(i, text, *both)]


def _text(n: int, first: int = 10) -> WordTokens:
    place = np.arange(n, dtype=np.int64)
    return WordTokens(
        ids=np.full(n, first, dtype=np.int64), starts=2 * place, ends=2 * place + 1, words=place
    )


def _names(count: int, tokens: int = 3) -> list[Candidate]:
    return [(f"name {k}", (20 + k,) * tokens) for k in range(count)]


def _build(
    shape: ReaderShape,
    n_text: int,
    entities: list[Candidate],
    relations: list[Candidate],
    max_length: int,
) -> list[ReaderRow]:
    builder = InputBuilder(MARKERS, shape, max_length=max_length, quirks=False)
    return builder.build(0, _text(n_text), entities, relations)


def test_rows_are_those_that_upstream_read(released: Any) -> None:
    tokenizer = ReaderTokenizer.open(released.folder / "reader", quirks=True)
    shape = SHAPES[released.name.split("-")[1]]
    compared = 0
    for case in released.cases:
        expected = [ids for batch in case.get("reader_batches", []) for ids in batch["input_ids"]]
        if not expected or "error" in case:
            continue
        rows = _rows(tokenizer, case, shape)
        assert len(rows) == len(expected)
        for row, ids in zip(rows, expected, strict=True):
            n = len(row.tokens.ids)
            assert row.tokens.ids.tolist() == ids[:n], (case["variant"], case["tag"])
            assert not any(ids[n:])
            compared += 1
    assert compared


def test_masks_and_types_are_those_that_upstream_used(released: Any) -> None:
    tokenizer = ReaderTokenizer.open(released.folder / "reader", quirks=True)
    shape = SHAPES[released.name.split("-")[1]]
    path = released.folder.parent / "golden" / f"{released.name}.npz"
    arrays, compared = np.load(path), 0
    for case in released.cases:
        batches = case.get("reader_batches", [])
        if not batches or "error" in case or f"{batches[0]['key']}/in.input_ids" not in arrays:
            continue
        rows = iter(_rows(tokenizer, case, shape))
        for batch in batches:
            known = {
                name: arrays[f"{batch['key']}/in.{name}"]
                for name in ("attention_mask", "token_type_ids", "prediction_mask")
            }
            symbols = arrays[f"{batch['key']}/in.special_symbols_mask"]
            for k, (row, of_row) in enumerate(zip(rows, symbols, strict=False)):
                tokens, n = row.tokens, len(row.tokens.ids)
                readable = np.flatnonzero(known["prediction_mask"][k] == 0)
                assert readable.tolist() == list(range(1, tokens.n_text + 1))
                assert np.array_equal(known["token_type_ids"][k][:n], tokens.types)
                assert known["attention_mask"][k].sum() == n
                first = tokens.entity_positions if shape.links else tokens.relation_positions
                assert np.array_equal(np.flatnonzero(of_row), first)
                if shape.closed:
                    of_entities = arrays[f"{batch['key']}/in.special_symbols_mask_entities"][k]
                    assert np.array_equal(np.flatnonzero(of_entities), tokens.entity_positions)
                compared += 1
                if k + 1 == len(symbols):
                    break
    assert compared


@pytest.mark.parametrize("quirks", [True, False])
def test_markers_in_a_text_are_markers_only_with_quirks(
    pipelines: dict[str, Path], quirks: bool
) -> None:
    words = ("--NME--", "[E-3]", "[MASK]", "[SEP]", "Rome", "[E-3]x")
    place = np.arange(len(words), dtype=np.int64)
    window = UpstreamWindow(0, 0, " ".join(words), words, place * 10, place * 10 + 8, 0)
    for name in ("tinydeb-el", "tiny-cie"):
        tokenizer = ReaderTokenizer.open(pipelines[name] / "reader", quirks=quirks)
        markers = tokenizer.markers
        (text,) = tokenizer.encode_words([window])
        (title,) = tokenizer.encode_candidates(["[E-1] of --NME--"])
        special = {markers.nme, markers.sep, *markers.entities, *markers.relations}
        assert bool(special & set(text.ids.tolist())) == quirks
        assert bool(special & set(title)) == quirks


@pytest.mark.parametrize("quirks", [True, False])
def test_subwords_lie_where_their_words_lie(pipelines: dict[str, Path], quirks: bool) -> None:
    words = ("Warsaw", "\n", "and", "Beyoncé", "👋🏽")
    starts = np.array([100, 106, 108, 112, 120], dtype=np.int64)
    ends = starts + [len(word) for word in words]
    window = UpstreamWindow(0, 0, "", words, starts, ends, 100)
    for name in ("tinydeb-el", "tiny-re"):
        tokenizer = ReaderTokenizer.open(pipelines[name] / "reader", quirks=quirks)
        text, again = tokenizer.encode_words([window, window])
        assert np.array_equal(text.ids, again.ids)
        assert (text.starts >= starts[text.words]).all()
        assert (text.ends <= ends[text.words]).all()
        # Blanks have no subword in a BERT, and only one of no text in a DeBERTa.
        assert {0, 2, 3, 4} <= set(text.words.tolist())


def test_candidates_are_encoded_once(pipelines: dict[str, Path]) -> None:
    tokenizer = ReaderTokenizer.open(pipelines["tiny-re"] / "reader", quirks=True)
    first = tokenizer.encode_candidates(["capital of", "spouse", "capital of"])
    assert first[0] == first[2] != first[1]
    assert tokenizer.encode_candidates(["spouse"])[0] is first[1]
    assert tokenizer.encode_candidates([]) == []


def test_a_row_for_linking() -> None:
    (row,) = _build(LINKS, 2, _names(2, tokens=1), [], 50)
    tokens = row.tokens
    assert tokens.ids.tolist() == [CLS, 10, 10, SEP, NME_ID, E0, 20, E0 + 1, 21, SEP]
    assert tokens.types.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert tokens.entity_positions.tolist() == [0, 4, 5, 7]
    assert row.entities == (NME, "name 0", "name 1")
    assert (tokens.n_text, row.left_out) == (2, 0)


def test_a_row_for_relations() -> None:
    (row,) = _build(RELATES, 2, _names(3), _names(2, tokens=1), 50)
    assert row.tokens.ids.tolist() == [CLS, 10, 10, SEP, R0, 20, R0 + 1, 21, SEP]
    assert row.tokens.relation_positions.tolist() == [4, 6]
    assert row.tokens.entity_positions.tolist() == []
    assert (row.relations, row.entities) == (("name 0", "name 1"), ())


@pytest.mark.parametrize("use_nme", [True, False])
def test_a_row_for_both(use_nme: bool) -> None:
    shape = ReaderShape(links=False, closed=True, use_nme=use_nme, n_symbols=24)
    (row,) = _build(shape, 1, _names(1, tokens=1), _names(1, tokens=1), 50)
    nme = [NME_ID] if use_nme else []
    assert row.tokens.ids.tolist() == [CLS, 10, SEP, *nme, E0, 20, SEP, R0, 20, SEP]
    positions = row.tokens.entity_positions.tolist(), row.tokens.relation_positions.tolist()
    assert positions == (([3, 4], [7]) if use_nme else ([3], [6]))
    assert row.entities == ((NME, "name 0") if use_nme else ("name 0",))


def test_candidates_of_linking_go_on_in_further_rows() -> None:
    rows = _build(LINKS, 5, _names(10), [], 25)
    assert len(rows) == 3
    assert [name for row in rows for name in row.entities if name != NME] == [
        name for name, _ in _names(10)
    ]
    used = [k for row in rows for k in row.tokens.ids if E0 <= k < R0]
    assert used == list(MARKERS.entities[:10])
    assert all(len(row.tokens.ids) <= 25 for row in rows)
    assert all(row.entities[0] == NME for row in rows)


def test_a_long_candidate_of_linking_is_cut() -> None:
    (row,) = _build(LINKS, 1, _names(1, tokens=40), [], 60)
    assert len(row.tokens.ids) == 1 + 1 + 1 + 1 + 22 + 1


def test_candidates_beyond_the_markers_are_counted() -> None:
    rows = _build(LINKS, 1, _names(33, tokens=1), [], 500)
    assert rows[-1].entities[-1] == "name 29"
    assert rows[0].left_out == 3
    (row,) = _build(CLOSED, 1, _names(33, tokens=1), _names(21, tokens=1), 500)
    assert (len(row.entities), len(row.relations), row.left_out) == (31, 20, 4)
    (row,) = _build(RELATES, 1, _names(9), _names(21, tokens=1), 500)
    assert (len(row.relations), row.left_out) == (20, 1)


@given(
    n_text=st.integers(0, 12),
    entities=st.lists(st.integers(0, 6), max_size=30),
    relations=st.lists(st.integers(0, 6), max_size=20),
    max_length=st.integers(20, 80),
)
def test_what_does_not_fit_is_left_out_in_proportion(
    n_text: int, entities: list[int], relations: list[int], max_length: int
) -> None:
    names = [(f"e{k}", (20,) * n) for k, n in enumerate(entities)]
    others = [(f"r{k}", (20,) * n) for k, n in enumerate(relations)]
    try:
        (row,) = _build(CLOSED, n_text, names, others, max_length)
    except TextTooLongError:
        assert max_length < n_text + 5 + 7
        return
    assert len(row.tokens.ids) <= max_length
    n_entities, n_relations = len(row.entities) - 1, len(row.relations)
    assert row.left_out == len(names) + len(others) - n_entities - n_relations
    assert row.entities[1:] == tuple(name for name, _ in names[:n_entities])
    assert row.relations == tuple(name for name, _ in others[:n_relations])
    if names and others:
        apart = abs(n_entities / len(names) - n_relations / len(others))
        assert apart <= max(1 / len(names), 1 / len(others)) + 1e-9


@pytest.mark.parametrize("shape", [LINKS, RELATES, CLOSED], ids=["el", "re", "cie"])
@pytest.mark.parametrize("quirks", [True, False])
def test_any_length_gives_rows_or_a_clear_error(shape: ReaderShape, quirks: bool) -> None:
    """Upstream loops for ever where only NME fits, and fails where the text does not."""
    builder = {n: InputBuilder(MARKERS, shape, max_length=n, quirks=quirks) for n in range(1, 120)}
    refused, read = [], []
    for length, one in builder.items():
        try:
            rows = one.build(0, _text(30), _names(5), _names(5))
        except TextTooLongError:
            refused.append(length)
        else:
            read.append(length)
            assert all(len(row.tokens.ids) <= length for row in rows)
            assert any(len(row.entities) > 1 or row.relations for row in rows)
    assert refused
    assert read
    assert max(refused) < min(read)


def test_a_text_that_leaves_no_room_is_named() -> None:
    with pytest.raises(TextTooLongError, match=r"30 subwords.*rows of 32.*smaller windows"):
        _build(LINKS, 30, _names(5), [], 32)


def test_nothing_to_choose_from_is_no_error() -> None:
    (row,) = _build(LINKS, 3, [], [], 20)
    assert row.tokens.ids.tolist() == [CLS, 10, 10, 10, SEP, NME_ID, SEP]
    (row,) = _build(CLOSED, 3, [], [], 20)
    assert row.entities == (NME,)
    (row,) = _build(RELATES, 3, [], [], 20)
    assert row.tokens.ids.tolist() == [CLS, 10, 10, 10, SEP, SEP]


def test_a_tokenizer_that_is_not_of_a_reader_is_refused(
    pipelines: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(BundleCorruptError, match=r"\[E-0\] and \[R-0\]"):
        ReaderTokenizer.open(pipelines["tiny-re"] / "encoder-triplet", quirks=False)
    with pytest.raises(BundleNotFoundError, match=r"tokenizer\.json"):
        open_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleCorruptError, match="is not a tokenizer"):
        open_tokenizer(tmp_path)
