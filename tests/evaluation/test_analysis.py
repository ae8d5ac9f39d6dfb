"""An analysis has the figures of a plain evaluation, whatever else it tells."""

import json
from collections.abc import Callable, Sequence

import pytest

from relik.evaluation import (
    GoldDocument,
    GoldMention,
    GoldTriple,
    evaluate_entities,
    evaluate_retrieval,
    evaluate_triples,
)
from relik.evaluation.analysis import (
    Analysis,
    Wanted,
    analyse_entities,
    analyse_retrieval,
    analyse_triples,
)
from relik.evaluation.compare import compare, differences
from relik.evaluation.markup import page
from relik.evaluation.metrics import Bootstrap
from relik.pipeline import Pipeline
from relik.testing import FakeNamePipeline
from relik.types import AnnotateOptions, Document, Entity, Relation, Span

ALL = Wanted(errors=True, breakdown=True, sections=True)
OPTIONS = AnnotateOptions(threshold=0.3, top_k=5)
TEXTS = (
    "Ada Lovelace was born in Paris , the capital of France .",
    "A writer in Berlin and the bank of the river . Paris Hilton was in Texas and in Berlin .",
    "",
)
ATTACK = "<script>alert(1)</script>"


def mentions_of(pipeline: Pipeline, text: str) -> tuple[GoldMention, ...]:
    """Make gold of what is found: most mentions right, some of other ids, some unknown."""
    document = Document(doc_id="d", text=text)
    (found,) = pipeline.annotate([document], options=AnnotateOptions(threshold=0.0, nil=True))
    ids = ("", "Q1", "Q-unknown", "")
    return tuple(
        GoldMention(span=each.span, entity_id=ids[i % 4] or each.entity_id)
        for i, each in enumerate(found.spans)
    )


@pytest.fixture(scope="module")
def gold(tiny_pipeline: Pipeline) -> list[GoldDocument]:
    documents = []
    for i, text in enumerate(TEXTS * 2):
        mentions = mentions_of(tiny_pipeline, text)
        triples = tuple(
            GoldTriple(subject=mentions[0], relation_id=r, object=mentions[-1])
            for r in ("P1", "P2")[: len(mentions)]
        )
        document = Document(doc_id=f"d{i}", text=text)
        documents.append(GoldDocument(document=document, mentions=mentions, triples=triples))
    return documents


