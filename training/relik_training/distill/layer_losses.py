"""States and attention of the layers of a student, compared with those of its teacher.

Source: TinyBERT (Jiao et al. 2020), layers spread evenly over the teacher's and, at first, states
learned before anything else; MoEBERT (Zuo et al. 2022), states beside all other losses. Attention
is compared as distributions, as in MiniLM (Wang et al. 2020), since scales differ between models.
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

# Where the layers of each kind of backbone have what attention compares.
_ATTENTION = {
    "bert": ("attention.self.query", "attention.self.key"),
    "mpnet": ("attention.attn.q", "attention.attn.k"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPair:
    """A layer of the student and the one of the teacher that it learns from, from 0 on."""

    student: int
    teacher: int


@dataclass(slots=True)
class States:
    """What layers computed, by the number of the layer.

    Args:
        hidden: Float, (batch, n_tokens, width) each.
        query: Float, (batch, n_tokens, width) each.
        key: Likewise.
        bias: Float, (n_tokens, n_tokens, heads), what distance adds to attention, or None.
    """

    hidden: dict[int, torch.Tensor] = field(default_factory=dict)
    query: dict[int, torch.Tensor] = field(default_factory=dict)
    key: dict[int, torch.Tensor] = field(default_factory=dict)
    bias: torch.Tensor | None = None

    def clear(self) -> None:
        """Forget what was noted, so that it takes no memory."""
        for each in (self.hidden, self.query, self.key):
            each.clear()
        self.bias = None


@dataclass(frozen=True, slots=True)
class AlignedPlaces:
    """Tokens whose states are compared: words, and what the heads read of candidates.

    Args:
        student: Int64, (batch, n), token of the student's row, 0 on padding.
        teacher: Int64, (batch, n), token of the teacher's.
        mask: Bool, (batch, n).
    """

    student: torch.Tensor
    teacher: torch.Tensor
    mask: torch.Tensor


def pair_layers(n_student: int, n_teacher: int, layers: tuple[int, ...]) -> list[LayerPair]:
    """Decide which layer learns from which.

    Args:
        n_student: Layers of the student.
        n_teacher: Layers of the teacher.
        layers: As in the recipe.

    Returns:
        Pairs; evenly spread where the recipe leaves it open, the last from the last.

    Raises:
        ConfigError: There is no such layer.
    """
    chosen = layers or tuple(math.ceil((k + 1) * n_teacher / n_student) for k in range(n_student))
    if len(chosen) != n_student or not all(0 <= each <= n_teacher for each in chosen):
        raise ConfigError(
            f"[distillation] layers: got {list(chosen)}, expected {n_student} numbers from 0 to "
            f"{n_teacher}, one for each layer of the student"
        )
    return [LayerPair(student=k, teacher=each - 1) for k, each in enumerate(chosen) if each]


def record(backbone: nn.Module, *, attention: bool) -> States:
    """Note what the layers of a backbone compute, each time it runs.

    Args:
        backbone: With `encoder.layer`, as BERT and MPNet have.
        attention: Note queries and keys too.

    Returns:
        What the last run computed.
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


def aligned_places(batch: ReaderBatch, rows: TeacherRows, device: torch.device) -> AlignedPlaces:
    """Find the tokens that stand for the same in both rows.

    Args:
        batch: The student's batch.
        rows: The teacher's rows.
        device: Where the answer shall lie.

    Returns:
        First and last tokens of words, the first token of the row, and the markers.
    """
    ours: list[torch.Tensor] = []
    theirs: list[torch.Tensor] = []
    for number in range(len(batch.arrays.ids)):
        pairs = {(0, 0)}
        for found in (rows.first[number], rows.last[number]):
            pairs.update((k, int(at)) for k, at in enumerate(found.tolist()) if at != NONE)
        for kind in ("entity", "relation"):
            sides = [
                getattr(each, f"{kind}_positions")[number][getattr(each, f"{kind}_mask")[number]]
                for each in (batch.arrays, rows.arrays)
            ]
            # Candidates that only one of the two has room for are left out.
            pairs.update(zip(*(side.tolist() for side in sides), strict=False))
        ordered = torch.tensor(sorted(pairs), dtype=torch.int64)
        ours.append(ordered[:, 0])
        theirs.append(ordered[:, 1])
    student, teacher = (
        nn.utils.rnn.pad_sequence(each, batch_first=True).to(device) for each in (ours, theirs)
    )
    lengths = torch.tensor([len(each) for each in ours], device=device)
    mask = torch.arange(student.shape[1], device=device) < lengths[:, None]
    return AlignedPlaces(student, teacher, mask)


