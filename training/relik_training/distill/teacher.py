"""A trained reader as the teacher of another."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from relik.backends import WordEmbeddings
from relik.backends.torch_backend import TorchReader
from relik.errors import ConfigError
from relik.kb import KnowledgeBase
from relik.kb.records import candidate_text
from relik.layout import LAYOUT
from relik.models.reader_module import ReaderModel
from relik.reader.inputs import MarkerLayout
from relik.reader.open_reader import open_embeddings, read_layout
from relik.text import TextTokenizer
from relik.types import IntArray
from relik_training.distill.token_alignment import RowMaker
from relik_training.reader.reader_words import words_of_run
from relik_training.run.backbone import same_words
from relik_training.run.run_files import BASE, SETTINGS, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTeacher:
    """A reader with frozen weights.

    Args:
        model: In evaluation mode, without gradients.
        table: Float32, (vocabulary, hidden), its word embeddings.
        rows: Converts rows of the student to its own.
        fingerprint: SHA-256 of its settings and weights.
    """

    model: ReaderModel
    table: torch.Tensor
    rows: RowMaker
    fingerprint: str

    def __deepcopy__(self, _memo: object) -> "ReaderTeacher":
        """Return itself: copies of a student, as for averaged weights, share its teacher."""
        return self


def open_reader_teacher(folder: Path, *, tokenizer: Tokenizer, base: Path) -> ReaderTeacher:
    """Open a reader as a teacher.

    Args:
        folder: A bundle, or a finished reader run.
        tokenizer: The student's.
        base: Base bundle of the student, which has the candidates of both.

    Returns:
        The teacher, on the GPU if there is one.

    Raises:
        ConfigError: The folder has no reader.
        BundleError: A file is broken.
    """
    reader, vocabulary, embeddings = _find(folder)
    opened = TorchReader.open(reader)
    for parameter in opened.model.parameters():
        parameter.requires_grad_(False)
    words = Tokenizer.from_file(str(vocabulary))
    entrance = TextTokenizer(words)
    layout, positions = read_layout(reader / LAYOUT.config, words)
    digest = hashlib.sha256()
    for path in (reader / LAYOUT.config, reader / LAYOUT.weights):
        digest.update(path.read_bytes())
    return ReaderTeacher(
        model=opened.model,
        table=torch.from_numpy(embeddings.dense()).to(opened.device),
        rows=RowMaker(
            tokenizer=entrance,
            layout=layout,
            max_tokens=positions,
            tokens_of=None if same_words(words, tokenizer) else _tokens_of(entrance, base),
        ),
        fingerprint=digest.hexdigest(),
    )


def check_markers(teacher: MarkerLayout, student: MarkerLayout) -> None:
    """Check that a teacher reads as many candidates as its student.

    Raises:
        ConfigError: It has fewer markers.
    """
    has = (teacher.n_entities, teacher.n_relations)
    needs = (student.n_entities, student.n_relations)
    if has[0] < needs[0] or has[1] < needs[1]:
        raise ConfigError(
            f"[distillation] teacher: reads at most {has[0]} entities and {has[1]} relations, "
            f"expected {needs[0]} and {needs[1]} as the student: lower n_entities and n_relations"
        )


def _find(folder: Path) -> tuple[Path, Path, WordEmbeddings]:
    """Return the folder of a reader, the file of its tokenizer, and its word embeddings."""
    if (folder / LAYOUT.reader / LAYOUT.weights).is_file():
        return folder / LAYOUT.reader, folder / LAYOUT.tokenizer, open_embeddings(folder)
    if (folder / LAYOUT.weights).is_file() and (folder / SETTINGS).is_file():
        # A closed-schema run names no base: the base is in its folder, as with a start checkpoint.
        base = read_settings(folder).get("base", "")
        if isinstance(base, str):
            base_folder = Path(base) if base else folder / BASE
            return folder, base_folder / LAYOUT.tokenizer, words_of_run(folder, base_folder)
    raise ConfigError(
        f"{folder}: has no reader, expected a bundle or a finished reader run: train the teacher "
        "first"
    )


def _tokens_of(
    tokenizer: TextTokenizer, base: Path
) -> tuple[Callable[[str, IntArray], IntArray], Callable[[str, IntArray], IntArray]]:
    """Return tokenisers of candidates for a teacher with another vocabulary, by their ids.

    They cut a candidate to the number of tokens that the student reads.
    """

    def of(kb: KnowledgeBase) -> Callable[[str, IntArray], IntArray]:
        def tokens(key: str, known: IntArray) -> IntArray:
            row = kb.row_of(key)
            if row is None:
                raise KeyError(key)
            (encoding,) = tokenizer.tokenise([candidate_text(kb.record(row))])
            return np.asarray(encoding.ids[: len(known)], dtype=np.int64)

        return tokens

    entities, relations = (
        KnowledgeBase.open(base / n) for n in (LAYOUT.entities, LAYOUT.relations)
    )
    return of(entities), of(relations)
