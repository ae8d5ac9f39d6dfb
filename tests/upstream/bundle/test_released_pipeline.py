"""A released pipeline on the server answers what `Relik` answers without quirks."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for _library in ("torch", "transformers", "spacy", "yaml", "onnx"):
    pytest.importorskip(_library)

from relik.errors import BundleError, ConfigError, InputError  # noqa: E402  # needs torch
from relik.find_pipeline import find_pipeline  # noqa: E402  # needs torch
from relik.types import AnnotateOptions, Document, Span, Window  # noqa: E402  # needs torch
from relik.upstream.bundle.released_pipeline import ReleasedPipeline  # noqa: E402  # needs torch
from relik.upstream.dropin.relik import Relik  # noqa: E402  # needs torch
from relik_index.convert import convert_pipeline  # noqa: E402  # needs torch

RELEASED = Path(__file__).parents[2] / "golden" / "upstream"
NAMES = ("tiny-re", "tiny-cie", "tinydeb-el")
TEXT = "Marie Curie was born in Warsaw and worked at the University of Paris with Pierre Curie."
# A window begins or ends within the words with hyphens.
HYPHENS = "The well-known state-of-the-art so-called up-to-date e-mail-based check-in of Rome " * 4
LONG = (
    "Alan Turing worked at Bletchley Park on the Enigma machine. Ada Lovelace wrote about the "
    "Analytical Engine of Charles Babbage in London. Napoleon lost the Battle of Waterloo in "
    "Belgium. Jeff Bezos founded Amazon in Seattle. Steve Jobs founded Apple Inc. in Cupertino."
)
TEXTS = [TEXT, "", " \n ", LONG, HYPHENS, "Rome", "🙂 Zoë met Straße [E-0] --NME-- [SEP] in Paris."]
# Torch and ONNX Runtime round differently.
NEAR = 2e-5

Open = Callable[..., ReleasedPipeline]


@pytest.fixture(scope="module")
def open_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Opens a pipeline as it was released or as it was converted, once each."""
    opened: dict[tuple[str, str], Any] = {}
    folder = tmp_path_factory.mktemp("converted")

    def open_one(name: str, form: str = "onnx") -> Any:
        if (name, form) not in opened:
            source = RELEASED / name
            if form == "released":
                opened[name, form] = find_pipeline(str(source)).pipeline("auto")
            else:
                if not (folder / name).exists():
                    convert_pipeline(str(source), folder / name)
                opened[name, form] = find_pipeline(str(folder / name)).pipeline(form)
        return opened[name, form]

    return open_one


def documents(*texts: str) -> list[Document]:
    return [Document(doc_id=f"d{n}", text=text) for n, text in enumerate(texts)]


@pytest.mark.parametrize("form", ["onnx", "torch", "released"])
@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_relik(open_pipeline: Open, name: str, form: str) -> None:
    pipeline = open_pipeline(name, form)
    options = AnnotateOptions(nil=True)
    found = pipeline.annotate(documents(*TEXTS), options=options)
    remove = {} if name == "tiny-re" else {"remove_nmes": False}
    expected = Relik.from_pretrained(RELEASED / name)(TEXTS, **remove)
    spans = 0
    for one, wanted in zip(found, expected, strict=True):
        labels = {
            s.span: "--NME--" if s.entity_id is None else pipeline.entity(s.entity_id).name
            for s in one.spans
        }
        assert [(s.start, s.end, labels[s]) for s in labels] == [s[:3] for s in wanted.spans]
        triples = [
            (
                (t.subject.start, t.subject.end),
                pipeline.relation(t.relation_id).name,
                (t.object.start, t.object.end),
                pytest.approx(t.score, abs=NEAR),
            )
            for t in one.triples
        ]
        assert sorted(triples, key=lambda t: t[:3]) == sorted(
            ((t.subject[:2], t.label, t.object[:2], t.confidence) for t in wanted.triplets),
            key=lambda t: t[:3],
        )
        assert not one.coverage.truncated
        spans += len(one.spans)
    assert spans