class StateDistance(nn.Module):
    """Compares layers; has the projections from the student's width to the teacher's.

    Args:
        student: The student's backbone.
        teacher: The teacher's backbone.
        settings: Which layers learn from which, and weights.

    Raises:
        ConfigError: Layers do not exist, or attention has other heads.
    """

    def __init__(
        self, student: nn.Module, teacher: nn.Module, settings: ReaderDistillation
    ) -> None:
        super().__init__()
        self._settings = settings
        ours, theirs = student.config, teacher.config
        self._pairs = pair_layers(ours.num_hidden_layers, theirs.num_hidden_layers, settings.layers)
        self._heads = ours.num_attention_heads
        if settings.attention and self._heads != theirs.num_attention_heads:
            raise ConfigError(
                f"[distillation] attention: got {self._heads} heads, expected "
                f"{theirs.num_attention_heads} as the teacher has: set it to 0"
            )
        widths = (ours.hidden_size, theirs.hidden_size)
        n_projections = len(self._pairs) if settings.hidden else 0
        self.projections = nn.ModuleList(
            nn.Linear(*widths, bias=False) for _ in range(n_projections)
        )

    def forward(
        self, student: States, teacher: States, places: AlignedPlaces
    ) -> dict[str, torch.Tensor]:
        """Measure the distance.

        Args:
            student: What the student's layers computed.
            teacher: What the teacher's did.
            places: Tokens to compare.

        Returns:
            Weighted scalars named hidden and attention, those that the settings ask for.
        """
        losses = {}
        settings = self._settings
        if settings.hidden:
            each = [
                self._state_distance(student, teacher, places, k) for k in range(len(self._pairs))
            ]
            losses["hidden"] = settings.hidden * torch.stack(each).mean()
        if settings.attention:
            each = [
                _attention_distance(student, teacher, places, pair, self._heads)
                for pair in self._pairs
            ]
            losses["attention"] = settings.attention * torch.stack(each).mean()
        return losses

    def _state_distance(
        self, student: States, teacher: States, places: AlignedPlaces, number: int
    ) -> torch.Tensor:
        pair = self._pairs[number]
        ours = self.projections[number](_at(student.hidden[pair.student], places.student))
        theirs = _at(teacher.hidden[pair.teacher], places.teacher)  # (batch, n, width)
        # A few dimensions of large states would outweigh all others: compare directions.
        cosine = nn.functional.cosine_similarity(ours.float(), theirs.float(), dim=-1)
        return ((1.0 - cosine) * places.mask).sum() / places.mask.sum()


def _attention_distance(
    student: States, teacher: States, places: AlignedPlaces, pair: LayerPair, heads: int
) -> torch.Tensor:
    ours = _attention(student, pair.student, places.student, heads)
    theirs = _attention(teacher, pair.teacher, places.teacher, heads)
    seen = places.mask[:, None, None, :].expand_as(ours)
    per_token = divergence(ours, theirs, 1.0, seen).mean(dim=1)  # (batch, n)
    return (per_token * places.mask).sum() / places.mask.sum()


def _attention(states: States, layer: int, places: torch.Tensor, heads: int) -> torch.Tensor:
    """Score the chosen tokens against each other, (batch, heads, n, n)."""
    query, key = (
        _at(each[layer], places).float().unflatten(-1, (heads, -1)).transpose(1, 2)
        for each in (states.query, states.key)
    )
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if states.bias is not None:
        bias = states.bias.float()[places[:, :, None], places[:, None, :]]  # (batch, n, n, heads)
        scores = scores + bias.permute(0, 3, 1, 2)
    return scores


def _at(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Gather tokens: (batch, n_tokens, width) and (batch, n) give (batch, n, width)."""
    index = places.unsqueeze(-1).expand(-1, -1, states.shape[-1])
    return states.gather(1, index)
