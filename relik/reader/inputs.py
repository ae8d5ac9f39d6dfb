"""From a window and its candidates to the token ids that the reader sees.

Layout: `[CLS] text [SEP] NME [E-0] name ... [SEP] [R-0] name ... [SEP]`. Markers are ids beyond
the vocabulary, so no text can forge them. Training and inference share this module.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding, Tokenizer

from relik.errors import BundleError, ConfigError
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.types import Candidate, IntArray, Span, Window, WindowCandidates

TEXT, CANDIDATES, CAPITALISED, UPPERCASE = 0, 1, 2, 3
"""Token types: the backbone is uncased, so the case of a word is told by its token type."""

_WORD = re.compile(r"[^\W_]+")
_ASCII = 0x7F
# Symbols, modifiers such as tones of skin, joiners, selectors of variants.
_PICTURES = frozenset({"So", "Sm", "Sk", "Cf", "Mn"})
# Code points; prose is wrapped at 60 and more.
_SHORT_LINE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerLayout:
    """Which ids are markers.

    Args:
        vocabulary: Size of the tokenizer's vocabulary; the id of NME.
        n_entities: Entity markers; the first has id `vocabulary + 1`.
        n_relations: Relation markers; they follow the entity markers.
        cls: Id of the first token.
        sep: Id of the separator.
    """

    vocabulary: int
    n_entities: int
    n_relations: int
    cls: int
    sep: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, n_entities: int, n_relations: int) -> "MarkerLayout":
        """Lay the markers out behind a vocabulary.

        Args:
            tokenizer: Its vocabulary has [CLS] and [SEP].
            n_entities: Entity markers.
            n_relations: Relation markers.

        Returns:
            The layout.

        Raises:
            ConfigError: A special token is missing.
        """
        first, separator = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        if first is None or separator is None:
            raise ConfigError(
                "the tokenizer lacks [CLS] or [SEP]: give the tokenizer.json of a BERT backbone"
            )
        return cls(
            vocabulary=tokenizer.get_vocab_size(),
            n_entities=n_entities,
            n_relations=n_relations,
            cls=first,
            sep=separator,
        )

    @property
    def size(self) -> int:
        """Return the number of markers."""
        return 1 + self.n_entities + self.n_relations


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTokens:
    """The tokens of a window's text, without special tokens.

    Args:
        ids: Int64, (n,).
        types: Int64, (n,), token types.
        starts: Int64, (n,), first code point of each token in the window.
        ends: Int64, (n,), one past its last code point.
        begins_word: Bool, (n,): a span may start here.
        ends_word: Bool, (n,): a span may end here.
    """

    ids: IntArray
    types: IntArray
    starts: IntArray
    ends: IntArray
    begins_word: np.ndarray
    ends_word: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderInput:
    """One row for the reader.

    Args:
        ids: Int64, (n,), tokens with special tokens and markers.
        types: Int64, (n,), token types.
        n_text: Tokens of text; they stand at 1..n_text.
        entity_positions: Int64, (2 + n_entities,): CLS, NME, then each entity marker.
        relation_positions: Int64, (n_relations,).
    """

    ids: IntArray
    types: IntArray
    n_text: int
    entity_positions: IntArray
    relation_positions: IntArray


def tokenise_text(text: str, encoding: Encoding, *, pretokenised: bool = False) -> TextTokens:
    """Turn the encoding of a text into arrays.

    Args:
        text: The window.
        encoding: Its encoding, without special tokens.
        pretokenised: Words are what stands between white space; else punctuation is apart.

    Returns:
        Tokens with offsets, case and word boundaries.
    """
    offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    starts, ends = offsets[:, 0], offsets[:, 1]
    words = np.asarray([-1 if w is None else w for w in encoding.word_ids], dtype=np.int64)
    n = len(starts)
    edge = np.ones(n, dtype=bool)
    changes = words[1:] != words[:-1]
    begins, finishes = edge.copy(), edge.copy()
    begins[1:] = changes
    finishes[:-1] = changes
    # A pictograph beside a name is no part of it.
    named = (ends > starts) & ~_pictographs(text, starts, ends)
    if pretokenised:
        spaces = np.asarray([True, *map(str.isspace, text), True])
        begins, finishes = spaces[starts], spaces[ends + 1]
    return TextTokens(
        ids=np.asarray(encoding.ids, dtype=np.int64),
        types=_case_types(text, starts),
        starts=starts,
        ends=ends,
        begins_word=begins & named,
        ends_word=finishes & named,
    )


def _pictographs(text: str, starts: IntArray, ends: IntArray) -> np.ndarray:
    """Tell which tokens are emoji, arrows and the like, with their joiners and variants."""
    if text.isascii():
        return np.zeros(len(starts), dtype=bool)
    pictures = [ord(c) > _ASCII and unicodedata.category(c) in _PICTURES for c in text]
    before = np.concatenate([[0], np.cumsum(pictures)])
    return np.asarray(before[ends] - before[starts] == ends - starts)


def begins_line(text: str, starts: IntArray) -> np.ndarray:
    """Tell which tokens begin a line of their own: an item of a list, a row of a table, a heading.

    Lines of wrapped prose are long, and a name may go on in the next one; behind a short line, or
    an empty one, none does.

    Args:
        text: The window.
        starts: Int64, (n,), first code point of each token, ascending.

    Returns:
        Bool, (n,).
    """
    begins = np.zeros(len(starts), dtype=bool)
    # How much of its first line stands before a window is not known.
    at, short = 0, False
    for line in text.split("\n"):
        if short and line.strip():
            begins[np.searchsorted(starts, at) :][:1] = True
        short = len(line.strip()) < _SHORT_LINE and (at > 0 or not line.strip())
        at += len(line) + 1
    return begins


def _case_types(text: str, starts: IntArray) -> IntArray:
    case = np.zeros(len(text) + 1, dtype=np.int64)
    for match in _WORD.finditer(text):
        word = match.group()
        if word[0].isupper():
            upper = len(word) > 1 and word.isupper()
            case[match.start() : match.end()] = UPPERCASE if upper else CAPITALISED
    return case[starts]


def build_input(
    text: TextTokens,
    entities: Sequence[IntArray],
    relations: Sequence[IntArray],
    layout: MarkerLayout,
    *,
    max_tokens: int,
) -> ReaderInput:
    """Put text and candidates together.

    The text is never cut here; candidates that do not fit are left out from the end, relations
    keeping at most half of the room.

    Args:
        text: Tokens of the window.
        entities: Token ids of each entity candidate, best first.
        relations: Token ids of each relation candidate, best first.
        layout: Marker ids.
        max_tokens: Most tokens of the row.

    Returns:
        The row.

    Raises:
        ConfigError: The text alone does not fit.
    """
    n_text = len(text.ids)
    room = max_tokens - n_text - 5
    if room < 0:
        raise ConfigError(
            f"got {n_text} tokens of text, expected at most {max_tokens - 5}: use smaller windows"
        )
    entities, relations = entities[: layout.n_entities], relations[: layout.n_relations]
    fitting_relations = _fitting(relations, room // 2 if entities else room)
    used = sum(len(ids) + 1 for ids in relations[:fitting_relations])
    fitting_entities = _fitting(entities, room - used)
    ids = [layout.cls, *text.ids.tolist(), layout.sep, layout.vocabulary]
    positions = [0, len(ids) - 1]
    for k, tokens in enumerate(entities[:fitting_entities]):
        positions.append(len(ids))
        ids.append(layout.vocabulary + 1 + k)
        ids.extend(tokens.tolist())
    ids.append(layout.sep)
    relation_positions = []
    for k, tokens in enumerate(relations[:fitting_relations]):
        relation_positions.append(len(ids))
        ids.append(layout.vocabulary + 1 + layout.n_entities + k)
        ids.extend(tokens.tolist())
    if relation_positions:
        ids.append(layout.sep)
    types = np.full(len(ids), CANDIDATES, dtype=np.int64)
    types[0] = types[n_text + 1] = TEXT
    types[1 : n_text + 1] = text.types
    return ReaderInput(
        ids=np.asarray(ids, dtype=np.int64),
        types=types,
        n_text=n_text,
        entity_positions=np.asarray(positions, dtype=np.int64),
        relation_positions=np.asarray(relation_positions, dtype=np.int64),
    )


def _fitting(candidates: Sequence[IntArray], room: int) -> int:
    for count, tokens in enumerate(candidates):
        room -= len(tokens) + 1
        if room < 0:
            return count
    return len(candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderArrays:
    """A padded batch of rows.

    Args:
        ids: Int64, (batch, n_tokens).
        types: Int64, (batch, n_tokens).
        mask: Int64, (batch, n_tokens).
        entity_positions: Int64, (batch, n_entities), padded with 0.
        entity_mask: Bool, (batch, n_entities).
        relation_positions: Int64, (batch, n_relations), padded with 0.
        relation_mask: Bool, (batch, n_relations).
    """

    ids: IntArray
    types: IntArray
    mask: IntArray
    entity_positions: IntArray
    entity_mask: np.ndarray
    relation_positions: IntArray
    relation_mask: np.ndarray


def pad_inputs(rows: Sequence[ReaderInput]) -> ReaderArrays:
    """Pad rows into a batch.

    Args:
        rows: At least one row.

    Returns:
        The batch.
    """
    ids, mask = _padded([row.ids for row in rows])
    types, _ = _padded([row.types for row in rows])
    entities, entity_mask = _padded([row.entity_positions for row in rows])
    relations, relation_mask = _padded([row.relation_positions for row in rows])
    return ReaderArrays(
        ids=ids,
        types=types,
        mask=mask.astype(np.int64),
        entity_positions=entities,
        entity_mask=entity_mask,
        relation_positions=relations,
        relation_mask=relation_mask,
    )


def _padded(rows: Sequence[IntArray]) -> tuple[IntArray, np.ndarray]:
    width = max(len(row) for row in rows)
    out = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=bool)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
        mask[i, : len(row)] = True
    return out, mask


def in_batches(widths: Sequence[int], *, most: int) -> list[list[int]]:
    """Put rows of like length together.

    Args:
        widths: Tokens of each row.
        most: Padded tokens of a batch; a longer row is a batch of its own.

    Returns:
        Numbers of the rows of each batch, shortest first.
    """
    batches: list[list[int]] = []
    for i in sorted(range(len(widths)), key=lambda row: widths[row]):
        if not batches or widths[i] * (len(batches[-1]) + 1) > most:
            batches.append([])
        batches[-1].append(i)
    return batches


@dataclass(frozen=True, slots=True)
class Row:
    """A window on its way through the reader.

    Args:
        window: The window.
        candidates: What was proposed for it.
        text: Its tokens.
        built: Its row of tokens and markers.
        given: Mentions to link, in document coordinates; None where they are to be found.
        entity_rows: Rows of the entity candidates in their knowledge base.
    """

    window: Window
    candidates: WindowCandidates
    text: TextTokens
    built: ReaderInput
    given: tuple[Span, ...] | None
    entity_rows: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLimits:
    """How rows are built.

    Args:
        max_tokens: Tokens of text and candidates.
        pretokenised: Words are what stands between white space; else punctuation is apart.
    """

    max_tokens: int
    pretokenised: bool = False


def build_rows(
    windows: Sequence[Window],
    candidates: Sequence[WindowCandidates],
    given: Sequence[tuple[Span, ...] | None],
    encodings: Sequence[Encoding],
    view: KnowledgeView,
    *,
    layout: MarkerLayout,
    limits: RowLimits,
) -> list[Row]:
    """Build the rows of windows.

    Args:
        windows: Windows.
        candidates: Candidates of each.
        given: Given mentions of each; None where they are to be found.
        encodings: The text of each as tokens, without special tokens.
        view: Knowledge that the candidates are from.
        layout: Marker ids.
        limits: Length of a row and what counts as a word.

    Raises:
        BundleError: A candidate is not in the knowledge base.
    """
    rows = []
    for window, proposed, mentions, encoding in zip(
        windows, candidates, given, encodings, strict=True
    ):
        text = tokenise_text(window.text, encoding, pretokenised=limits.pretokenised)
        entities = candidate_rows(view.entities, proposed.entities)
        relations = candidate_rows(view.relations, proposed.relations)
        built = build_input(
            text,
            view.entities.tokens_of(entities),
            view.relations.tokens_of(relations),
            layout,
            max_tokens=limits.max_tokens,
        )
        rows.append(Row(window, proposed, text, built, mentions, entities))
    return rows


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


def candidate_rows(kb: KnowledgeBase, candidates: Sequence[Candidate]) -> list[int]:
    """Return the rows of candidates in their knowledge base.

    Raises:
        BundleError: The knowledge base has no such record.
    """
    found: list[int] = []
    rows = kb.rows_of([candidate.entity_id for candidate in candidates])
    for candidate, row in zip(candidates, rows, strict=True):
        if row is None:
            raise BundleError(
                f"candidate {candidate.entity_id!r} is not in the knowledge base: use the same "
                "index for retriever and reader"
            )
        found.append(row)
    return found


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
