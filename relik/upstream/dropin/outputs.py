"""What `Relik` answers, in upstream's shapes: plain tuples, lists and texts, always JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from relik.upstream.index.documents import Document
from relik.upstream.text.token_windows import TokenText, UpstreamWindow


class Span(NamedTuple):
    """A mention.

    Args:
        start: First code point, or first token where words were asked for.
        end: One past the last.
        label: Text of the document that it means, or "--NME--" for none that the index has.
        text: The mention itself.
    """

    start: int
    end: int
    label: str
    text: str


class Triplets(NamedTuple):
    """A relation between two mentions.

    Args:
        subject: A mention.
        label: Text of the relation's document.
        object: A mention.
        confidence: Probability, 0 to 1; with quirks, float32 in steps of 0.01.
    """

    subject: Span
    label: str
    object: Span
    confidence: float


class Candidates(NamedTuple):
    """What the reader could choose from; each a list of one list, that of the windows.

    Args:
        span: `span[0][i]` are the entities offered for window i; [] without that task.
        triplet: `triplet[0][i]` are the relations offered for window i; [] without that task.
    """

    span: list[list[list[Document]]]
    triplet: list[list[list[Document]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRecord:
    """A window as upstream writes it, with what was read in it.

    Args:
        doc_id: Position of the document in the call.
        window_id: Position of the window in the document.
        text: Its text.
        offset: First code point of it in the document.
        words: Its tokens.
        doc_topic: What the encoder was told the document is about; None where it was not.
        spans: Mentions that were given, start and end in the document.
        token2char_start: First code point, in the document, of each token of the window.
        token2char_end: One past the last code point of each.
        char2token_start: For the first code point of each token, its position in the document.
        char2token_end: The same for one past the last.
        span_candidates: Entities that were offered, as the reader saw them.
        triplet_candidates: Relations that were offered.
        predicted_spans: Start, end and label of what was read, in code points.
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
        text: The text.
        tokens: Its tokens.
        id: Its position in the call.
        spans: Mentions.
        triplets: Relations between them.
        candidates: What the reader could choose from.
        windows: The windows, where they were asked for.
    """

    text: str
    tokens: list[str]
    id: int
    spans: list[Span]
    triplets: list[Triplets]
    candidates: Candidates
    windows: list[WindowRecord] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object, without the id, as upstream does.

        Returns:
            `text`, `tokens`, `spans`, `triplets`, `candidates`, and `windows` where there are
            any. Metadata that JSON has no form for become text.
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
    """Write a window as upstream does."""
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
