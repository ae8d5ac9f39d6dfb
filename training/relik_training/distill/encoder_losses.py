"""Distillation losses of an encoder: scores of the pairs of a batch, and vectors.

Source: scores as softened distributions (Hinton et al. 2015) or by margins (Hofstätter et al.
2020); vectors as in sentence embeddings (Reimers and Gurevych 2020).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from relik.backends import WordEmbeddings
from relik.backends.tensors import TensorFile
from relik.backends.torch_backend import TorchEncoder
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.models.encoder_module import EncoderModel
from relik.text import TextTokenizer
from relik_training.distill.distill_settings import RetrieverDistillation
from relik_training.distill.teacher_cache import AnswerCache, Tensors
from relik_training.distill.teacher_outputs import divergence
from relik_training.retriever.retriever_data import RetrieverBatch, Tokens, encode_by_length
from relik_training.run.backbone import open_backbone
from relik_training.run.run_files import SETTINGS, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderTeacher:
    """An encoder with frozen weights.

    Args:
        model: In evaluation mode, without gradients.
        table: Float32, (vocabulary, hidden), its word embeddings.
        tokenizer: Its tokenizer, whose post-processor adds special tokens.
        fingerprint: SHA-256 of its tokenizer and weights.
    """

    model: EncoderModel
    table: torch.Tensor
    tokenizer: TextTokenizer
    fingerprint: str

    def encode(self, texts: Sequence[str], limit: int) -> torch.Tensor:
        """Encode texts.

        Args:
            texts: At least one.
            limit: Maximum tokens of a text.

        Returns:
            Float32, (n_texts, dim), L2-normalised.
        """
        rows = self.tokenizer.rows(texts, max_tokens=limit)
        return encode_by_length(rows, self._encode)

    def _encode(self, tokens: Tokens) -> torch.Tensor:
        tokens = tokens.to(self.table.device)
        words = nn.functional.embedding(tokens.ids, self.table)
        types = torch.zeros_like(tokens.ids)
        vectors: torch.Tensor = self.model.encode(words, types, tokens.mask)
        return vectors.float()


class RetrieverDistiller(nn.Module):
    """Computes the distillation losses of an encoder.

    Args:
        width: Dimension of the student's vectors.
        teacher: The teacher, which is neither trained nor saved.
    """

    def __init__(
        self, width: int, teacher: EncoderTeacher, settings: RetrieverDistillation
    ) -> None:
        super().__init__()
        self.teacher = teacher  # no module, so that torch does not register its model
        self._settings = settings
        self._cache = AnswerCache(Path(settings.cache) if settings.cache else None)
        self.projection: nn.Linear | None = None
        if settings.vectors:
            self.projection = nn.Linear(width, teacher.table.shape[1], bias=False)

    def losses(
        self, batch: RetrieverBatch, windows: torch.Tensor, passages: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compute the losses of a batch.

        Args:
            windows: Float32, (n_windows, dim), the student's vectors, L2-normalised.
            passages: Float32, (n_passages, dim), likewise.

        Returns:
            The weighted scalars taught_scores and taught_vectors, those with a weight.
        """
        taught = self._cache.get(self._question(batch), lambda: self._ask(batch), windows.device)
        losses: dict[str, torch.Tensor] = {}
        # bfloat16 has about two decimal digits: too few to rank records with close cosines.
        with torch.autocast(windows.device.type, enabled=False):
            if self._settings.weight:
                temperature = self._settings.temperature
                student_scores = (
                    windows.float() @ passages.float().T / temperature
                )  # (n_windows, n_passages)
                teacher_scores = taught["windows"] @ taught["passages"].T / temperature
                losses["taught_scores"] = self._settings.weight * self._compare(
                    student_scores, teacher_scores
                )
            if self.projection is not None:
                student_scores = self.projection(torch.cat((windows, passages)).float())
                teacher_scores = torch.cat((taught["windows"], taught["passages"]))
                difference = 1.0 - nn.functional.cosine_similarity(
                    student_scores, teacher_scores, dim=-1
                )
                losses["taught_vectors"] = self._settings.vectors * difference.mean()
        return losses

    def _compare(self, student_scores: torch.Tensor, teacher_scores: torch.Tensor) -> torch.Tensor:
        if self._settings.scores == "divergence":
            return divergence(student_scores, teacher_scores, 1.0).mean()
        # The squared error of centred scores is that of the margins of all pairs.
        difference = student_scores - teacher_scores
        return (difference - difference.mean(dim=1, keepdim=True)).square().mean()

    @torch.no_grad()
    def _ask(self, batch: RetrieverBatch) -> Tensors:
        teacher = self.teacher
        windows, passages = batch.texts
        return {
            "windows": teacher.encode(windows, batch.windows.ids.shape[1]),
            "passages": teacher.encode(passages, batch.passages.ids.shape[1]),
        }

    def _question(self, batch: RetrieverBatch) -> bytes:
        """Return a digest of everything that the teacher's vectors depend on."""
        teacher = self.teacher
        # Tokens rather than texts: outputs cached under other rules of `relik.text` are stale.
        sides = zip(batch.texts, (batch.windows, batch.passages), strict=True)
        rows = [
            teacher.tokenizer.rows(texts, max_tokens=tokens.ids.shape[1]) for texts, tokens in sides
        ]
        return hashlib.sha256(repr((teacher.fingerprint, rows)).encode()).digest()


