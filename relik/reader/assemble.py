"""From decoded spans of a row to an annotation of its window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relik.config import CalibrationConfig
from relik.errors import BundleError
from relik.kb import KnowledgeBase
from relik.reader.decode import (
    NIL_CLASS,
    DecodedSpan,
    ProposedSpan,
    calibrated,
    lowered,
    start_scores,
    with_ends,
)
from relik.reader.inputs import ReaderInput, TextTokens, begins_line
from relik.reader.rules.priors import log_priors
from relik.reader.rules.sentences import Sentences
from relik.types import (
    AnnotateOptions,
    Candidate,
    EntitySpan,
    FloatArray,
    IntArray,
    Span,
    Triple,
    Window,
    WindowAnnotation,
    WindowCandidates,
)

MAX_EXPLAINED = 5
# A name seldom goes on in the next line of a list.
_NEXT_LINE = 0.99


@dataclass(frozen=True, slots=True)
class Row:
    """A window on its way through the reader.

    Args:
        window: The window.
        candidates: What was proposed for it.
        text: Its tokens.
        built: Its row of tokens and markers.
        given: Mentions to link, in document coordinates; None where they are to be found.
    """

    window: Window
    candidates: WindowCandidates
    text: TextTokens
    built: ReaderInput
    given: tuple[Span, ...] | None


@dataclass(frozen=True, slots=True)
class DecodedTriple:
    """A triple among the decoded spans of a row.

    Args:
        subject: Position of the subject among the spans.
        object: Position of the object.
        relation: Position of the relation among the candidates.
        score: Raw probability, 0..1.
    """

    subject: int
    object: int
    relation: int
    score: float


def assemble(
    row: Row,
    decoded: list[DecodedSpan],
    related: list[DecodedTriple],
    *,
    thresholds: tuple[float, float],
    calibration: CalibrationConfig,
    apart_weight: float,
    options: AnnotateOptions,
) -> WindowAnnotation:
    """Give scores their meaning and positions their place in the document.

    Args:
        row: The row.
        decoded: Its spans; where mentions were given, one each in their order.
        related: Its triples.
        thresholds: Least calibrated score of a span and of a triple that are kept; given mentions
            all are.
        calibration: How raw scores become probabilities.
        apart_weight: As `RulesConfig.apart_weight`.
        options: `explain`.

    Returns:
        Spans and the triples between spans that are kept.
    """
    least, least_of_triple = thresholds
    spans = [
        _span(row, found, row.given[i] if row.given else None, calibration, options.explain)
        for i, found in enumerate(decoded)
    ]
    kept = {i for i, span in enumerate(spans) if row.given or span.score >= least}
    apart = _Apart(row, apart_weight if related else 0.0)
    triples = (
        Triple(
            subject=spans[found.subject].span,
            relation_id=row.candidates.relations[found.relation].entity_id,
            object=spans[found.object].span,
            score=calibrated(
                with_ends(
                    lowered(found.score, apart(spans[found.subject], spans[found.object])),
                    (spans[found.subject].score, spans[found.object].score),
                    calibration.triple_ends,
                ),
                calibration.triple_scale,
                calibration.triple_shift,
            ),
        )
        for found in related
        if found.subject in kept and found.object in kept
    )
    return WindowAnnotation(
        window=row.window,
        spans=tuple(spans[i] for i in sorted(kept)),
        triples=tuple(triple for triple in triples if triple.score >= least_of_triple),
    )


class _Apart:
    """Tells what a triple loses where its ends stand in different sentences.

    Args:
        row: The row.
        weight: So many log-odds.
    """

    def __init__(self, row: Row, weight: float) -> None:
        self._weight, self._begin = weight, row.window.span.start
        self._sentences = Sentences(row.window.text if weight else "")

    def __call__(self, *ends: EntitySpan) -> float:
        places = (Span(end.span.start - self._begin, end.span.end - self._begin) for end in ends)
        return self._weight if len({self._sentences.of(place) for place in places}) > 1 else 0.0


def _span(
    row: Row,
    found: DecodedSpan,
    given: Span | None,
    calibration: CalibrationConfig,
    explain: bool,  # private
) -> EntitySpan:
    offset = row.window.span.start
    best = found.best
    entities = row.candidates.entities
    span = given or Span(
        offset + int(row.text.starts[found.start - 1]), offset + int(row.text.ends[found.end - 1])
    )
    return EntitySpan(
        span=span,
        entity_id=None if best <= NIL_CLASS else entities[best - 2].entity_id,
        score=calibrated(found.score, calibration.span_scale, calibration.span_shift),
        candidates=_weighed(row, found) if explain else (),
    )


def _weighed(row: Row, found: DecodedSpan) -> tuple[Candidate, ...]:
    read = len(row.built.entity_positions) - 2
    scores = found.links[2 : 2 + read]
    order = np.argsort(-scores, kind="stable")[:MAX_EXPLAINED]
    return tuple(
        Candidate(
            entity_id=row.candidates.entities[k].entity_id,
            score=float(scores[k]),
            rank=rank,
            source=row.candidates.entities[k].source,
        )
        for rank, k in enumerate(order)
    )


def text_mask(of_text: np.ndarray, width: int) -> np.ndarray:
    """Shift a mask over text tokens to row positions: [CLS] comes first.

    Args:
        of_text: Bool, (n_text,).
        width: Tokens of the padded row.

    Returns:
        Bool, (width,).
    """
    mask = np.zeros(width, dtype=bool)
    mask[1 : len(of_text) + 1] = of_text[: width - 1]
    return mask


def begun_scores(row: Row, start_logits: FloatArray) -> FloatArray:
    """Give the probability of each token that no mention goes on from before it to behind it.

    Args:
        row: A row.
        start_logits: Float32, (width, 2).

    Returns:
        Float32, (width,): that a span starts there, or that a list or a table has its next line.
    """
    width = len(start_logits)
    starts = start_scores(start_logits, text_mask(row.text.begins_word, width))
    lines = text_mask(begins_line(row.window.text, row.text.starts), width)
    return np.maximum(starts, np.float32(_NEXT_LINE) * lines)


def candidate_tokens(kb: KnowledgeBase, candidate: Candidate) -> IntArray:
    """Give the tokens by which the reader knows a candidate.

    Args:
        kb: Its knowledge base.
        candidate: The candidate.

    Returns:
        Int64, (n_tokens,).

    Raises:
        BundleError: The knowledge base has no such record.
    """
    row = kb.row_of(candidate.entity_id)
    if row is None:
        raise BundleError(
            f"candidate {candidate.entity_id!r} is not in the knowledge base: use the same index "
            "for retriever and reader"
        )
    return kb.token_ids(row)


def place_mention(row: Row, span: Span) -> tuple[int, int]:
    """Find the tokens that a given mention touches.

    Args:
        row: The row of the window that has the mention.
        span: The mention, in document coordinates.

    Returns:
        First and last token as row positions; of the first token where it touches none.
    """
    offset = row.window.span.start
    touched = np.flatnonzero(
        (row.text.starts < span.end - offset) & (row.text.ends > span.start - offset)
    )
    if not len(touched):
        return 1, 1
    return int(touched[0]) + 1, int(touched[-1]) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWeights:
    """How evidence beside the text is joined with the reader's link logits.

    Args:
        prior: Weight of the log priors of surface forms.
        nil: Added to the logit of NIL.
        unnamed_nil: Added to it where no candidate has the mention as a name.
    """

    prior: float
    nil: float
    unnamed_nil: float


def weigh_links(
    kb: KnowledgeBase,
    row: Row,
    spans: Sequence[ProposedSpan],
    logits: FloatArray,
    weights: LinkWeights,
) -> FloatArray:
    """Join link logits with what the names of mentions say.

    Args:
        kb: Knowledge base of the candidates.
        row: The row.
        spans: Spans of it.
        logits: Float32, (n_spans, n_classes), of NONE, NIL and candidates.
        weights: Weights.

    Returns:
        Float32, (n_spans, n_classes).
    """
    weighed = np.array(logits, dtype=np.float32)
    weighed[:, NIL_CLASS] += weights.nil
    if not weights.prior and not weights.unnamed_nil:
        return weighed
    n_read = len(row.built.entity_positions) - 2
    rows = [kb.row_of(c.entity_id) for c in row.candidates.entities[:n_read]]
    known = [-1 if one is None else one for one in rows]
    for k, span in enumerate(spans):
        if 1 <= span.start <= span.end <= row.built.n_text:
            first, last = row.text.starts[span.start - 1], row.text.ends[span.end - 1]
            priors = log_priors(kb, row.window.text[first:last], known)
            weighed[k, 2 : 2 + n_read] += weights.prior * priors.of_rows
            weighed[k, NIL_CLASS] += weights.prior * priors.of_nil
            if not priors.named:
                weighed[k, NIL_CLASS] += weights.unnamed_nil
    return weighed


def span_columns(spans: Sequence[Sequence[tuple[int, int]]]) -> tuple[IntArray, IntArray, IntArray]:
    """Lay the spans of a batch out as the stages of the reader take them.

    Args:
        spans: For each row, first and last tokens.

    Returns:
        Row, first token and last token of each span, int64, (n_spans,) each.
    """
    flat = [(i, first, last) for i, of_row in enumerate(spans) for first, last in of_row]
    rows, firsts, lasts = np.array(flat, dtype=np.int64).reshape(-1, 3).T
    return rows, firsts, lasts


def ordered_pairs(counts: list[int]) -> IntArray:
    """Give all ordered pairs of different spans of the same row.

    Args:
        counts: Spans of each row.

    Returns:
        Int64, (n_pairs, 2), numbered over the whole batch.
    """
    parts = [np.zeros((0, 2), dtype=np.int64)]
    first = 0
    for count in counts:
        subject, obj = np.divmod(np.arange(count * count, dtype=np.int64), max(count, 1))
        apart = subject != obj
        parts.append(np.stack((subject[apart], obj[apart]), axis=1) + first)
        first += count
    return np.concatenate(parts)
