"""Which token of a teacher's row says the same as a token of its student's.

A student and its teacher may cut a text into different pieces. What the heads of a reader score
are the first and the last tokens of words, so words are what is matched, by their characters.
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
"""Stands where there is no such token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherRows:
    """The rows of a batch as the teacher reads them, and where it says what the student says.

    Args:
        arrays: The teacher's rows, (batch, n_teacher_tokens).
        first: Int64, (batch, n_tokens), for each token of the student's rows that begins a word
            the token of the teacher that begins it; `NONE` elsewhere.
        last: Int64, (batch, n_tokens), likewise for tokens that end a word.
    """

    arrays: ReaderArrays
    first: IntArray
    last: IntArray


def align_words(student: TextTokens, teacher: TextTokens) -> tuple[IntArray, IntArray]:
    """Match the tokens of a text by the characters at which words begin and end.

    Args:
        student: Tokens of the text, n of them.
        teacher: Tokens of the same text.

    Returns:
        Int64, (n,), twice: the token of the teacher that begins the same word, and the one that
        ends it; `NONE` where the student's token does not, or the teacher has no such word.
    """
    first = _matched(student.starts, student.begins_word, teacher.starts, teacher.begins_word)
    last = _matched(student.ends, student.ends_word, teacher.ends, teacher.ends_word)
    return first, last


def _matched(
    student: IntArray, asked: np.ndarray, teacher: IntArray, given: np.ndarray
) -> IntArray:
    found = np.full(len(student), NONE, dtype=np.int64)
    place = {int(teacher[k]): k for k in np.flatnonzero(given)}
    for k in np.flatnonzero(asked):
        found[k] = place.get(int(student[k]), NONE)
    return found


def candidates_of(built: ReaderInput) -> tuple[list[IntArray], list[IntArray]]:
    """Take the candidates out of a row again.

    Args:
        built: A row as `relik.reader.inputs.build_input` makes it.

    Returns:
        Token ids of each entity and of each relation in it.
    """
    relations = built.relation_positions.tolist()
    # A separator stands behind the entities, and one behind the relations where there are any.
    end = len(built.ids) - 1
    entities = built.entity_positions[2:].tolist()
    entity_end = relations[0] - 1 if relations else end
    return _between(built.ids, entities, entity_end), _between(built.ids, relations, end)


def _between(ids: IntArray, markers: Sequence[int], end: int) -> list[IntArray]:
    bounds = [*markers, end]
    return [ids[at + 1 : bounds[k + 1]] for k, at in enumerate(markers)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMaker:
    """Makes a teacher's rows of the student's: the same windows, the same candidates.

    Args:
        tokenizer: The teacher's.
        layout: The teacher's marker ids.
        max_tokens: Most tokens of a teacher's row.
        tokens_of: Gives the teacher's tokens of an entity and of a relation by their ids, with
            the student's tokens of it; None where both have the same words.
    """

    tokenizer: TextTokenizer
    layout: MarkerLayout
    max_tokens: int
    tokens_of: tuple[Callable[[str, IntArray], IntArray], ...] | None = None

    def rows(self, rows: Sequence[ReaderRow], width: int) -> TeacherRows:
        """Make the rows of a batch.

        The teacher reads the text in its true case, also where the student has to do without.

        Args:
            rows: The student's rows.
            width: Tokens of the longest of them.

        Returns:
            The teacher's rows, and which tokens match.
        """
        texts = [row.example.text for row in rows]
        encodings = self.tokenizer.tokenise(texts)
        first, last = (np.full((len(rows), width), NONE, dtype=np.int64) for _ in range(2))
        built = []
        for number, (row, encoding) in enumerate(zip(rows, encodings, strict=True)):
            text = tokenise_text(row.example.text, encoding)
            begins, ends = align_words(row.text, text)
            # Text stands behind the first token of a row.
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
