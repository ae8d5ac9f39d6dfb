"""Distillation losses of a reader: outputs, hidden states and attention."""

import hashlib
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from relik.errors import ConfigError
from relik.models.packed_bert import PackedBert
from relik.models.reader_module import ReaderModel
from relik.reader.inputs import MarkerLayout
from relik_training.distill.distill_settings import ReaderDistillation
from relik_training.distill.layer_losses import StateDistance, States, aligned_tokens, record
from relik_training.distill.teacher import ReaderTeacher, check_markers, open_reader_teacher
from relik_training.distill.teacher_cache import AnswerCache, Tensors
from relik_training.distill.teacher_outputs import (
    Encoded,
    OutputMaker,
    TeacherOutputs,
    distillation_losses,
)
from relik_training.distill.token_alignment import TeacherRows
from relik_training.reader.frozen import CachedBackbone
from relik_training.reader.reader_data import ReaderBatch


class ReaderDistiller(nn.Module):
    """Computes the distillation losses of a reader.

    Args:
        teacher: The teacher, which is neither trained nor saved.

    Raises:
        ConfigError: The settings contradict each other, or do not fit the two models.
    """

    def __init__(
        self, student: ReaderModel, teacher: ReaderTeacher, settings: ReaderDistillation
    ) -> None:
        super().__init__()
        self.teacher = teacher  # no module, so that torch does not register its model
        self._settings = settings
        self._cache = AnswerCache(Path(settings.cache) if settings.cache else None)
        self.states: StateDistance | None = None
        self._noted: tuple[States, ...] = ()
        if settings.reads_states:
            if isinstance(student.backbone, PackedBert | CachedBackbone):
                raise ConfigError(
                    "[distillation]: got hidden or attention along with packing or frozen layers, "
                    "expected one of them: packing and freezing keep no states, leave one out"
                )
            backbones = (student.backbone, teacher.model.backbone)
            self.states = StateDistance(*backbones, settings)
            self._noted = tuple(
                record(each, attention=settings.attention > 0) for each in backbones
            )

    def states_alone(self, step: int) -> bool:
        """Tell whether a step learns hidden states and attention only."""
        return step < self._settings.states_first

    def losses(
        self, student: ReaderModel, encoded: Encoded, batch: ReaderBatch
    ) -> dict[str, torch.Tensor]:
        """Compute the losses of a batch.

        Args:
            encoded: The student's encoding of the batch.

        Returns:
            Weighted scalars by name.
        """
        teacher = self.teacher
        device = encoded[0].device
        rows = teacher.rows.rows(batch.rows, batch.arrays.ids.shape[1])
        answer = self._cache.get(self._question(batch, rows), lambda: self.ask(batch, rows), device)
        losses: dict[str, torch.Tensor] = {}
        if self.states is not None:
            losses = self.states(*self._noted, aligned_tokens(batch, rows, device))
            for each in self._noted:
                each.clear()
        if self.states_alone(batch.step):
            return losses
        outputs = TeacherOutputs(**answer)
        return losses | distillation_losses(student, encoded, outputs, batch, self._settings)

    @torch.no_grad()
    def ask(self, batch: ReaderBatch, rows: TeacherRows) -> Tensors:
        """Run the teacher, without the cache, and return the tensors of its `TeacherOutputs`."""
        teacher = self.teacher
        arrays, table = rows.arrays, teacher.table

        def tensor(values: object) -> torch.Tensor:
            return torch.as_tensor(values, device=table.device)

        encoded = teacher.model.encode(
            teacher.model.embed(tensor(arrays.ids), table),
            tensor(arrays.types),
            tensor(arrays.mask),
            tensor(arrays.entity_positions),
            tensor(arrays.relation_positions),
        )
        return OutputMaker(teacher.model, encoded, rows, batch, self._settings).make().tensors()

    def _question(self, batch: ReaderBatch, rows: TeacherRows) -> bytes:
        """Return a digest of everything that the teacher's outputs depend on."""
        teacher = self.teacher
        digest = hashlib.sha256(teacher.fingerprint.encode())
        digest.update(repr((self._settings.spans, self._settings.span_threshold)).encode())
        targets, arrays = batch.targets, rows.arrays
        labels = (targets.rows, targets.first, targets.last)
        inputs = (arrays.ids, arrays.types, batch.arrays.entity_mask, batch.arrays.relation_mask)
        for values in (rows.first, rows.last, *inputs, *(each.cpu().numpy() for each in labels)):
            digest.update(repr(values.shape).encode())
            digest.update(values.tobytes())
        return digest.digest()


def open_reader_distiller(
    student: ReaderModel,
    settings: ReaderDistillation,
    *,
    layout: MarkerLayout,
    tokenizer: Tokenizer,
    base: Path,
) -> ReaderDistiller | None:
    """Open the teacher of a recipe; None if it names no teacher.

    Args:
        layout: The student's marker ids.
        tokenizer: The student's.
        base: Base bundle of the student.

    Raises:
        ConfigError: The teacher does not exist, or does not fit the student.
    """
    if not settings.teacher:
        return None
    teacher = open_reader_teacher(Path(settings.teacher), tokenizer=tokenizer, base=base)
    check_markers(teacher.rows.layout, layout)
    return ReaderDistiller(student, teacher, settings)
