"""Released readers find what upstream found, and answer where upstream failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from relik.errors import BundleCorruptError, ConfigError, InputError, TextTooLongError
from relik.upstream.reader.released_reader import ReadOptions, UpstreamReader, WindowPrediction
from relik.upstream.text.token_windows import UpstreamWindow

KINDS: dict[str, Any] = {"el": "span", "re": "triplet", "cie": "triplet"}
NARROW = 1e-4
"""Decisions narrower than this may fall differently."""

TITLES = ["Rome", "Marie Curie", "Warsaw", "Paris", "Houston", "Brazil", "Tokyo", "Ulm"]
RELATIONS = ["capital of", "spouse", "place of birth", "employer", "country"]
SENTENCES = [
    "Marie Curie was born in Warsaw and worked at the University of Paris .",
    "Rome is the capital of Italy .",
    "Beyoncé lives in Houston ; São Paulo and Zürich are cities .",
    "!!! ??? ...",
    "Paris Paris Paris",
]
FORGED = "[E-0] [R-1] --NME-- [SEP] [CLS] [MASK] literal special tokens about Rome and Paris"


def _window(text: str, *, doc_id: int = 0, offset: int = 0) -> UpstreamWindow:
    words, starts, at = text.split(), [], 0
    for word in words:
        starts.append(text.index(word, at))
        at = starts[-1] + len(word)
    begin = np.array(starts, dtype=np.int64) + offset
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    return UpstreamWindow(doc_id, 0, text, tuple(words), begin, begin + lengths, offset)


def _recorded(case: dict[str, Any]) -> list[UpstreamWindow]:
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


def _candidates(case: dict[str, Any], name: str) -> list[list[str]] | None:
    given = case["kwargs"].get("candidates")
    if given:
        return [given for _ in case["windows"]]
    for part in case.get("retrieved") or []:
        if part["encoder"] == name:
            return [[text for _, text, _ in found] for found in part["results"]]
    return None


def _repeat(reader: UpstreamReader, case: dict[str, Any]) -> list[WindowPrediction]:
    """Read the windows of a recorded call as it was made."""
    options = {
        name: value
        for name, value in case["kwargs"].items()
        if name in ("max_length", "relation_threshold", "remove_nmes")
    }
    mentions = case["kwargs"].get("mentions")
    return reader.read(
        _recorded(case),
        span_candidates=_candidates(case, "encoder-span"),
        triplet_candidates=_candidates(case, "encoder-triplet"),
        options=ReadOptions(**options),
        mentions=None if mentions is None else [[(a, b) for a, b in mentions]],
    )


def _answers(case: dict[str, Any]) -> dict[int, tuple[set[Any], set[Any]]]:
    return {
        output["id"]: (
            {tuple(span[:3]) for span in output["spans"]},
            {(*s[:2], name, *o[:2], round(p, 2)) for s, name, o, p in output["triplets"]},
        )
        for output in case["outputs"]
    }


def _merged(
    windows: Sequence[UpstreamWindow], predictions: Sequence[WindowPrediction]
) -> dict[int, tuple[set[Any], set[Any]]]:
    """Unite the windows of each document."""
    merged: dict[int, tuple[set[Any], set[Any]]] = {}
    for window, found in zip(windows, predictions, strict=True):
        spans, triples = merged.setdefault(window.doc_id, (set(), set()))
        spans |= {(s.start, s.end, s.label) for s in found.spans}
        places = [(s.start, s.end) for s in found.spans]
        triples |= {
            (*places[t.subject], t.relation, *places[t.object], round(t.probability, 2))
            for t in found.triples
        }
    return merged


def _open(folder: Path, *, quirks: bool = False) -> UpstreamReader:
    kind = KINDS[folder.name.split("-")[1]]
    return UpstreamReader.open(folder / "reader", kind=kind, quirks=quirks)


@pytest.fixture(scope="module", params=["tinydeb-el", "tiny-re", "tiny-cie"])
def reader(request: pytest.FixtureRequest, pipelines: dict[str, Path]) -> UpstreamReader:
    """Each kind of reader, without quirks."""
    return _open(pipelines[request.param])


@pytest.fixture(scope="module")
def linker(pipelines: dict[str, Path]) -> UpstreamReader:
    return _open(pipelines["tinydeb-el"])


@pytest.fixture(scope="module")
def relater(pipelines: dict[str, Path]) -> UpstreamReader:
    return _open(pipelines["tiny-re"])


@pytest.fixture(scope="module")
def closed(pipelines: dict[str, Path]) -> UpstreamReader:
    return _open(pipelines["tiny-cie"])


def _read(
    reader: UpstreamReader,
    texts: Sequence[str],
    *,
    mentions: list[list[tuple[int, int]] | None] | None = None,
    titles: list[str] = TITLES,
    **options: Any,
) -> list[WindowPrediction]:
    return reader.read(
        [_window(text, doc_id=k) for k, text in enumerate(texts)],
        span_candidates=[titles for _ in texts],
        triplet_candidates=[RELATIONS for _ in texts],
        options=ReadOptions(**options),
        mentions=mentions,
    )


def test_answers_are_those_of_upstream(released: Any) -> None:
    reader, compared = _open(released.folder, quirks=True), 0
    for case in released.cases:
        # Answers by words are made from these by other code.
        if "error" in case or case["variant"] == "word":
            continue
        if min(case["min_margins"].values(), default=1.0) < NARROW:
            continue
        ours = _merged(_recorded(case), _repeat(reader, case))
        assert ours == _answers(case), (case["variant"], case["tag"])
        compared += 1
    assert compared


def test_calls_in_which_upstream_failed_are_answered(released: Any) -> None:
    """They concern forged markers: IndexError of one text, RuntimeError of a whole batch."""
    failed = [case for case in released.cases if "error" in case and case.get("windows")]
    ours, theirs = _open(released.folder), _open(released.folder, quirks=True)
    for case in failed:
        for reader in (ours, theirs):
            found = _repeat(reader, case)
            assert len(found) == len(case["windows"])
        candidates = {
            name for part in case["retrieved"] for w in part["results"] for _, name, _ in w
        }
        labels = {span.label for one in _repeat(ours, case) for span in one.spans}
        assert labels <= candidates | {"--NME--"}
    if released.name == "tinydeb-el":
        assert {(c["variant"], c["tag"]) for c in failed} >= {
            ("top_k10", "t18"),
            ("patches", "t18"),
            ("batch_inject", "t00+t18"),
        }


def test_a_forged_marker_does_not_reach_other_texts_of_the_batch(reader: UpstreamReader) -> None:
    alone = _read(reader, SENTENCES[:1])
    assert _close(_read(reader, [SENTENCES[0], FORGED])[:1], alone)


def _close(first: Sequence[WindowPrediction], second: Sequence[WindowPrediction]) -> bool:
    for one, other in zip(first, second, strict=True):
        if [(s.start, s.end, s.label) for s in one.spans] != [
            (s.start, s.end, s.label) for s in other.spans
        ]:
            return False
        if [(t.subject, t.relation, t.object) for t in one.triples] != [
            (t.subject, t.relation, t.object) for t in other.triples
        ]:
            return False
        for a, b in zip((*one.spans, *one.triples), (*other.spans, *other.triples), strict=True):
            if abs(a.probability - b.probability) > 1e-5:
                return False
    return True


@pytest.mark.parametrize("quirks", [True, False])
def test_answers_do_not_depend_on_the_batch(pipelines: dict[str, Path], quirks: bool) -> None:
    for name in ("tinydeb-el", "tiny-re", "tiny-cie"):
        reader = _open(pipelines[name], quirks=quirks)
        alone = [found for text in SENTENCES for found in _read(reader, [text])]
        assert any(found.spans for found in alone)
        for options in ({}, {"batch_size": 1}, {"batch_size": 2}, {"batch_tokens": 1}):
            assert _close(_read(reader, SENTENCES, **options), alone)
            assert _close(_read(reader, SENTENCES[::-1], **options), alone[::-1])


def test_spans_are_text_of_their_window(reader: UpstreamReader) -> None:
    for offset in (0, 1000):
        windows = [_window(text, offset=offset) for text in (*SENTENCES, FORGED)]
        found = reader.read(
            windows,
            span_candidates=[TITLES] * len(windows),
            triplet_candidates=[RELATIONS] * len(windows),
            options=ReadOptions(remove_nmes=False),
        )
        assert any(one.spans for one in found)
        for window, one in zip(windows, found, strict=True):
            for span in one.spans:
                assert offset <= span.start < span.end <= offset + len(window.text)
                assert 0.0 <= span.probability <= 1.0
            places = [(s.start, s.end, s.label) for s in one.spans]
            assert places == sorted(places)


def test_ends_that_precede_their_starts_are_kept_with_quirks_alone(
    pipelines: dict[str, Path], linker: UpstreamReader
) -> None:
    quirky = _open(pipelines["tinydeb-el"], quirks=True)
    backwards = []
    for reader in (quirky, linker):
        found = [
            span
            for k in range(len(TITLES))
            for one in _read(reader, SENTENCES, titles=TITLES[k:], remove_nmes=False)
            for span in one.spans
        ]
        backwards.append(sum(span.end < span.start for span in found))
    assert backwards[0] > 0
    assert backwards[1] == 0


def test_a_reader_of_relations_marks_whole_words(relater: UpstreamReader) -> None:
    read = _read(relater, SENTENCES)
    assert any(found.spans for found in read)
    for text, found in zip(SENTENCES, read, strict=True):
        for span in found.spans:
            assert span.label == "--NME--"
            assert text[span.start - 1 : span.start].strip() == ""
            assert text[span.end : span.end + 1].strip() == ""


def test_places_have_one_label_each_without_quirks(closed: UpstreamReader) -> None:
    found = _read(closed, SENTENCES)
    assert any(one.spans for one in found)
    for one in found:
        places = [(span.start, span.end) for span in one.spans]
        assert len(set(places)) == len(places)
        assert all(span.label == span.candidates[0][0] for span in one.spans)
        assert all(len(span.candidates) <= 5 for span in one.spans)


def test_given_mentions_are_read_and_no_others(
    linker: UpstreamReader, relater: UpstreamReader, closed: UpstreamReader
) -> None:
    mentions: list[tuple[int, int]] = [(0, 11), (24, 30)]
    for reader in (linker, relater, closed):
        found, nothing, free = _read(
            reader,
            [SENTENCES[0]] * 3,
            mentions=[mentions, [], None],
            remove_nmes=False,
            relation_threshold=0.0,
        )
        assert [(span.start, span.end) for span in found.spans] == mentions
        assert nothing == WindowPrediction()
        assert free != found
        if reader is not linker:
            assert len(found.triples) == 4 * len(RELATIONS)


@pytest.mark.parametrize("mention", [(500, 510), (5, 5), (11, 12), (9, 3)])
def test_a_mention_without_words_is_refused(
    linker: UpstreamReader, mention: tuple[int, int]
) -> None:
    with pytest.raises(InputError, match="code points of the document"):
        _read(linker, SENTENCES[:1], mentions=[[mention]])


def test_a_threshold_of_a_call_replaces_that_of_the_reader(relater: UpstreamReader) -> None:
    mentions: list[Any] = [[(0, 4), (23, 28)]]
    text = [SENTENCES[1]]
    every = _read(relater, text, mentions=mentions, relation_threshold=0.0)[0].triples
    usual = _read(relater, text, mentions=mentions)[0].triples
    half = _read(relater, text, mentions=mentions, relation_threshold=0.5)[0].triples
    assert len(every) == 4 * len(RELATIONS)
    assert usual == half == tuple(t for t in every if t.probability > 0.5)
    assert _read(relater, text, mentions=mentions, relation_threshold=1.0)[0].triples == ()


def test_candidates_that_fit_no_row_are_counted(
    linker: UpstreamReader, closed: UpstreamReader
) -> None:
    many = [f"title {k}" for k in range(110)]
    (found,) = _read(linker, SENTENCES[:1], titles=many)
    assert found.left_out == 10
    (found,) = _read(closed, SENTENCES[:1], titles=many, max_length=120)
    assert found.left_out > 35
    (found,) = _read(closed, SENTENCES[:1])
    assert found.left_out == 0


def test_the_most_probable_spans_are_read_where_there_are_too_many(
    closed: UpstreamReader, pipelines: dict[str, Path]
) -> None:
    quirky = _open(pipelines["tiny-cie"], quirks=True)
    for reader in (closed, quirky):
        (every,) = _read(reader, [" ".join(SENTENCES)])
        (few,) = _read(reader, [" ".join(SENTENCES)], max_spans=2)
        assert few.spans_left_out > 0
        assert len(few.spans) <= 2
        assert {(s.start, s.end) for s in few.spans} <= {(s.start, s.end) for s in every.spans}


@pytest.mark.parametrize("quirks", [True, False])
def test_a_text_that_leaves_no_room_is_refused_and_never_loops(
    pipelines: dict[str, Path], quirks: bool
) -> None:
    """Upstream raises IndexError, or loops for ever where NME fits and no candidate does."""
    for name in ("tinydeb-el", "tiny-re", "tiny-cie"):
        reader = _open(pipelines[name], quirks=quirks)
        outcomes = []
        for length in range(20, 140, 3):
            try:
                _read(reader, SENTENCES[:1], max_length=length)
                outcomes.append(True)
            except TextTooLongError:
                outcomes.append(False)
        assert outcomes == sorted(outcomes)
        assert {True, False} == set(outcomes)


def test_a_backbone_with_fewer_positions_gets_shorter_rows(closed: UpstreamReader) -> None:
    (found,) = _read(closed, [" ".join(SENTENCES * 12)], max_length=5000)
    assert found.left_out == 0
    with pytest.raises(TextTooLongError, match="rows of 1024"):
        _read(closed, [" ".join(SENTENCES * 40)], max_length=5000)


def test_no_windows_and_no_words_give_nothing(reader: UpstreamReader) -> None:
    assert _read(reader, []) == []
    assert _read(reader, ["", "   "]) == [WindowPrediction(), WindowPrediction()]


def test_no_candidates_are_no_error(reader: UpstreamReader) -> None:
    (found,) = reader.read(
        [_window(SENTENCES[0])],
        span_candidates=None,
        triplet_candidates=[None],
        options=ReadOptions(remove_nmes=False),
    )
    assert {span.label for span in found.spans} <= {"--NME--"}
    assert found.triples == ()


def test_windows_and_candidates_come_in_equal_numbers(linker: UpstreamReader) -> None:
    with pytest.raises(InputError, match="span_candidates for 2 windows, expected 1"):
        linker.read(
            [_window("Rome")],
            span_candidates=[TITLES, TITLES],
            triplet_candidates=None,
            options=ReadOptions(),
        )


@pytest.mark.parametrize(
    "options",
    [{"max_length": 0}, {"batch_size": 0}, {"relation_threshold": 1.5}, {"max_spans": -1}],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        ReadOptions(**options)


def test_a_reader_says_its_kind(linker: UpstreamReader, relater: UpstreamReader) -> None:
    assert (linker.kind, relater.kind) == ("span", "triplet")


def test_parts_that_do_not_belong_together_are_refused(
    pipelines: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        source = pipelines["tiny-re"] / "reader" / name
        (tmp_path / name).write_bytes(source.read_bytes())
    other = pipelines["tiny-cie"] / "reader" / "tokenizer.json"
    (tmp_path / "tokenizer.json").write_bytes(other.read_bytes())
    with pytest.raises(ConfigError, match="backbone"):
        UpstreamReader.open(tmp_path, kind="triplet")
    with pytest.raises(
        BundleCorruptError, match="1292 tokens, expected at most the 1216 tokens with embeddings"
    ):
        UpstreamReader.open(tmp_path, kind="triplet", backbone=pipelines["tiny-re"] / "backbone")
