"""Output of `Relik` in upstream's shapes: tuples, lists and strings that JSON can hold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from relik.upstream.index.documents import Document
from relik.upstream.text.token_windows import TokenText, UpstreamWindow


class Span(NamedTuple):
    """A linked mention.

    Args:
        start: First code point, or first token with `annotation_type="word"`.
        end: One past the last.
        label: Text of the linked document, or "--NME--" for NIL.
    """

    start: int
    end: int
    label: str
    text: str


class Triplets(NamedTuple):
    """A relation between two mentions.

    Args:
        label: Text of the relation's document.
        confidence: Probability, 0..1; with quirks, float32 in steps of 0.01.
    """

    subject: Span
    label: str
    object: Span
    confidence: float


class Candidates(NamedTuple):
    """Candidates of the reader.

    Args:
        span: `span[0][i]` are the entity candidates of window i; [] without that task.
        triplet: `triplet[0][i]` are the relation candidates of window i; [] without that task.
    """

    span: list[list[list[Document]]]
    triplet: list[list[list[Document]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRecord:
    """A window with its predictions, with the fields of upstream.

    Args:
        doc_id: Position of the document in the call.
        window_id: Position of the window in the document.
        offset: First code point in the document.
        words: Tokens.
        doc_topic: Topic of the document for the encoder, or None.
        spans: Start and end in the document of the mentions that the caller gave.
        token2char_start: First code point, in the document, of each token of the window.
        token2char_end: One past the last code point of each token.
        char2token_start: Position in the document of the token that starts at a code point.
        char2token_end: Position in the document of the token that ends at a code point.
        span_candidates: Texts of the entity candidates.
        triplet_candidates: Texts of the relation candidates.
        predicted_spans: Start, end and label, in code points.
        predicted_triplets: Subject, relation, object and probability; subject and object are
            positions in `predicted_spans`.
    """

    doc_id: int
    window_id: int
    text: str
    offset: int
    words: list[str]
    doc_topic: str | None = None
    spans: list[list[int]] = field(default_factory=list)
    token2char_start: dict[str, int]
    token2char_end: dict[str, int]
    char2token_start: dict[str, int]
    char2token_end: dict[str, int]
    span_candidates: list[str] = field(default_factory=list)
    triplet_candidates: list[str] = field(default_factory=list)
    predicted_spans: list[list[Any]] = field(default_factory=list)
    predicted_triplets: list[list[Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelikOutput:
    """The answer for one text.

    Args:
        id: Position of the text in the call.
        windows: Only with `return_windows`.
    """

    text: str
    tokens: list[str]
    id: int
    spans: list[Span]
    triplets: list[Triplets]
    candidates: Candidates
    windows: list[WindowRecord] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object without the id, as upstream does.

        Metadata that are not JSON values become strings.
        """
        answer: dict[str, Any] = {
            "text": self.text,
            "tokens": list(self.tokens),
            "spans": [list(span) for span in self.spans],
            "triplets": [
                [list(one.subject), one.label, list(one.object), one.confidence]
                for one in self.triplets
            ],
            "candidates": {
                "span": _documents(self.candidates.span),
                "triplet": _documents(self.candidates.triplet),
            },
        }
        if self.windows is not None:
            answer["windows"] = [window.to_dict() for window in self.windows]
        return answer


def window_record(
    window: UpstreamWindow,
    document: TokenText,
    *,
    doc_topic: str | None = None,
    spans: Sequence[tuple[int, int]] = (),
    read: Mapping[str, Any] | None = None,
) -> WindowRecord:
    """Return the record of a window; `read` has its candidates and predictions."""
    starts, ends = window.starts.tolist(), window.ends.tolist()
    first = int(np.searchsorted(document.starts, starts[0])) if starts else 0
    return WindowRecord(
        doc_id=window.doc_id,
        window_id=window.window_id,
        text=window.text,
        offset=window.offset,
        words=list(window.words),
        doc_topic=doc_topic,
        spans=[list(span) for span in spans],
        token2char_start={str(i): start for i, start in enumerate(starts)},
        token2char_end={str(i): end for i, end in enumerate(ends)},
        char2token_start={str(start): first + i for i, start in enumerate(starts)},
        char2token_end={str(end): first + i for i, end in enumerate(ends)},
        **(read or {}),
    )


def _documents(candidates: list[list[list[Document]]]) -> Any:
    plain = [[[one.to_dict() for one in line] for line in lines] for lines in candidates]
    return json.loads(json.dumps(plain, default=str))
