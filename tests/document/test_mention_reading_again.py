"""The second look: which windows are read again, with which candidates, and what comes of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from relik.config import PipelineConfig, ReaderConfig, RetrieverConfig
from relik.document.mention_reading import read_free
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.pipeline import Pipeline
from relik.reader.reader import TransformerReader
from relik.retriever.window_retriever import WindowRetriever
from relik.testing import HashEncoder
from relik.types import (
    AnnotateOptions,
    Candidate,
    EntitySpan,
    Span,
    Window,
    WindowAnnotation,
    WindowCandidates,
)
from relik_index import build_index

OPTIONS = AnnotateOptions()
FIRST = 3


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    folder: Path = tmp_path_factory.mktemp("kb")
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    (folder / "kb.jsonl").write_text(
        '{"id": "Q60", "name": "New York"}\n{"id": "Q90", "name": "Paris"}\n'
        '{"id": "Q1", "name": "X"}\n{"id": "Q2", "name": "limestone"}\n'
    )
    build_index(folder / "kb.jsonl", folder / "kb", encoder=HashEncoder(8), tokenizer=tokenizer)
    return KnowledgeBase.open(folder / "kb")


def _view(kb: KnowledgeBase) -> KnowledgeView:
    return KnowledgeView(entities=kb, relations=kb)


class Reader(TransformerReader):
    """Finds the same mentions each time, and links what has the name of a candidate."""

    def __init__(self, kb: KnowledgeBase, *surfaces: str) -> None:
        self._kb = kb
        self._surfaces = surfaces
        self.windows: list[str] = []

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        view: KnowledgeView,
        *,
        options: AnnotateOptions,
        mentions: Sequence[Sequence[Span]] | None = None,
    ) -> list[WindowAnnotation]:
        assert not mentions
        self.windows += [window.text for window in windows]
        pairs = zip(windows, candidates, strict=True)
        return [
            WindowAnnotation(window=window, spans=self._spans(window, found), triples=())
            for window, found in pairs
        ]

    def _spans(self, window: Window, found: WindowCandidates) -> tuple[EntitySpan, ...]:
        names = {}
        for candidate in found.entities:
            row = self._kb.row_of(candidate.entity_id)
            names["" if row is None else self._kb.name(row).lower()] = candidate.entity_id
        spans = []
        for surface in self._surfaces:
            at = window.text.find(surface)
            if at >= 0:
                span = Span(FIRST + at, FIRST + at + len(surface))
                key = names.get(surface.lower())
                spans.append(EntitySpan(span=span, entity_id=key, score=0.5))
        return tuple(spans)


def _candidates(*ids: str) -> WindowCandidates:
    return WindowCandidates(
        entities=tuple(
            Candidate(entity_id=key, score=1 - rank / 10, rank=rank, source="dense")
            for rank, key in enumerate(ids)
        )
    )


def _read(
    kb: KnowledgeBase, reader: Reader, *asked: tuple[str, WindowCandidates], least: float = 0.5
) -> list[list[str | None]]:
    windows = [
        Window(doc_id="d", index=i, span=Span(FIRST, FIRST + len(text)), text=text)
        for i, (text, _) in enumerate(asked)
    ]
    candidates = [found for _, found in asked]
    config = ReaderConfig(threshold=least, look_again=True)
    told = read_free(reader, _view(kb), windows, candidates, config=config, options=OPTIONS)
    assert [one.window for one in told] == windows
    del reader.windows[: len(windows)]  # what is left was read again
    return [[span.entity_id for span in one.spans] for one in told]


def test_a_mention_whose_name_had_no_candidate_gets_one(kb: KnowledgeBase) -> None:
    reader = Reader(kb, "paris", "Sarah")
    told = _read(kb, reader, ("in paris with Sarah", _candidates("a", "b")))
    assert told == [["Q90", None]]


def test_only_windows_that_miss_a_name_are_read_again(kb: KnowledgeBase) -> None:
    reader = Reader(kb, "paris", "nowhere")
    told = _read(
        kb,
        reader,
        ("once more nowhere", _candidates("a", "b")),
        ("we like paris", _candidates("a", "b")),
        ("we saw paris", _candidates("a", "Q90")),
    )
    assert reader.windows == ["we like paris"]
    assert told == [[None], ["Q90"], ["Q90"]]


def test_what_is_hardly_a_mention_is_looked_up_no_more(kb: KnowledgeBase) -> None:
    reader = Reader(kb, "paris")
    asked = ("in paris", _candidates("a", "b"))
    assert _read(kb, reader, asked, least=0.51) == [[None]]
    assert reader.windows == []


def test_common_nouns_are_looked_up_no_more(kb: KnowledgeBase) -> None:
    reader = Reader(kb, "limestone", "York")
    assert _read(kb, reader, ("limestone of York", _candidates("a", "b"))) == [[None, None]]
    assert reader.windows == []


def test_one_letter_is_looked_up_no_more(kb: KnowledgeBase) -> None:
    reader = Reader(kb, "x")
    assert _read(kb, reader, ("solve for x", _candidates("a", "b"))) == [[None]]
    assert reader.windows == []


def test_nothing_read_is_nothing_read_again(kb: KnowledgeBase) -> None:
    assert _read(kb, Reader(kb)) == []


@pytest.mark.parametrize(
    ("look_again", "types", "told"),
    [(True, (), "Q90"), (False, (), None), (True, ("place",), None)],
)
def test_a_pipeline_looks_again_where_it_is_told_to(
    kb: KnowledgeBase, look_again: bool, types: tuple[str, ...], told: str | None
) -> None:
    """Candidates of some types alone were asked for, and a name may be of another."""
    retriever = WindowRetriever(HashEncoder(8), RetrieverConfig())
    reader = Reader(kb, "paris")
    config = PipelineConfig(reader=ReaderConfig(look_again=look_again, threshold=0.5))
    text = "in paris"
    window = Window(doc_id="d", index=0, span=Span(FIRST, FIRST + len(text)), text=text)
    options = AnnotateOptions(types=types)
    (read,) = Pipeline(retriever, reader, config, _view(kb)).read(
        [window], [_candidates("a", "b")], options=options
    )
    assert [span.entity_id for span in read.spans] == [told]
