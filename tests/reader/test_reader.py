"""The reader on tiny random weights: what it keeps, what it never mixes up, and what it refuses."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from relik.bundle import Bundle
from relik.config import CalibrationConfig, ReaderConfig, RulesConfig
from relik.errors import BundleCorruptError, BundleError, ConfigError
from relik.kb import KnowledgeBase
from relik.kb.knowledge_base import KIND
from relik.kb.view import KnowledgeView
from relik.layout import LAYOUT
from relik.manifest import read_manifest, write_manifest
from relik.reader.open_reader import open_reader
from relik.reader.reader import TransformerReader
from relik.types import (
    AnnotateOptions,
    Candidate,
    Span,
    Window,
    WindowAnnotation,
    WindowCandidates,
)

ALL = AnnotateOptions(threshold=0.0, relation_threshold=0.0)
TEXT = "Ada Lovelace was born in Paris, the capital of France."
_RULES = {each.name for each in fields(RulesConfig)}


@pytest.fixture(scope="module")
def knowledge(tiny_bundle: Bundle) -> tuple[KnowledgeBase, KnowledgeBase]:
    folders = (tiny_bundle.path / LAYOUT.entities, tiny_bundle.path / LAYOUT.relations)
    return KnowledgeBase.open(folders[0]), KnowledgeBase.open(folders[1])


Knowledge = tuple[KnowledgeBase, KnowledgeBase]


class OverView:
    """A reader over one view."""

    def __init__(self, reader: TransformerReader, knowledge: Knowledge) -> None:
        self._reader = reader
        self._view = KnowledgeView(entities=knowledge[0], relations=knowledge[1])
        self.count_text_tokens = reader.count_text_tokens

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
    ) -> list[WindowAnnotation]:
        return self._reader.read(windows, candidates, self._view, options=options)

    def link(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[WindowAnnotation]:
        return self._reader.read(
            windows, candidates, self._view, options=options, mentions=mentions
        )


def _open(
    bundle: Bundle,
    knowledge: Knowledge,
    *,
    backend: str = "onnx",
    path: Path | None = None,
    **settings: object,
) -> OverView:
    of_rules = {name: settings.pop(name) for name in list(settings) if name in _RULES}
    reader = replace(bundle.config.reader, **settings)  # type: ignore[arg-type]  # as named
    rules = replace(bundle.config.rules, **of_rules)  # type: ignore[arg-type]  # as named
    return OverView(
        open_reader(
            path or bundle.path,
            backend=backend,
            config=replace(bundle.config, reader=reader, rules=rules),
            tokenizer=bundle.tokenizer(),
        ),
        knowledge,
    )


@pytest.fixture(scope="module")
def reader(tiny_bundle: Bundle, knowledge: Knowledge) -> OverView:
    return _open(tiny_bundle, knowledge)


def _window(text: str, start: int = 0) -> Window:
    span = Span(start, start + max(1, len(text)))
    return Window(doc_id="d", index=0, span=span, text=text)


def _list(*ids: str) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(entity_id=name, score=1 / (k + 1), rank=k, source="given")
        for k, name in enumerate(ids)
    )


BOTH = WindowCandidates(entities=_list("Q1", "Q4", "Q2"), relations=_list("P1", "P2"))


def _read(
    reader: OverView,
    text: str = TEXT,
    candidates: WindowCandidates = BOTH,
    options: AnnotateOptions = ALL,
) -> WindowAnnotation:
    return reader.read([_window(text)], [candidates], options=options)[0]


def _assert_alike(one: WindowAnnotation, other: WindowAnnotation) -> None:
    assert one.window == other.window
    assert [(s.span, s.entity_id) for s in one.spans] == [
        (s.span, s.entity_id) for s in other.spans
    ]
    np.testing.assert_allclose(
        [s.score for s in one.spans], [s.score for s in other.spans], atol=1e-3
    )
    ends = [[(t.subject, t.relation_id, t.object) for t in a.triples] for a in (one, other)]
    assert ends[0] == ends[1]


def test_spans_are_words_of_the_text_in_order(reader: OverView) -> None:
    found = _read(reader)
    assert found.spans
    for one in found.spans:
        assert TEXT[one.span.start : one.span.end].strip(" ") == TEXT[one.span.start : one.span.end]
        assert one.entity_id in {None, "Q1", "Q4", "Q2"}
        assert 0 <= one.score <= 1
    spans = [one.span for one in found.spans]
    assert spans == sorted(spans)
    assert not any(a.overlaps(b) for a in spans for b in spans if a is not b)


def test_spans_begin_and_end_with_whole_words(reader: OverView) -> None:
    text = "citys Adas and writers Pariss rivers borns"  # each but one of two tokens
    found = _read(reader, text)
    assert found.spans
    for one in found.spans:
        around = text[max(0, one.span.start - 1) : one.span.start] + text[one.span.end :][:1]
        assert not around.strip()


def test_triples_join_two_spans_that_are_there(reader: OverView) -> None:
    found = _read(reader)
    spans = {one.span for one in found.spans}
    assert found.triples
    for triple in found.triples:
        assert {triple.subject, triple.object} <= spans
        assert triple.subject != triple.object
        assert triple.relation_id in {"P1", "P2"}
        assert 0 <= triple.score <= 1


def test_offsets_are_those_of_the_document(reader: OverView) -> None:
    here = _read(reader)
    (there,) = reader.read([_window(TEXT, start=1000)], [BOTH], options=ALL)
    assert [one.span.start + 1000 for one in here.spans] == [s.span.start for s in there.spans]


def test_a_window_is_read_alike_alone_and_among_others(reader: OverView) -> None:
    texts = [TEXT, "Paris", "", "Berlin and the bank of the river, Paris Hilton.", "a b c", TEXT]
    few = WindowCandidates(entities=_list("Q5"))
    candidates = [BOTH, few, BOTH, BOTH, WindowCandidates(), few]
    together = reader.read([_window(text) for text in texts], candidates, options=ALL)
    for text, proposed, found in zip(texts, candidates, together, strict=True):
        _assert_alike(found, _read(reader, text, proposed))


def test_no_windows_give_no_annotations(reader: OverView) -> None:
    assert reader.read([], [], options=ALL) == []


@pytest.mark.parametrize("text", ["", " \n ", "\u200b"])
def test_a_window_without_words_has_no_spans(reader: OverView, text: str) -> None:
    found = _read(reader, text)
    assert (found.spans, found.triples) == ((), ())


def test_without_candidates_every_mention_is_of_nothing_known(reader: OverView) -> None:
    found = _read(reader, candidates=WindowCandidates())
    assert found.spans
    assert {one.entity_id for one in found.spans} == {None}
    assert found.triples == ()


def test_triples_are_only_read_where_asked_for(reader: OverView) -> None:
    assert _read(reader, options=replace(ALL, relations=False)).triples == ()


def test_a_threshold_drops_exactly_what_is_below_it(reader: OverView) -> None:
    everything = _read(reader)
    scores = sorted(one.score for one in everything.spans)
    for least in (scores[0], scores[len(scores) // 2], scores[-1]):
        options = AnnotateOptions(threshold=least, relation_threshold=0.6)
        found = _read(reader, options=options)
        assert [s.span for s in found.spans] == [
            s.span for s in everything.spans if s.score >= least
        ]
        kept = {s.span for s in found.spans}
        assert {(t.subject, t.relation_id, t.object) for t in found.triples} == {
            (t.subject, t.relation_id, t.object)
            for t in everything.triples
            if t.score >= 0.6 and {t.subject, t.object} <= kept
        }


def test_a_triple_just_below_the_threshold_is_dropped(reader: OverView) -> None:
    for triple in _read(reader).triples:
        least = float(np.nextafter(triple.score, 1))
        options = replace(ALL, relation_threshold=least)
        assert all(found.score >= least for found in _read(reader, options=options).triples)


def test_nothing_is_certain(reader: OverView) -> None:
    found = _read(reader, options=AnnotateOptions(threshold=1.0, relation_threshold=1.0))
    assert (found.spans, found.triples) == ((), ())


def test_calibration_changes_scores_and_not_what_is_best(
    tiny_bundle: Bundle, knowledge: Knowledge, reader: OverView
) -> None:
    calibration = CalibrationConfig(
        span_scale=0.5, span_shift=1.0, triple_scale=2.0, triple_shift=-1.0
    )
    changed = OverView(
        open_reader(
            tiny_bundle.path,
            backend="onnx",
            config=replace(tiny_bundle.config, calibration=calibration),
            tokenizer=tiny_bundle.tokenizer(),
        ),
        knowledge,
    )
    plain, scaled = _read(reader), _read(changed)
    assert [(s.span, s.entity_id) for s in plain.spans] == [
        (s.span, s.entity_id) for s in scaled.spans
    ]
    odds = [np.log(s.score / (1 - s.score)) for s in plain.spans]
    np.testing.assert_allclose(
        [np.log(s.score / (1 - s.score)) for s in scaled.spans],
        [0.5 * value + 1.0 for value in odds],
        atol=1e-3,
    )


def test_triples_of_doubtful_ends_are_doubtful_where_ends_count(
    tiny_bundle: Bundle, knowledge: Knowledge, reader: OverView
) -> None:
    changed = OverView(
        open_reader(
            tiny_bundle.path,
            backend="onnx",
            config=replace(tiny_bundle.config, calibration=CalibrationConfig(triple_ends=2.0)),
            tokenizer=tiny_bundle.tokenizer(),
        ),
        knowledge,
    )
    plain, weighed = _read(reader), _read(changed)
    assert plain.spans == weighed.spans
    assert plain.triples
    score_of = {found.span: found.score for found in plain.spans}
    expected = [
        np.log(t.score / (1 - t.score))
        + 2.0 * (np.log(score_of[t.subject]) + np.log(score_of[t.object]))
        for t in plain.triples
    ]
    odds = [np.log(t.score / (1 - t.score)) for t in weighed.triples]
    np.testing.assert_allclose(odds, expected, atol=1e-3)
    # What is asked for is kept, whenever it is compared.
    for triple in weighed.triples:
        options = replace(ALL, relation_threshold=triple.score)
        assert triple in _read(changed, options=options).triples


def test_triples_between_two_sentences_are_doubtful_where_that_counts(
    tiny_bundle: Bundle, knowledge: Knowledge, reader: OverView
) -> None:
    changed = _open(tiny_bundle, knowledge, apart_weight=1.5)
    text = "Ada Lovelace lived. Paris is the capital of France."
    stop = text.index(". ") + 1
    window = Window(doc_id="d", index=1, span=Span(40, 40 + len(text)), text=text)
    plain, weighed = (each.read([window], [BOTH], options=ALL)[0] for each in (reader, changed))
    assert plain.spans == weighed.spans
    crossing = [
        (t.subject.start - 40 < stop) != (t.object.start - 40 < stop) for t in plain.triples
    ]
    assert {True, False} <= set(crossing)
    lost = [
        np.log(one.score / (1 - one.score)) - np.log(other.score / (1 - other.score))
        for one, other in zip(plain.triples, weighed.triples, strict=True)
    ]
    np.testing.assert_allclose(lost, [1.5 * each for each in crossing], atol=1e-3)
    for triple in weighed.triples:
        options = replace(ALL, relation_threshold=triple.score)
        assert triple in changed.read([window], [BOTH], options=options)[0].triples


def test_explained_spans_name_what_was_weighed(reader: OverView) -> None:
    found = _read(reader, options=replace(ALL, explain=True))
    for one in found.spans:
        assert {c.entity_id for c in one.candidates} == {"Q1", "Q4", "Q2"}
        assert [c.rank for c in one.candidates] == [0, 1, 2]
        assert sorted((c.score for c in one.candidates), reverse=True) == [
            c.score for c in one.candidates
        ]
        assert one.entity_id in {None, one.candidates[0].entity_id}
    assert all(one.candidates == () for one in _read(reader).spans)


def test_given_mentions_come_back_exactly(reader: OverView) -> None:
    given = [Span(110, 113), Span(100, 112 - 3), Span(125, 130)]
    (found,) = reader.link([_window(TEXT, start=100)], [BOTH], [given], options=ALL)
    assert [one.span for one in found.spans] == given
    assert all(one.entity_id in {"Q1", "Q4", "Q2"} for one in found.spans)


def test_a_given_mention_may_be_nothing_known_only_where_asked(
    reader: OverView,
) -> None:
    given = [[Span(k, k + 1) for k in range(len(TEXT))]]
    windows = [_window(TEXT)]
    (sure,) = reader.link(windows, [BOTH], given, options=ALL)
    (free,) = reader.link(windows, [BOTH], given, options=replace(ALL, nil=True))
    (none,) = reader.link(windows, [WindowCandidates()], given, options=ALL)
    assert [len(found.spans) for found in (sure, free, none)] == [len(TEXT)] * 3
    assert all(one.entity_id for one in sure.spans)
    assert all(one.entity_id is None for one in none.spans)


def test_a_window_too_long_to_read_is_refused(reader: OverView) -> None:
    with pytest.raises(ConfigError, match="60 tokens of text"):
        _read(reader, "a " * 60)
    assert reader.count_text_tokens(["a " * 60, ""]) == [60, 0]


def test_a_candidate_of_another_knowledge_base_is_refused(reader: OverView) -> None:
    with pytest.raises(BundleError, match="'Q404' is not in the knowledge base"):
        _read(reader, candidates=WindowCandidates(entities=_list("Q404")))


def test_no_more_spans_are_kept_than_the_settings_say(
    tiny_bundle: Bundle, knowledge: Knowledge
) -> None:
    few = _open(tiny_bundle, knowledge, max_spans=2)
    assert len(_read(few).spans) == 2


def test_both_backends_read_alike(
    tiny_bundle: Bundle,
    knowledge: Knowledge,
    reader: OverView,
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    _assert_alike(_read(reader), _read(_open(tiny_bundle, knowledge, backend="torch")))


def test_rows_longer_than_the_positions_are_refused(
    tiny_bundle: Bundle, knowledge: Knowledge
) -> None:
    with pytest.raises(ConfigError, match="max_tokens 512, expected at most 48"):
        _open(tiny_bundle, knowledge, max_tokens=ReaderConfig().max_tokens)


@pytest.mark.parametrize("content", [None, "[]", "{}", '{"markers": {}}', "not json"])
def test_broken_settings_are_named(
    tiny_bundle: Bundle,
    knowledge: Knowledge,
    tmp_path: Path,
    content: str | None,
) -> None:
    (tmp_path / LAYOUT.reader).mkdir()
    if content is not None:
        (tmp_path / LAYOUT.reader / LAYOUT.config).write_text(content)
    with pytest.raises(BundleCorruptError, match=r"config\.json"):
        _open(tiny_bundle, knowledge, path=tmp_path)


def test_markers_that_do_not_fit_the_settings_are_refused(
    tiny_bundle: Bundle, knowledge: Knowledge, tmp_path: Path
) -> None:
    for name in (LAYOUT.reader, "shared"):
        shutil.copytree(tiny_bundle.path / name, tmp_path / name)
    path = tmp_path / LAYOUT.reader / LAYOUT.config
    config = json.loads(path.read_text())
    config["markers"]["n_entities"] = 7
    path.write_text(json.dumps(config))
    with pytest.raises(BundleCorruptError, match=r"10 markers, expected 40 .* and 11"):
        _open(tiny_bundle, knowledge, path=tmp_path)


def test_names_weigh_more_for_given_mentions_where_the_index_counted_them(
    tiny_bundle: Bundle, knowledge: Knowledge, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle.path / LAYOUT.entities, tmp_path / "counted")
    fields = read_manifest(tmp_path / "counted").fields
    write_manifest(tmp_path / "counted", kind=KIND, fields={**fields, "counted": True})
    counted = KnowledgeBase.open(tmp_path / "counted"), knowledge[1]
    start = TEXT.index("Paris")
    paris = [Span(start, start + 5)]

    def scores(kb: Knowledge, **settings: float) -> list[float]:
        reader = _open(tiny_bundle, kb, prior_weight=1.0, **settings)
        (found,) = reader.link([_window(TEXT)], [BOTH], [paris], options=replace(ALL, explain=True))
        return [one.score for one in found.spans[0].candidates]

    plain = scores(knowledge, given_prior_factor=2.0, counted_prior_factor=9.0)
    assert scores(counted, given_prior_factor=9.0, counted_prior_factor=2.0) == plain
    assert scores(counted, given_prior_factor=2.0, counted_prior_factor=9.0) != plain


def test_what_has_no_type_is_no_mention_where_nil_is_dropped(
    tiny_bundle: Bundle, knowledge: Knowledge
) -> None:
    # Everything is linked to nothing, then nothing is.
    for weight, kept in ((50.0, False), (-50.0, True)):
        settings = {"nil_weight": weight, "prior_weight": 0.0}
        told = _read(_open(tiny_bundle, knowledge, **settings))
        assert told.spans
        assert all((one.entity_id is not None) is kept for one in told.spans)
        dropped = _read(_open(tiny_bundle, knowledge, drop_nil=True, **settings))
        assert dropped.spans == (told.spans if kept else ())
        assert dropped.triples == (told.triples if kept else ())


def test_what_has_the_name_of_no_candidate_is_more_likely_linked_to_nothing(
    tiny_bundle: Bundle, knowledge: Knowledge
) -> None:
    born, paris = TEXT.index("born"), TEXT.index("Paris")
    given = [Span(born, born + 4), Span(paris, paris + 5)]

    def linked(**settings: float) -> list[str | None]:
        reader = _open(tiny_bundle, knowledge, prior_weight=0.0, nil_weight=-20.0, **settings)
        (found,) = reader.link([_window(TEXT)], [BOTH], [given], options=replace(ALL, nil=True))
        return [one.entity_id for one in found.spans]

    plain = linked()
    assert None not in plain
    assert linked(unnamed_nil_weight=50.0) == [None, plain[1]]
