"""What the tests of the reader's settings share."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from relik.bundle import Bundle
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.layout import LAYOUT
from relik.reader.open_reader import open_reader
from relik.types import AnnotateOptions, Candidate, Span, Window, WindowCandidates

Mentions = Callable[..., set[str]]


@pytest.fixture
def mentions_of(tiny_bundle: Bundle) -> Mentions:
    """Give what the random model finds in a text, or links where it is given, by a setting."""

    def read(text: str, given: Span | None = None, **changed: bool) -> set[str]:
        rules = replace(tiny_bundle.config.rules, **changed)
        reader = open_reader(
            tiny_bundle.path,
            backend="onnx",
            config=replace(tiny_bundle.config, rules=rules),
            tokenizer=tiny_bundle.tokenizer(),
        )
        entities, relations = (
            KnowledgeBase.open(tiny_bundle.path / LAYOUT.entities),
            KnowledgeBase.open(tiny_bundle.path / LAYOUT.relations),
        )
        view = KnowledgeView(entities=entities, relations=relations)
        window = Window(doc_id="d", index=0, span=Span(0, len(text)), text=text)
        candidate = Candidate(entity_id="Q1", score=1.0, rank=0, source="given")
        candidates = [WindowCandidates(entities=(candidate,), relations=())]
        options = AnnotateOptions(threshold=0.0, nil=True)
        mentions = None if given is None else [[given]]
        (told,) = reader.read([window], candidates, view, options=options, mentions=mentions)
        return {text[one.span.start : one.span.end] for one in told.spans}

    return read
