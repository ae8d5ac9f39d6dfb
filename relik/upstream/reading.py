"""What a caller may choose of a reading, and how its rows are put into batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from relik.errors import InputError
from relik.upstream.decode import TokenSpan, tokens_under
from relik.upstream.inputs import ReaderRow
from relik.upstream.tokens import WordTokens
from relik.upstream.window_types import UpstreamWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a caller may choose per call.

    Args:
        max_length: Most tokens of a row; fewer where the backbone has fewer positions.
        relation_threshold: Probability above which a relation holds, 0..1; None takes the
            reader's own.
        remove_nmes: Leave spans out that are linked to "--NME--".
        batch_size: Most rows at once.
        batch_tokens: Most tokens at once, padding included; one row may have more.
        max_spans: Most spans of a row that are linked and related, the most probable ones.

    Raises:
        InputError: A number is out of range.
    """

    max_length: int = 1000
    relation_threshold: float | None = None
    remove_nmes: bool = True
    batch_size: int = 32
    batch_tokens: int = 2048
    max_spans: int = 256

    def __post_init__(self) -> None:
        for name in ("max_length", "batch_size", "batch_tokens", "max_spans"):
            if getattr(self, name) < 1:
                raise InputError(f"got {name} {getattr(self, name)}, expected at least 1")
        if self.relation_threshold is not None and not 0.0 <= self.relation_threshold <= 1.0:
            raise InputError(
                f"got relation_threshold {self.relation_threshold}, expected 0..1 or None"
            )


def place_mentions(
    window: UpstreamWindow, text: WordTokens, mentions: Sequence[tuple[int, int]]
) -> tuple[TokenSpan, ...]:
    """Find the tokens of given mentions.

    Args:
        window: The window.
        text: Its subwords.
        mentions: Ranges of code points of the document.

    Returns:
        A span a mention.

    Raises:
        InputError: A range is empty, or has no words of the window.
    """
    spans = []
    for start, end in mentions:
        tokens = tokens_under((start, end), text)
        if not start < end or tokens is None:
            raise InputError(
                f"got a mention at {start}..{end} in window {window.window_id} of document "
                f"{window.doc_id}, expected a range with words of that window: give code points "
                "of the document"
            )
        first, last = tokens
        spans.append(TokenSpan(start=first, end=last, score=1.0, chars=(start, end)))
    return tuple(spans)


def row_batches(
    rows: Sequence[ReaderRow], options: ReadOptions, *, most: int | None
) -> Iterator[list[int]]:
    """Put rows of like length together, longest first, within the budget.

    Args:
        rows: The rows.
        options: How many rows and tokens a batch may have.
        most: Most rows of a batch, if the model has a limit too.

    Yields:
        Positions of the rows of a batch.
    """
    size = options.batch_size if most is None else min(most, options.batch_size)
    lengths = [len(row.tokens.ids) for row in rows]
    batch: list[int] = []
    for k in sorted(range(len(rows)), key=lambda k: -lengths[k]):
        full = len(batch) == size
        if batch and (full or lengths[batch[0]] * (len(batch) + 1) > options.batch_tokens):
            yield batch
            batch = []
        batch.append(k)
    if batch:
        yield batch
