"""Every figure here is counted by hand."""

from collections.abc import Sequence

from relik.evaluation import (
    GoldDocument,
    GoldMention,
    GoldTriple,
    evaluate_entities,
    evaluate_retrieval,
    evaluate_triples,
)
from relik.types import (
    AnnotateOptions,
    Annotation,
    Candidate,
    Coverage,
    Document,
    EntitySpan,
    Span,
    Triple,
    Window,
    WindowCandidates,
)

TEXT = "Ada met Bob in Rome and Cy saw Dee"
ADA, BOB, ROME, CY, DEE = Span(0, 3), Span(8, 11), Span(15, 19), Span(24, 26), Span(31, 34)
KNOWN = {"QA", "QB", "QR", "QZ"}


def gold(mentions: dict[Span, str | None], *facts: tuple[Span, str, Span]) -> GoldDocument:
    found = {span: GoldMention(span=span, entity_id=qid) for span, qid in mentions.items()}
    return GoldDocument(
        document=Document(doc_id="d", text=TEXT),
        mentions=tuple(found.values()),
        triples=tuple(
            GoldTriple(subject=found[s], relation_id=r, object=found[o]) for s, r, o in facts
        ),
    )


class Canned:
    """Answers every document alike, given mentions only among those given."""

    def __init__(self, links: dict[Span, str | None], *facts: tuple[Span, str, Span]) -> None:
        self.links = links
        self.facts = facts
        self.asked: list[AnnotateOptions] = []

    def annotate(
        self, documents: Sequence[Document], *, options: AnnotateOptions
    ) -> list[Annotation]:
        return self.link(documents, [list(self.links)] * len(documents), options=options)

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[Annotation]:
        self.asked.append(options)
        return [
            Annotation(
                doc_id=document.doc_id,
                spans=tuple(
                    EntitySpan(span=span, entity_id=self.links[span], score=1.0)
                    for span in spans
                    if span in self.links
                ),
                triples=tuple(
                    Triple(subject=s, relation_id=r, object=o, score=1.0) for s, r, o in self.facts
                ),
                coverage=Coverage(characters=len(document.text), windows=1),
            )
            for document, spans in zip(documents, mentions, strict=True)
        ]


class Proposing:
    """Cuts the text in two windows and proposes the same entities for each."""

    def __init__(self, *entity_ids: str) -> None:
        self.entity_ids = entity_ids

    def split(self, document: Document) -> list[Window]:
        spans = [Span(0, 19), Span(12, 26)]
        return [
            Window(doc_id="d", index=i, span=s, text=document.text[s.start : s.end])
            for i, s in enumerate(spans)
        ]

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        entities = tuple(
            Candidate(entity_id=qid, score=1.0, rank=rank, source="dense")
            for rank, qid in enumerate(self.entity_ids[: options.top_k])
        )
        return [WindowCandidates(entities=entities) for _ in windows]


def figures(report: dict[str, object], key: str) -> tuple[object, object, object]:
    rated = report[key]
    assert isinstance(rated, dict)
    return rated["precision"], rated["recall"], rated["f1"]


def counts(report: dict[str, object], key: str) -> object:
    rated = report[key]
    assert isinstance(rated, dict)
    return rated["counts"]


def test_the_two_readings_differ_in_predictions_on_mentions_without_a_known_id() -> None:
    wanted = gold({ADA: "QA", BOB: "QB", ROME: "QR", CY: "Q-unknown", DEE: None})
    # Right: Ada. Wrong: Rome as another. Missed: Bob, Rome. On unknown gold: Cy, Dee.
    answers = Canned({ADA: "QA", ROME: "QZ", CY: "QZ", DEE: "QZ"})
    report = evaluate_entities(answers, [wanted], known=KNOWN, options=AnnotateOptions())
    assert counts(report, "inkb") == {"right": 1, "wrong": 1, "missed": 2}
    assert counts(report, "with_nil") == {"right": 1, "wrong": 3, "missed": 2}
    assert figures(report, "inkb") == (0.5, 0.3333, 0.4)
    assert figures(report, "with_nil") == (0.25, 0.3333, 0.2857)


def test_a_prediction_away_from_all_gold_is_wrong_in_both_readings() -> None:
    report = evaluate_entities(
        Canned({ADA: "QA", CY: "QZ"}), [gold({ADA: "QA"})], known=KNOWN, options=AnnotateOptions()
    )
    assert counts(report, "inkb") == counts(report, "with_nil")
    assert figures(report, "inkb") == (0.5, 1.0, 0.6667)


def test_a_span_off_by_one_is_not_right() -> None:
    report = evaluate_entities(
        Canned({Span(0, 4): "QA"}), [gold({ADA: "QA"})], known=KNOWN, options=AnnotateOptions()
    )
    assert counts(report, "inkb") == {"right": 0, "wrong": 1, "missed": 1}


def test_given_mentions_rate_the_linking_alone() -> None:
    wanted = gold({ADA: "QA", BOB: "QB", ROME: "QR", CY: "Q-unknown", DEE: None})
    answers = Canned({ADA: "QA", BOB: "QZ", CY: "QZ", Span(4, 7): "QZ"})
    report = evaluate_entities(
        answers, [wanted], known=KNOWN, options=AnnotateOptions(), given_mentions=True
    )
    assert figures(report, "inkb") == (0.3333, 0.3333, 0.3333)
    assert figures(report, "with_nil") == (0.4, 0.4, 0.4)
    assert answers.asked[0].threshold == 0.0


