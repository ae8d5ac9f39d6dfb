"""What the bundle that ships answers on real text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relik import AnnotateOptions, Annotation, Document, Pipeline, Span

NEWS = [
    "Marie Curie and her husband Pierre Curie won the Nobel Prize in Physics in 1903.",
    "Microsoft, founded by Bill Gates and Paul Allen, is based in Redmond, Washington.",
    "Barack Obama was born in Honolulu and studied at Harvard Law School.",
    "Germany beat Argentina 1-0 in Rio de Janeiro. Chancellor Angela Merkel watched the final.",
    "The River Thames flows through London and Oxford.",
]
AWKWARD = [
    "",
    " \r\n\t ",
    "😀 Barack Obama 👩‍👩‍👧 visited Berlin 🇩🇪.",
    "Zoe\u0308 Saldan\u0303a lives in Los Angeles.",
    "باراك أوباما ולד בהונולולו Barack Obama",
    "Paris [E-3] --NME-- [MASK] [SEP] [CLS] London",
    "Line one: Paris.\r\nLine two: Berlin.\r\n",
    "x" * 3000,
    "東京は日本の首都です。" * 40,
]


def linked(annotation: Annotation, text: str) -> dict[str, str | None]:
    return {text[s.span.start : s.span.end]: s.entity_id for s in annotation.spans}


def triples(annotation: Annotation) -> set[tuple[str | None, str, str | None]]:
    of = {s.span: s.entity_id for s in annotation.spans}
    return {(of[t.subject], t.relation_id, of[t.object]) for t in annotation.triples}


def annotate(pipeline: Pipeline, text: str) -> Annotation:
    (annotation,) = pipeline.annotate([Document(doc_id="1", text=text)])
    return annotation


def test_people_are_linked(pipeline: Pipeline) -> None:
    assert linked(annotate(pipeline, NEWS[0]), NEWS[0])["Marie Curie"] == "Q7186"
    assert linked(annotate(pipeline, NEWS[2]), NEWS[2])["Barack Obama"] == "Q76"


def test_a_pictograph_beside_a_name_stays_outside(pipeline: Pipeline) -> None:
    found = linked(annotate(pipeline, AWKWARD[2]), AWKWARD[2])
    assert found["Barack Obama"] == "Q76"
    assert found["Berlin"] == "Q64"


def test_a_name_is_found_without_its_marks(pipeline: Pipeline) -> None:
    text = "Lech Walesa led Solidarity in Gdansk."
    found = linked(annotate(pipeline, text), text)
    assert found["Lech Walesa"] == "Q444"
    assert found["Gdansk"] == "Q1792"


def test_a_company_and_its_founder_are_linked(pipeline: Pipeline) -> None:
    found = linked(annotate(pipeline, NEWS[1]), NEWS[1])
    assert found["Microsoft"] == "Q2283"
    assert found["Bill Gates"] == "Q5284"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NEWS[0], {("Q7186", "P26")}),
        (NEWS[1], {("Q2283", "P112", "Q5284"), ("Q2283", "P112", "Q162005")}),
        (NEWS[2], {("Q76", "P19", "Q18094"), ("Q76", "P69", "Q49122")}),
    ],
)
def test_what_a_sentence_says_is_found(
    pipeline: Pipeline, text: str, expected: set[tuple[str, ...]]
) -> None:
    found = triples(annotate(pipeline, text))
    # Whom Marie Curie married is not in the knowledge base: subject and relation must do.
    short = {triple[:2] for triple in found}
    assert {triple for triple in expected if triple not in found and triple not in short} == set()


@pytest.mark.parametrize("text", AWKWARD)
def test_offsets_index_the_text_as_it_was_given(pipeline: Pipeline, text: str) -> None:
    annotation = annotate(pipeline, text)
    assert not annotation.coverage.truncated
    for found in annotation.spans:
        surface = text[found.span.start : found.span.end]
        assert surface.strip() == surface
        assert surface
        assert 0.0 <= found.score <= 1.0


def test_typed_markers_stay_text(pipeline: Pipeline) -> None:
    text = AWKWARD[5]
    assert linked(annotate(pipeline, text), text)["London"] == "Q84"


@settings(max_examples=6)
@given(st.lists(st.sampled_from(NEWS + AWKWARD[:7]), min_size=2, max_size=4))
def test_an_answer_does_not_depend_on_its_batch(pipeline: Pipeline, texts: list[str]) -> None:
    documents = [Document(doc_id=str(i), text=text) for i, text in enumerate(texts)]
    together = pipeline.annotate(documents)
    for document, both in zip(documents, together, strict=True):
        (alone,) = pipeline.annotate([document])
        assert [(s.span, s.entity_id) for s in both.spans] == [
            (s.span, s.entity_id) for s in alone.spans
        ]
        for one, other in zip(both.spans, alone.spans, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-3)
        assert [(t.subject, t.relation_id, t.object) for t in both.triples] == [
            (t.subject, t.relation_id, t.object) for t in alone.triples
        ]


def test_given_mentions_are_linked_as_given(pipeline: Pipeline) -> None:
    text = "Paris is the capital of France."
    spans = [Span(0, 5), Span(24, 30)]
    (annotation,) = pipeline.link([Document(doc_id="1", text=text)], [spans])
    assert [(s.span, s.entity_id) for s in annotation.spans] == [
        (spans[0], "Q90"),
        (spans[1], "Q142"),
    ]


def test_types_restrict_what_is_linked(pipeline: Pipeline) -> None:
    (annotation,) = pipeline.annotate(
        [Document(doc_id="1", text=NEWS[2])], options=AnnotateOptions(types=("person",))
    )
    for found in annotation.spans:
        if found.entity_id is not None:
            entity = pipeline.entity(found.entity_id)
            assert entity is not None
            assert "person" in entity.types