@pytest.mark.parametrize("name", NAMES)
def test_candidates_are_those_of_relik_best_first(open_pipeline: Open, name: str) -> None:
    pipeline = open_pipeline(name)
    (document,) = documents(LONG)
    windows = pipeline.split(document)
    found = pipeline.retrieve(windows, options=AnnotateOptions(top_k=7))
    expected = Relik.from_pretrained(RELEASED / name)(LONG, top_k=7).candidates
    for task, own, lines in (
        ("span", [one.entities for one in found], expected.span),
        ("triplet", [one.relations for one in found], expected.triplet),
    ):
        shown = [[pipeline.view.document(task, c.entity_id) for c in line] for line in own]
        assert shown == (lines[0] if lines else [[] for _ in windows])
        for line in filter(None, own):
            scores = [candidate.score for candidate in line]
            assert (scores[0], scores[-1]) == (1.0, 0.0)
            assert scores == sorted(scores, reverse=True)
            assert [candidate.rank for candidate in line] == list(range(7))


@pytest.mark.parametrize("name", NAMES)
def test_records_have_the_text_and_the_definition_of_their_documents(
    open_pipeline: Open, name: str
) -> None:
    for form in ("onnx", "released"):
        pipeline = open_pipeline(name, form)
        if name != "tiny-re":
            entity = pipeline.entity("1000")
            assert (entity.entity_id, entity.name) == ("1000", "Michael Jordan")
            assert entity.description == "American basketball player and businessman"
            assert pipeline.view.document("span", "1000").id == 1000
            assert len(pipeline.entities) == 50
        if name != "tinydeb-el":
            relation = pipeline.relation("0")
            assert (relation.relation_id, relation.name) == ("0", "place of birth")
            assert len(pipeline.relations) == 24
        for unknown in ("Michael Jordan", "no such", "٣", "01000"):
            assert pipeline.entity(unknown) is pipeline.relation(unknown) is None
        assert pipeline.model == name
        assert len(pipeline.kb_version) == 16


def test_windows_index_the_document_and_know_their_words(open_pipeline: Open) -> None:
    pipeline = open_pipeline("tiny-cie")
    (document,) = documents(HYPHENS)
    windows = pipeline.split(document)
    assert len(windows) > 2
    for n, window in enumerate(windows):
        assert (window.doc_id, window.index) == ("d0", n)
        assert HYPHENS[window.span.start : window.span.end] == window.text
        assert pipeline.count_tokens(window) > len(window.text) // 4
    # Cut from its context, a window can have other words.
    assert any(window.text.startswith("-") for window in windows)
    assert pipeline.split(documents("")[0]) == []
    with pytest.raises(InputError, match="surrogate"):
        pipeline.split(documents("a \ud800")[0])


def test_a_plain_window_can_be_read_too(open_pipeline: Open) -> None:
    pipeline = open_pipeline("tinydeb-el")
    window = Window(doc_id="d", index=0, span=Span(10, 10 + len(TEXT)), text=TEXT)
    options = AnnotateOptions(nil=True)
    (plain,) = pipeline.read(
        [window], pipeline.retrieve([window], options=options), options=options
    )
    (known,) = pipeline.annotate(documents(TEXT), options=options)
    places = {(found.span.start - 10, found.span.end - 10) for found in plain.spans}
    assert {(found.span.start, found.span.end) for found in known.spans} <= places


def test_a_text_too_long_for_the_reader_is_read_in_halves(open_pipeline: Open) -> None:
    for name in NAMES:
        pipeline = open_pipeline(name)
        whole = ReleasedPipeline(
            pipeline._parts,
            type(pipeline._config)(
                model="whole",
                settings=type(pipeline._config.settings)(
                    task=pipeline._config.settings.task, window_size="none"
                ),
                max_length=100,
            ),
            pipeline.view,
        )
        (found,) = whole.annotate(documents(LONG * 3))
        assert (found.coverage.windows, found.coverage.truncated) == (1, False)


