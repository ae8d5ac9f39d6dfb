"""Open a trained reader as a teacher."""

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
from relik_training.reader.own_base import BASE
from relik_training.reader.reader_words import words_of_run
from relik_training.run.backbone import same_words
from relik_training.run.run_files import SETTINGS, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTeacher:
    """A reader that is not trained.

    Args:
        model: In evaluation mode, without gradients.
        table: Float32, (vocabulary, hidden): its word embeddings.
        rows: Makes its rows of the student's.
        fingerprint: Tells it from any other teacher.
    """

    model: ReaderModel
    table: torch.Tensor
    rows: RowMaker
    fingerprint: str

    def __deepcopy__(self, _memo: object) -> "ReaderTeacher":
        """Stay one where its student is copied, as for averages of weights."""
        return self


def open_reader_teacher(folder: Path, *, tokenizer: Tokenizer, base: Path) -> ReaderTeacher:
    """Open a reader as a teacher.

    Args:
        folder: A bundle, or a finished reader run.
        tokenizer: The student's.
        base: Base bundle of the student, whose candidates the teacher reads too.

    Returns:
        The teacher, on the GPU where there is one.

    Raises:
        ConfigError: There is no reader.
        BundleError: A file of it is broken.
    """
    own = _find(folder)
    opened = TorchReader.open(own.reader)
    for parameter in opened.model.parameters():
        parameter.requires_grad_(False)
    words = Tokenizer.from_file(str(own.tokenizer))
    entrance = TextTokenizer(words)
    layout, positions = read_layout(own.reader / LAYOUT.config, words)
    digest = hashlib.sha256()
    for path in (own.reader / LAYOUT.config, own.reader / LAYOUT.weights):
        digest.update(path.read_bytes())
    return ReaderTeacher(
        model=opened.model,
        table=torch.from_numpy(own.table.dense()).to(opened.device),
        rows=RowMaker(
            tokenizer=entrance,
            layout=layout,
            max_tokens=positions,
            tokens_of=None if same_words(words, tokenizer) else _tokens_of(entrance, base),
        ),
        fingerprint=digest.hexdigest(),
    )


def check_markers(teacher: MarkerLayout, student: MarkerLayout) -> None:
    """Refuse a teacher that has fewer markers than its student.

    Args:
        teacher: Its marker ids.
        student: The student's.

    Raises:
        ConfigError: It has.
    """
    has = (teacher.n_entities, teacher.n_relations)
    needs = (student.n_entities, student.n_relations)
    if has[0] < needs[0] or has[1] < needs[1]:
        raise ConfigError(
            f"[distillation] teacher: reads at most {has[0]} entities and {has[1]} relations, "
            f"expected {needs[0]} and {needs[1]} as the student: lower n_entities and n_relations"
        )


@dataclass(frozen=True, slots=True)
class _Found:
    reader: Path
    tokenizer: Path
    table: WordEmbeddings


def _find(folder: Path) -> _Found:
    if (folder / LAYOUT.reader / LAYOUT.weights).is_file():
        return _Found(folder / LAYOUT.reader, folder / LAYOUT.tokenizer, open_embeddings(folder))
    if (folder / LAYOUT.weights).is_file() and (folder / SETTINGS).is_file():
        # A run of a closed schema names no base: it lies in its folder, as that of a start does.
        base = read_settings(folder).get("base", "")
        if isinstance(base, str):
            base_folder = Path(base) if base else folder / BASE
            return _Found(folder, base_folder / LAYOUT.tokenizer, words_of_run(folder, base_folder))
    raise ConfigError(
        f"{folder}: has no reader, expected a bundle or a finished reader run: train the teacher "
        "first"
    )


def _tokens_of(
    tokenizer: TextTokenizer, base: Path
) -> tuple[Callable[[str, IntArray], IntArray], Callable[[str, IntArray], IntArray]]:
    """Tokenise candidates for a teacher with other words, as many of each as the student reads."""

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