def open_retriever_distiller(
    width: int, settings: RetrieverDistillation
) -> RetrieverDistiller | None:
    """Open the teacher of a recipe; None if it names no teacher.

    Args:
        width: Dimension of the student's vectors.

    Raises:
        ConfigError: The teacher does not exist.
        BundleError: A file of it is broken.
    """
    if not settings.teacher:
        return None
    return RetrieverDistiller(width, open_encoder_teacher(settings.teacher), settings)


def open_encoder_teacher(name: str) -> EncoderTeacher:
    """Open an encoder as a teacher.

    Args:
        name: Folder of a bundle or of a finished retriever run, or a backbone.

    Returns:
        The teacher, on the GPU if there is one.

    Raises:
        ConfigError: The teacher does not exist.
        BundleError: A file of it is broken.
    """
    folder = Path(name)
    if (folder / LAYOUT.query_encoder / LAYOUT.weights).is_file():
        opened = TorchEncoder.open(folder / LAYOUT.query_encoder)
        table = torch.from_numpy(WordEmbeddings.open(folder / LAYOUT.word_embeddings).dense())
        tokenizer = Tokenizer.from_file(str(folder / LAYOUT.tokenizer))
        return _teacher(opened, table, tokenizer)
    backbone = open_backbone(_backbone_of(folder) if (folder / SETTINGS).is_file() else name)
    model = EncoderModel(backbone.layers)
    if (folder / SETTINGS).is_file():
        stored = TensorFile.open(folder / LAYOUT.weights).weights()
        model.load_state_dict({key: torch.from_numpy(each) for key, each in stored.items()})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    opened = TorchEncoder(model.eval().to(device), device)
    return _teacher(opened, backbone.embeddings, backbone.tokenizer)


def _backbone_of(run: Path) -> str:
    backbone = read_settings(run).get("backbone")
    if not isinstance(backbone, str) or not (run / LAYOUT.weights).is_file():
        raise ConfigError(
            f"{run}: has no encoder, expected a bundle, a finished retriever run or a backbone: "
            "train the teacher first"
        )
    return backbone


def _teacher(opened: TorchEncoder, table: torch.Tensor, tokenizer: Tokenizer) -> EncoderTeacher:
    digest = hashlib.sha256(tokenizer.to_str().encode())
    for parameter in opened.model.parameters():
        parameter.requires_grad_(False)
        digest.update(parameter.detach().cpu().numpy().tobytes())
    return EncoderTeacher(
        model=opened.model,
        table=table.to(opened.device),
        tokenizer=TextTokenizer(tokenizer),
        fingerprint=digest.hexdigest(),
    )
