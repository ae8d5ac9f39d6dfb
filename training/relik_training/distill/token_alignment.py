"""Alignment of the tokens of a student's rows and its teacher's.

A student and its teacher may tokenise a text differently. The heads of a reader score first and
last tokens of words, so that tokens are aligned by the characters at which words begin and end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from relik.reader.inputs import (
    MarkerLayout,
    ReaderArrays,
    ReaderInput,
    TextTokens,
    build_input,
    pad_inputs,
    tokenise_text,
)
from relik.text import TextTokenizer
from relik.types import IntArray
from relik_training.reader.reader_targets import ReaderRow

NONE = -1
"""Value for a token without a counterpart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherRows:
    """The rows of a batch for the teacher, and the alignment to the student's.

    Args:
        arrays: The teacher's rows, (batch, n_teacher_tokens).
        first: Int64, (batch, n_tokens), for each token of the student that begins a word, the
            token of the teacher that begins the same word; else `NONE`.
        last: Int64, (batch, n_tokens), likewise for tokens that end a word.
    """

    arrays: ReaderArrays
    first: IntArray
    last: IntArray


def align_words(student: TextTokens, teacher: TextTokens) -> tuple[IntArray, IntArray]:
    """Align two tokenisations of a text by the characters at which words begin and end.

    Returns:
        Int64, twice (n_student_tokens,): for a token that begins a word, the token of the teacher
        that begins the same word; for a token that ends one, the token that ends it; else `NONE`.
    """
    first = _matched(student.starts, student.begins_word, teacher.starts, teacher.begins_word)
    last = _matched(student.ends, student.ends_word, teacher.ends, teacher.ends_word)
    return first, last


def _matched(
    student: IntArray, student_mask: np.ndarray, teacher: IntArray, teacher_mask: np.ndarray
) -> IntArray:
    found = np.full(len(student), NONE, dtype=np.int64)
    index_of = {int(teacher[k]): k for k in np.flatnonzero(teacher_mask)}
    for k in np.flatnonzero(student_mask):
        found[k] = index_of.get(int(student[k]), NONE)
    return found


def candidates_of(built: ReaderInput) -> tuple[list[IntArray], list[IntArray]]:
    """Return the token ids of each entity and of each relation of a row.

    Args:
        built: A row by `relik.reader.inputs.build_input`.
    """
    relations = built.relation_positions.tolist()
    # A separator follows the entities, and another one follows the relations, if any.
    end = len(built.ids) - 1
    entities = built.entity_positions[2:].tolist()
    entity_end = relations[0] - 1 if relations else end
    return _between(built.ids, entities, entity_end), _between(built.ids, relations, end)


def _between(ids: IntArray, markers: Sequence[int], end: int) -> list[IntArray]:
    bounds = [*markers, end]
    return [ids[at + 1 : bounds[k + 1]] for k, at in enumerate(markers)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMaker:
    """Makes rows for the teacher from the student's, with the same windows and candidates.

    Args:
        tokenizer: The teacher's.
        layout: The teacher's marker ids.
        max_tokens: Maximum tokens of a teacher's row.
        tokens_of: Two functions, for entities and relations, from an id and the student's tokens
            of the candidate to the teacher's; None if both have the same vocabulary.
    """

    tokenizer: TextTokenizer
    layout: MarkerLayout
    max_tokens: int
    tokens_of: tuple[Callable[[str, IntArray], IntArray], ...] | None = None

    def rows(self, rows: Sequence[ReaderRow], width: int) -> TeacherRows:
        """Make the rows of a batch.

        The teacher reads the original case, also where augmentation changed the student's text.

        Args:
            width: Tokens of the longest of the student's rows.
        """
        texts = [row.example.text for row in rows]
        encodings = self.tokenizer.tokenise(texts)
        first, last = (np.full((len(rows), width), NONE, dtype=np.int64) for _ in range(2))
        built = []
        for number, (row, encoding) in enumerate(zip(rows, encodings, strict=True)):
            text = tokenise_text(row.example.text, encoding)
            begins, ends = align_words(row.text, text)
            # The text follows the first token of a row.
            inside = slice(1, 1 + len(begins))
            first[number, inside] = np.where(begins == NONE, NONE, begins + 1)
            last[number, inside] = np.where(ends == NONE, NONE, ends + 1)
            built.append(self._built(row, text))
        return TeacherRows(arrays=pad_inputs(built), first=first, last=last)

    def _built(self, row: ReaderRow, text: TextTokens) -> ReaderInput:
        entities, relations = candidates_of(row.built)
        if self.tokens_of is not None:
            entities = list(map(self.tokens_of[0], row.entity_ids, entities))
            relations = list(map(self.tokens_of[1], row.relation_ids, relations))
        return build_input(text, entities, relations, self.layout, max_tokens=self.max_tokens)
