"""Losses between the hidden states and attention of a student's layers and its teacher's.

Source: TinyBERT (Jiao et al. 2020): layers spread evenly over the teacher's, and first steps that
learn states only; MoEBERT (Zuo et al. 2022): states together with all other losses. Attention is
compared as distributions, as in MiniLM (Wang et al. 2020), because scales differ between models.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from relik.errors import ConfigError
from relik_training.distill.distill_settings import ReaderDistillation
from relik_training.distill.teacher_outputs import divergence
from relik_training.distill.token_alignment import NONE, TeacherRows
from relik_training.reader.reader_data import ReaderBatch

# Query and key modules within a layer, by model type.
_ATTENTION = {
    "bert": ("attention.self.query", "attention.self.key"),
    "mpnet": ("attention.attn.q", "attention.attn.k"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPair:
    """A layer of the student and its layer of the teacher, both numbered from 0."""

    student: int
    teacher: int


@dataclass(slots=True)
class States:
    """Recorded values of one forward pass, by layer.

    Args:
        hidden: Float, (batch, n_tokens, width) each.
        query: Float, (batch, n_tokens, width) each.
        key: Float, (batch, n_tokens, width) each.
        bias: Float, (n_tokens, n_tokens, heads), position bias of attention; None without one.
    """

    hidden: dict[int, torch.Tensor] = field(default_factory=dict)
    query: dict[int, torch.Tensor] = field(default_factory=dict)
    key: dict[int, torch.Tensor] = field(default_factory=dict)
    bias: torch.Tensor | None = None

    def clear(self) -> None:
        """Release the recorded values."""
        for each in (self.hidden, self.query, self.key):
            each.clear()
        self.bias = None


@dataclass(frozen=True, slots=True)
class AlignedTokens:
    """Positions of tokens whose states are compared: of words and candidate markers.

    Args:
        student: Int64, (batch, n), position in the student's row, 0 on padding.
        teacher: Int64, (batch, n), position in the teacher's row.
        mask: Bool, (batch, n), False on padding.
    """

    student: torch.Tensor
    teacher: torch.Tensor
    mask: torch.Tensor


def pair_layers(n_student: int, n_teacher: int, layers: tuple[int, ...]) -> list[LayerPair]:
    """Pair layers of the student with layers of the teacher.

    Args:
        layers: As `ReaderDistillation.layers`; empty for an even spread, in which the last layer
            learns from the last.

    Raises:
        ConfigError: A layer does not exist.
    """
    chosen = layers or tuple(math.ceil((k + 1) * n_teacher / n_student) for k in range(n_student))
    if len(chosen) != n_student or not all(0 <= each <= n_teacher for each in chosen):
        raise ConfigError(
            f"[distillation] layers: got {list(chosen)}, expected {n_student} numbers from 0 to "
            f"{n_teacher}: give one for each layer of the student"
        )
    return [LayerPair(student=k, teacher=each - 1) for k, each in enumerate(chosen) if each]


def record(backbone: nn.Module, *, attention: bool) -> States:
    """Record the states of a backbone's layers in each forward pass.

    Args:
        backbone: A BERT or an MPNet, with `encoder.layer`.
        attention: Also record queries, keys and position bias.
    """
    states = States()

    def note(module: nn.Module, into: dict[int, torch.Tensor], number: int) -> None:
        def hook(_module: nn.Module, _inputs: object, output: Any) -> None:
            into[number] = output[0] if isinstance(output, tuple) else output

        module.register_forward_hook(hook)

    def note_bias(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        states.bias = output

    for number, layer in enumerate(backbone.encoder.layer):
        note(layer, states.hidden, number)
        if attention:
            query, key = _ATTENTION[backbone.config.model_type]
            note(layer.get_submodule(query), states.query, number)
            note(layer.get_submodule(key), states.key, number)
    distance = getattr(backbone.encoder, "relative_attention_bias", None)
    if attention and distance is not None:
        distance.register_forward_hook(note_bias)
    return states


def aligned_tokens(batch: ReaderBatch, rows: TeacherRows, device: torch.device) -> AlignedTokens:
    """Align the rows of student and teacher.

    Args:
        batch: The student's batch.
        rows: The teacher's rows.

    Returns:
        First and last tokens of words, the first token of each row, and the markers.
    """
    student_values: list[torch.Tensor] = []
    teacher_values: list[torch.Tensor] = []
    for number in range(len(batch.arrays.ids)):
        pairs = {(0, 0)}
        for found in (rows.first[number], rows.last[number]):
            pairs.update((k, int(at)) for k, at in enumerate(found.tolist()) if at != NONE)
        for kind in ("entity", "relation"):
            sides = [
                getattr(each, f"{kind}_positions")[number][getattr(each, f"{kind}_mask")[number]]
                for each in (batch.arrays, rows.arrays)
            ]
            # Candidates that only one of the two rows has room for are dropped.
            pairs.update(zip(*(side.tolist() for side in sides), strict=False))
        ordered = torch.tensor(sorted(pairs), dtype=torch.int64)
        student_values.append(ordered[:, 0])
        teacher_values.append(ordered[:, 1])
    student, teacher = (
        nn.utils.rnn.pad_sequence(each, batch_first=True).to(device)
        for each in (student_values, teacher_values)
    )
    lengths = torch.tensor([len(each) for each in student_values], device=device)
    mask = torch.arange(student.shape[1], device=device) < lengths[:, None]
    return AlignedTokens(student, teacher, mask)


class StateDistance(nn.Module):
    """Losses of paired layers, with trained projections from the student's width to the teacher's.

    Args:
        student: The student's backbone.
        teacher: The teacher's backbone.

    Raises:
        ConfigError: A layer does not exist, or the numbers of attention heads differ.
    """

    def __init__(
        self, student: nn.Module, teacher: nn.Module, settings: ReaderDistillation
    ) -> None:
        super().__init__()
        self._settings = settings
        student_values, teacher_values = student.config, teacher.config
        self._pairs = pair_layers(
            student_values.num_hidden_layers, teacher_values.num_hidden_layers, settings.layers
        )
        self._heads = student_values.num_attention_heads
        if settings.attention and self._heads != teacher_values.num_attention_heads:
            raise ConfigError(
                f"[distillation] attention: got {self._heads} heads, expected "
                f"{teacher_values.num_attention_heads} as the teacher has: set it to 0"
            )
        widths = (student_values.hidden_size, teacher_values.hidden_size)
        n_projections = len(self._pairs) if settings.hidden else 0
        self.projections = nn.ModuleList(
            nn.Linear(*widths, bias=False) for _ in range(n_projections)
        )

    def forward(
        self, student: States, teacher: States, positions: AlignedTokens
    ) -> dict[str, torch.Tensor]:
        """Return the weighted scalars hidden and attention, those with a weight."""
        losses = {}
        settings = self._settings
        if settings.hidden:
            each = [
                self._state_distance(student, teacher, positions, k)
                for k in range(len(self._pairs))
            ]
            losses["hidden"] = settings.hidden * torch.stack(each).mean()
        if settings.attention:
            each = [
                _attention_distance(student, teacher, positions, pair, self._heads)
                for pair in self._pairs
            ]
            losses["attention"] = settings.attention * torch.stack(each).mean()
        return losses

    def _state_distance(
        self, student: States, teacher: States, positions: AlignedTokens, number: int
    ) -> torch.Tensor:
        pair = self._pairs[number]
        student_values = self.projections[number](
            _at(student.hidden[pair.student], positions.student)
        )
        teacher_values = _at(teacher.hidden[pair.teacher], positions.teacher)  # (batch, n, width)
        # Cosine, because a few large dimensions would dominate a squared distance.
        cosine = nn.functional.cosine_similarity(
            student_values.float(), teacher_values.float(), dim=-1
        )
        return ((1.0 - cosine) * positions.mask).sum() / positions.mask.sum()


def _attention_distance(
    student: States, teacher: States, positions: AlignedTokens, pair: LayerPair, heads: int
) -> torch.Tensor:
    student_values = _attention(student, pair.student, positions.student, heads)
    teacher_values = _attention(teacher, pair.teacher, positions.teacher, heads)
    seen = positions.mask[:, None, None, :].expand_as(student_values)
    per_token = divergence(student_values, teacher_values, 1.0, seen).mean(dim=1)  # (batch, n)
    return (per_token * positions.mask).sum() / positions.mask.sum()


def _attention(states: States, layer: int, positions: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the attention scores between the given tokens, (batch, heads, n, n)."""
    query, key = (
        _at(each[layer], positions).float().unflatten(-1, (heads, -1)).transpose(1, 2)
        for each in (states.query, states.key)
    )
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if states.bias is not None:
        bias = states.bias.float()[
            positions[:, :, None], positions[:, None, :]
        ]  # (batch, n, n, heads)
        scores = scores + bias.permute(0, 3, 1, 2)
    return scores


def _at(states: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Gather tokens: (batch, n_tokens, width) and (batch, n) give (batch, n, width)."""
    index = positions.unsqueeze(-1).expand(-1, -1, states.shape[-1])
    return states.gather(1, index)