def test_an_asked_threshold_holds_with_given_mentions_too() -> None:
    answers = Canned({})
    evaluate_entities(
        answers,
        [gold({ADA: "QA"})],
        known=KNOWN,
        options=AnnotateOptions(threshold=0.4),
        given_mentions=True,
    )
    assert answers.asked[0].threshold == 0.4


def test_triples_are_compared_by_boundaries_or_by_ids() -> None:
    wanted = gold(
        {ADA: "QA", BOB: "QB", ROME: "QR", DEE: None},
        (ADA, "P1", BOB),
        (ADA, "P2", ROME),
        (ADA, "P3", DEE),
    )
    # By boundaries: P1 right, P3 right, the second P1 wrong. By ids: Ada is linked to another.
    answers = Canned(
        {ADA: "QZ", BOB: "QB", ROME: "QR", DEE: None},
        (ADA, "P1", BOB),
        (ADA, "P3", DEE),
        (BOB, "P1", ROME),
    )
    report = evaluate_triples(answers, [wanted], options=AnnotateOptions())
    assert counts(report, "triples") == {"right": 2, "wrong": 1, "missed": 1}
    report = evaluate_triples(answers, [wanted], options=AnnotateOptions(), entity_ids=True)
    assert counts(report, "triples") == {"right": 0, "wrong": 2, "missed": 2}
    assert [options.nil for options in answers.asked] == [True, False]


def test_triples_of_unknown_ids_are_no_gold_in_the_knowledge_base() -> None:
    wanted = gold({ADA: "QA", BOB: "QB", ROME: "Q-unknown"}, (ADA, "P1", BOB), (ADA, "P2", ROME))
    answers = Canned({ADA: "QA", BOB: "QB"}, (ADA, "P1", BOB), (BOB, "P1", ADA))
    report = evaluate_triples(
        answers, [wanted], options=AnnotateOptions(), entity_ids=True, known=KNOWN
    )
    assert counts(report, "triples") == {"right": 1, "wrong": 1, "missed": 1}
    assert counts(report, "inkb") == {"right": 1, "wrong": 1, "missed": 0}
    plain = evaluate_triples(answers, [wanted], options=AnnotateOptions(), known=KNOWN)
    assert set(plain) == {"triples"}


def test_triples_are_not_judged_where_gold_marks_no_mention_of_the_knowledge_base() -> None:
    wanted = gold({ADA: "QA", BOB: "QB", ROME: "Q-unknown"}, (ADA, "P1", BOB), (ADA, "P4", BOB))
    answers = Canned(
        {ADA: "QA", BOB: "QB", ROME: "QR", CY: "QB"},
        (ADA, "P1", BOB),  # right
        (BOB, "P1", ADA),  # wrong
        (ADA, "P1", ROME),  # an end on a mention of no known id
        (CY, "P1", ADA),  # the same as the second, at a place without a mention
        (CY, "P3", ADA),  # an end where gold marks nothing
    )
    report = evaluate_triples(
        answers, [wanted], options=AnnotateOptions(), entity_ids=True, known=KNOWN
    )
    assert counts(report, "triples") == {"right": 1, "wrong": 3, "missed": 1}
    assert counts(report, "inkb") == {"right": 1, "wrong": 2, "missed": 1}
    assert counts(report, "marked") == {"right": 1, "wrong": 1, "missed": 1}


def test_a_triple_found_at_two_places_counts_once_by_ids() -> None:
    wanted = gold({ADA: "QA", BOB: "QB", CY: "QA"}, (ADA, "P1", BOB), (CY, "P1", BOB))
    answers = Canned({ADA: "QA", BOB: "QB"}, (ADA, "P1", BOB))
    report = evaluate_triples(answers, [wanted], options=AnnotateOptions(), entity_ids=True)
    assert counts(report, "triples") == {"right": 1, "wrong": 0, "missed": 0}


def test_retrieval_counts_pairs_of_window_and_entity() -> None:
    # Windows "Ada met Bob in Rome" and "in Rome and Cy"; Dee is in neither and is missed.
    wanted = gold({ADA: "QA", BOB: "QB", ROME: "QR", CY: "Q-unknown", DEE: "QZ"})
    report = evaluate_retrieval(
        Proposing("QR", "Q9", "QA"), [wanted], known=KNOWN, options=AnnotateOptions()
    )
    assert report["counts"] == {"pairs": 5}
    recall = report["recall_at"]
    assert isinstance(recall, dict)
    assert (recall["1"], recall["5"], recall["100"]) == (0.4, 0.6, 0.6)


def test_retrieval_is_not_rated_deeper_than_asked() -> None:
    report = evaluate_retrieval(
        Proposing("QR", "Q9", "QA"), [], known=KNOWN, options=AnnotateOptions(top_k=10)
    )
    assert report["recall_at"] == {"1": 0.0, "5": 0.0, "10": 0.0}


def test_figures_do_not_depend_on_how_documents_are_chunked() -> None:
    many = [gold({ADA: "QA", BOB: "QB"})] * 130
    report = evaluate_entities(Canned({ADA: "QA"}), many, known=KNOWN, options=AnnotateOptions())
    assert counts(report, "inkb") == {"right": 130, "wrong": 0, "missed": 130}