def test_a_word_too_long_for_the_reader_is_told_and_spares_the_rest(open_pipeline: Open) -> None:
    pipeline = open_pipeline("tinydeb-el")
    options = AnnotateOptions(nil=True)
    alone, together = documents("x" * 9000, TEXT)
    broken, fine = pipeline.annotate([alone, together], options=options)
    assert broken.coverage.truncated
    assert broken.spans == ()
    assert fine.spans == pipeline.annotate([together], options=options)[0].spans


def test_tasks_are_those_that_are_asked_for(open_pipeline: Open) -> None:
    for name in NAMES:
        pipeline = open_pipeline(name)
        (none,) = pipeline.annotate(
            documents(LONG), options=AnnotateOptions(entities=False, relations=False)
        )
        assert (none.spans, none.triples) == ((), ())
        (linked,) = pipeline.annotate(documents(LONG), options=AnnotateOptions(relations=False))
        assert linked.triples == ()
        assert all(span.entity_id is not None for span in linked.spans)
        (related,) = pipeline.annotate(documents(LONG), options=AnnotateOptions(entities=False))
        ends = {end for t in related.triples for end in (t.subject, t.object)}
        assert {span.span for span in related.spans} == ends


def test_thresholds_and_explanations(open_pipeline: Open) -> None:
    pipeline = open_pipeline("tinydeb-el")
    (every,) = pipeline.annotate(documents(*TEXTS)[3:4], options=AnnotateOptions(explain=True))
    assert every.spans
    for span in every.spans:
        assert span.candidates[0].entity_id == span.entity_id
        assert span.candidates[0].score == pytest.approx(span.score)
    middle = sorted(span.score for span in every.spans)[len(every.spans) // 2]
    (sure,) = pipeline.annotate(documents(*TEXTS)[3:4], options=AnnotateOptions(threshold=middle))
    assert {s.span for s in sure.spans} >= {s.span for s in every.spans if s.score >= middle}
    assert all(span.score >= middle for span in sure.spans)
    relations = open_pipeline("tiny-re")
    counts = [
        len(relations.annotate(documents(LONG), options=options)[0].triples)
        for options in (
            AnnotateOptions(relation_threshold=0.0),
            AnnotateOptions(),
            AnnotateOptions(relation_threshold=1.0),
        )
    ]
    assert counts[0] > counts[1] >= counts[2] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (AnnotateOptions(types=("person",)), "have no types"),
        (AnnotateOptions(pretokenised=True), "expected raw text"),
        (AnnotateOptions(top_k=0), "top_k 0"),
        (AnnotateOptions(threshold=1.5), "0 to 1"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    open_pipeline: Open, options: AnnotateOptions, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_pipeline("tiny-cie").annotate(documents(TEXT), options=options)


def test_the_two_steps_may_run_side_by_side(open_pipeline: Open) -> None:
    pipeline = open_pipeline("tiny-cie", "torch")
    options = AnnotateOptions(nil=True)
    windows = pipeline.split(documents(LONG)[0])
    candidates = pipeline.retrieve(windows, options=options)
    expected = pipeline.read(windows, candidates, options=options)
    failures: list[object] = []

    def check(step: Callable[[], object], wanted: object) -> None:
        for _ in range(5):
            if step() != wanted:
                failures.append(step)

    threads = [
        threading.Thread(
            target=check,
            args=(lambda: pipeline.retrieve(windows, options=options), candidates),
        ),
        threading.Thread(
            target=check,
            args=(lambda: pipeline.read(windows, candidates, options=options), expected),
        ),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_backends_that_cannot_be_had_are_told(open_pipeline: Open, tmp_path: Path) -> None:
    released = find_pipeline(str(RELEASED / "tiny-re"))
    with pytest.raises(ConfigError, match="relik convert"):
        released.pipeline("onnx")
    with pytest.raises(ConfigError, match="onnx, torch or auto"):
        released.pipeline("tensorrt")
    with pytest.raises(BundleError, match="neither"):
        find_pipeline(str(tmp_path))