def analysed(pipeline: Pipeline, gold: Sequence[GoldDocument], **settings: object) -> Analysis:
    arguments = {"options": OPTIONS, "known": pipeline.entities, "wanted": ALL} | settings
    return analyse_entities(pipeline, gold, records=pipeline.entities, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", [Wanted(), ALL])
@pytest.mark.parametrize("given_mentions", [False, True])
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_entities_have_the_figures_of_a_plain_evaluation(
    tiny_pipeline: Pipeline,
    gold: list[GoldDocument],
    wanted: Wanted,
    given_mentions: bool,
    threshold: float | None,
) -> None:
    options = AnnotateOptions(threshold=threshold)
    settings = {"options": options, "given_mentions": given_mentions}
    plain = evaluate_entities(tiny_pipeline, gold, known=tiny_pipeline.entities, **settings)  # type: ignore[arg-type]
    figures = analysed(tiny_pipeline, gold, wanted=wanted, **settings).figures
    assert {name: figures[name] for name in plain} == plain
    assert set(figures) - set(plain) == ({"errors", "breakdown"} if wanted.anything else set())


@pytest.mark.parametrize("entity_ids", [False, True])
def test_triples_have_the_figures_of_a_plain_evaluation(
    tiny_pipeline: Pipeline, gold: list[GoldDocument], entity_ids: bool
) -> None:
    known = tiny_pipeline.entities
    plain = evaluate_triples(
        tiny_pipeline, gold, options=OPTIONS, entity_ids=entity_ids, known=known
    )
    found = analyse_triples(
        tiny_pipeline,
        gold,
        name_of=lambda relation_id: "born in" if relation_id == "P1" else "",
        options=OPTIONS,
        entity_ids=entity_ids,
        known=known,
        wanted=ALL,
    ).figures
    breakdown = found.pop("breakdown")
    assert found == plain
    assert isinstance(breakdown, dict)
    relations = breakdown["relations"]
    support = sum(each["support"] for each in relations.values())
    counts = plain["triples"]
    assert isinstance(counts, dict)
    assert support == counts["counts"]["right"] + counts["counts"]["missed"]
    assert (relations["P1"]["name"], relations["P2"]["name"]) == ("born in", None)


@pytest.mark.parametrize("top_k", [None, 1, 3, 20])
def test_retrieval_has_the_figures_of_a_plain_evaluation(
    tiny_pipeline: Pipeline, gold: list[GoldDocument], top_k: int | None
) -> None:
    options, known = AnnotateOptions(top_k=top_k), tiny_pipeline.entities
    plain = evaluate_retrieval(tiny_pipeline, gold, known=known, options=options)
    found = analyse_retrieval(tiny_pipeline, gold, known=known, options=options)
    assert found.figures == plain
    recall = plain["recall_at"]
    assert isinstance(recall, dict)
    assert found.ratios["recall_at"].names == tuple(recall)


def test_errors_and_groups_add_up(tiny_pipeline: Pipeline, gold: list[GoldDocument]) -> None:
    figures = json.loads(json.dumps(analysed(tiny_pipeline, gold).figures))
    counts, errors = figures["inkb"]["counts"], figures["errors"]
    n_gold = counts["right"] + counts["missed"]
    assert n_gold > 0
    assert sum(each["count"] for each in errors["gold"].values()) == n_gold
    assert errors["gold"]["right"]["count"] == counts["right"] > 0
    assert (errors["top_k"], errors["threshold"]) == (5, 0.3)
    frequency = figures["breakdown"]["frequency"]
    assert sum(group["support"] for group in frequency.values()) == n_gold


def test_an_analysis_compared_with_itself_does_not_differ(
    tiny_pipeline: Pipeline, gold: list[GoldDocument]
) -> None:
    found, again = (analysed(tiny_pipeline, gold, wanted=wanted) for wanted in (ALL, Wanted()))
    for name, ratios in found.ratios.items():
        for each in differences(compare(ratios, again.ratios[name], bootstrap=Bootstrap())):
            assert (each.delta, each.p) == (0.0, 1.0)


def test_text_and_names_are_shown_and_never_run(read_page: Callable[[str], object]) -> None:
    text = f"Ada {ATTACK} met Bob"
    named = FakeNamePipeline(
        [
            Entity(entity_id="Q1", name=f"Ada {ATTACK}", aliases=("Ada",), types=(ATTACK,)),
            Entity(entity_id="Q2", name="Bob"),
        ],
        relations=[Relation(relation_id="P1", name=ATTACK)],
        facts={("Q1", "Q2"): ("P1",)},
    )
    ada = GoldMention(span=Span(0, 3), entity_id="Q2")
    bob = GoldMention(span=Span(len(text) - 3, len(text)), entity_id="Q2")
    document = GoldDocument(
        document=Document(doc_id=ATTACK, text=text),
        mentions=(ada, bob),
        triples=(GoldTriple(subject=bob, relation_id="P1", object=ada),),
    )
    linked = analyse_entities(
        named, [document], known=named.entities, records=named.entities, options=OPTIONS, wanted=ALL
    )
    related = analyse_triples(
        named, [document], name_of=lambda _: ATTACK, options=OPTIONS, wanted=ALL
    )
    for analysis, at_least in ((linked, 4), (related, 6)):
        html = page("x", [], analysis.sections)
        read = read_page(html)
        assert getattr(read, "text", "").count(ATTACK) >= at_least
        assert "<script" not in html


def test_only_what_is_wanted_is_told(tiny_pipeline: Pipeline, gold: list[GoldDocument]) -> None:
    for wanted in (Wanted(errors=True), Wanted(breakdown=True), Wanted(sections=True)):
        found = analysed(tiny_pipeline, gold, wanted=wanted)
        assert ("errors" in found.figures) is wanted.errors
        assert ("breakdown" in found.figures) is wanted.breakdown
        assert bool(found.sections) is wanted.sections


def test_mentions_that_are_not_known_to_both_are_not_judged(
    tiny_pipeline: Pipeline, gold: list[GoldDocument]
) -> None:
    found = analysed(tiny_pipeline, gold, known=frozenset({"Q1"}))
    known = [m for each in gold for m in each.mentions if m.entity_id == "Q1"]
    figures = json.loads(json.dumps(found.figures))
    counts = figures["inkb"]["counts"]
    assert counts["right"] + counts["missed"] == len(known) > 0
