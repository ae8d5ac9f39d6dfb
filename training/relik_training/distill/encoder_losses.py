"""An encoder's losses from its teacher, beside those from labels.

Source: scores of the pairs of a batch, as softened distributions (Hinton et al. 2015) or by their
margins (Hofstätter et al. 2020); vectors, as in sentence embeddings (Reimers and Gurevych 2020).
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
from relik_training.distill.distill_settings import RetrieverDistillation, check_distillation
from relik_training.distill.teacher_cache import AnswerCache, Tensors
from relik_training.distill.teacher_outputs import divergence
from relik_training.retriever.retriever_data import RetrieverBatch
from relik_training.run.backbone import open_backbone
from relik_training.run.run_files import SETTINGS, read_settings

# Tokens of the teacher that are computed at once.
_AT_ONCE = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderTeacher:
    """An encoder that is not trained.

    Args:
        model: In evaluation mode, without gradients.
        table: Float32, (vocabulary, hidden): its word embeddings.
        tokenizer: Its subwords, special tokens added by its post-processor.
        fingerprint: Tells it from any other teacher.
    """

    model: EncoderModel
    table: torch.Tensor
    tokenizer: TextTokenizer
    fingerprint: str

    def encode(self, texts: Sequence[str], limit: int) -> torch.Tensor:
        """Encode texts.

        Args:
            texts: At least one.
            limit: Most tokens of a text.

        Returns:
            Float32, (n_texts, dim), L2-normalised.
        """
        rows = self.tokenizer.rows(texts, max_tokens=limit)
        order = sorted(range(len(rows)), key=lambda k: len(rows[k]))
        vectors: list[torch.Tensor] = []
        first = 0
        while first < len(order):
            # Of the texts taken the last is the longest.
            last = first + 1
            while last < len(order) and (last + 1 - first) * len(rows[order[last]]) <= _AT_ONCE:
                last += 1
            vectors.append(self._encode([rows[k] for k in order[first:last]]))
            first = last
        places = torch.empty(len(order), dtype=torch.int64)
        places[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(vectors)[places.to(self.table.device)]

    def _encode(self, rows: list[list[int]]) -> torch.Tensor:
        width = max(map(len, rows))
        ids = torch.zeros((len(rows), width), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for k, row in enumerate(rows):
            ids[k, : len(row)] = torch.tensor(row)
            mask[k, : len(row)] = 1
        ids, mask = ids.to(self.table.device), mask.to(self.table.device)
        words = nn.functional.embedding(ids, self.table)
        vectors: torch.Tensor = self.model.encode(words, torch.zeros_like(ids), mask)
        return vectors.float()


class RetrieverDistiller(nn.Module):
    """Compares an encoder with its teacher, batch by batch.

    Args:
        width: Of the student's vectors.
        teacher: The teacher; no part of what is saved or trained.
        settings: As in the recipe.
    """

    def __init__(
        self, width: int, teacher: EncoderTeacher, settings: RetrieverDistillation
    ) -> None:
        super().__init__()
        check_distillation(settings)
        self._held = (teacher,)  # in a tuple, so that its model does not become a part
        self._settings = settings
        self._cache = AnswerCache(Path(settings.cache) if settings.cache else None)
        self.projection: nn.Linear | None = None
        if settings.vectors:
            self.projection = nn.Linear(width, teacher.table.shape[1], bias=False)

    @property
    def teacher(self) -> EncoderTeacher:
        """The teacher."""
        return self._held[0]

    def losses(
        self, batch: RetrieverBatch, windows: torch.Tensor, passages: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compute what the teacher adds to the loss of a batch.

        Args:
            batch: The batch, with its texts.
            windows: Float32, (n_windows, dim), the student's vectors, L2-normalised.
            passages: Float32, (n_passages, dim), likewise.

        Returns:
            Scalars named taught_scores and taught_vectors, weighted, as the settings ask.
        """
        taught = self._cache.get(self._question(batch), lambda: self._ask(batch), windows.device)
        losses: dict[str, torch.Tensor] = {}
        # Half precision knows a cosine to two digits: too few to rank near records by.
        with torch.autocast(windows.device.type, enabled=False):
            if self._settings.weight:
                heat = self._settings.temperature
                ours = windows.float() @ passages.float().T / heat  # (n_windows, n_passages)
                theirs = taught["windows"] @ taught["passages"].T / heat
                losses["taught_scores"] = self._settings.weight * self._compare(ours, theirs)
            if self.projection is not None:
                ours = self.projection(torch.cat((windows, passages)).float())
                theirs = torch.cat((taught["windows"], taught["passages"]))
                apart = 1.0 - nn.functional.cosine_similarity(ours, theirs, dim=-1)
                losses["taught_vectors"] = self._settings.vectors * apart.mean()
        return losses

    def _compare(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        if self._settings.scores == "divergence":
            return divergence(ours, theirs, 1.0).mean()
        # The squared error of centred scores is that of the margins of all pairs.
        apart = ours - theirs
        return (apart - apart.mean(dim=1, keepdim=True)).square().mean()

    @torch.no_grad()
    def _ask(self, batch: RetrieverBatch) -> Tensors:
        teacher = self.teacher
        windows, passages = batch.texts
        return {
            "windows": teacher.encode(windows, batch.windows.ids.shape[1]),
            "passages": teacher.encode(passages, batch.passages.ids.shape[1]),
        }

    def _question(self, batch: RetrieverBatch) -> bytes:
        """Name all that an answer depends on."""
        teacher = self.teacher
        # Tokens and not texts: an answer that was kept under other rules of `relik.text` is stale.
        sides = zip(batch.texts, (batch.windows, batch.passages), strict=True)
        rows = [
            teacher.tokenizer.rows(texts, max_tokens=tokens.ids.shape[1]) for texts, tokens in sides
        ]
        return hashlib.sha256(repr((teacher.fingerprint, rows)).encode()).digest()


def open_retriever_distiller(
    width: int, settings: RetrieverDistillation
) -> RetrieverDistiller | None:
    """Open the teacher of a recipe.

    Args:
        width: Of the student's vectors.
        settings: As in the recipe.

    Returns:
        What compares the two, or None where the recipe names no teacher.

    Raises:
        ConfigError: There is no such teacher.
        BundleError: A file of it is broken.
    """
    if not settings.teacher:
        return None
    return RetrieverDistiller(width, open_encoder_teacher(settings.teacher), settings)


def open_encoder_teacher(name: str) -> EncoderTeacher:
    """Open an encoder as a teacher.

    Args:
        name: Folder of a bundle, of a finished retriever run, or a backbone.

    Returns:
        The teacher, on the GPU where there is one.

    Raises:
        ConfigError: There is no such teacher.
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
        held = TensorFile.open(folder / LAYOUT.weights).weights()
        model.load_state_dict({key: torch.from_numpy(each) for key, each in held.items()})
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
