"""The outputs of a reader teacher, aligned to the student's tokens, and the losses to them.

Source: distillation by softened distributions (Hinton et al. 2015). The student also learns spans
that only the teacher finds, because the labels of linked text are incomplete.
"""

from dataclasses import dataclass, fields

import torch
from torch import nn

from relik.models.reader_module import ReaderModel
from relik_training.distill.distill_settings import ReaderDistillation
from relik_training.distill.token_alignment import NONE, TeacherRows
from relik_training.reader.reader_data import ReaderBatch
from relik_training.reader.reader_targets import IGNORED

_MASKED = -1e9

Encoded = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""The result of `ReaderModel.encode`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherOutputs:
    """Logits of a teacher by tokens of the student; masks mark those that the teacher has.

    Args:
        starts: Float32, (batch, n_tokens, 2).
        start_mask: Bool, (batch, n_tokens).
        rows: Int64, (n_spans,), row of each span: labelled spans, then those of the teacher alone.
        first: Int64, (n_spans,), first token.
        last: Int64, (n_spans,), last token.
        ends: Float32, (n_spans, n_tokens).
        end_mask: Bool, (n_spans, n_tokens).
        links: Float32, (n_spans, n_entities).
        link_mask: Bool, (n_spans, n_entities).
        subjects: Int64, (n_pairs,), indices of spans.
        objects: Int64, (n_pairs,), indices of spans.
        relations: Float32, (n_pairs, n_relations, 2).
        relation_mask: Bool, (n_pairs, n_relations).
    """

    starts: torch.Tensor
    start_mask: torch.Tensor
    rows: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    ends: torch.Tensor
    end_mask: torch.Tensor
    links: torch.Tensor
    link_mask: torch.Tensor
    subjects: torch.Tensor
    objects: torch.Tensor
    relations: torch.Tensor
    relation_mask: torch.Tensor

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return all tensors by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


class OutputMaker:
    """Runs the stages of a teacher after its encoder, for the spans of one batch.

    Args:
        model: The teacher.
        encoded: The teacher's encoding of `rows`.
    """

    def __init__(
        self,
        model: ReaderModel,
        encoded: Encoded,
        rows: TeacherRows,
        batch: ReaderBatch,
        settings: ReaderDistillation,
    ) -> None:
        self._model, self._batch, self._settings = model, batch, settings
        self._hidden, self._starts, self._entities, self._relations = encoded
        self._rows = rows
        device = self._hidden.device
        self._first = torch.as_tensor(rows.first, device=device)  # (batch, n_tokens)
        self._last = torch.as_tensor(rows.last, device=device)

    def make(self) -> TeacherOutputs:
        """Compute the outputs."""
        mask = self._first != NONE
        index = self._first.clamp(min=0).unsqueeze(-1).expand(-1, -1, 2)
        starts = self._starts.float().gather(1, index)  # (batch, n_tokens, 2)
        rows, first, last = self._labelled()
        new_rows, new_first = self._found(starts, mask)
        rows, first = torch.cat((rows, new_rows)), torch.cat((first, new_first))
        ends, end_mask = self._ends(rows, first)
        predicted = ends.masked_fill(~end_mask, _MASKED).argmax(dim=1)
        last = torch.cat((last, predicted[len(last) :]))
        # Drop spans whose end is not among the teacher's tokens.
        kept = end_mask.any(dim=1)
        rows, first, last, ends, end_mask = (
            each[kept] for each in (rows, first, last, ends, end_mask)
        )
        links, link_mask = self._links(rows, first, last)
        subjects, objects, relations, relation_mask = self._pairs(rows, first, last)
        return TeacherOutputs(
            starts=starts,
            start_mask=mask,
            rows=rows,
            first=first,
            last=last,
            ends=ends,
            end_mask=end_mask,
            links=links,
            link_mask=link_mask,
            subjects=subjects,
            objects=objects,
            relations=relations,
            relation_mask=relation_mask,
        )

    def _labelled(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the labelled spans that the teacher's row contains."""
        targets = self._batch.targets
        rows, first, last = targets.rows, targets.first, targets.last
        kept = (self._first[rows, first] != NONE) & (self._last[rows, last] != NONE)
        return rows[kept], first[kept], last[kept]

    def _found(self, starts: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return rows and first tokens of mentions that only the teacher finds, best first."""
        scores = starts.softmax(dim=-1)[..., 1] * mask  # (batch, n_tokens)
        scores[self._batch.targets.rows, self._batch.targets.first] = 0.0
        best = scores.topk(min(self._settings.spans, scores.shape[1]), dim=1)
        taken = best.values > self._settings.span_threshold
        rows, positions = taken.nonzero(as_tuple=True)
        return rows, best.indices[rows, positions]

    def _ends(self, rows: torch.Tensor, first: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Score the student's tokens as ends, (n_spans, n_tokens)."""
        of_row = self._last[rows]  # (n_spans, n_tokens)
        after = torch.arange(of_row.shape[1], device=of_row.device) >= first[:, None]
        mask = (of_row != NONE) & after
        if not len(rows):
            return torch.zeros_like(of_row, dtype=torch.float32), mask
        reach = int(self._last.max()) + 1
        ends = self._model.ends(self._hidden[:, :reach], rows, self._first[rows, first]).float()
        return ends.gather(1, of_row.clamp(min=0)), mask

    def _links(
        self, rows: torch.Tensor, first: torch.Tensor, last: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        mask = self._common("entity_mask")[rows]
        # No label ever has the class of the first token.
        mask[:, 0] = False
        links = torch.zeros(mask.shape, device=mask.device)
        if len(rows):
            placed = self._placed(rows, first, last)
            _fill(links, self._model.link(self._hidden, *placed, self._entities))
        return links, mask

    def _pairs(
        self, rows: torch.Tensor, first: torch.Tensor, last: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        mask = self._common("relation_mask")  # (batch, n_relations)
        has_relations = mask.any(dim=1)[rows]
        same_row = (rows[:, None] == rows) & has_relations & has_relations[:, None]
        same_row.fill_diagonal_(False)
        subjects, objects = same_row.nonzero(as_tuple=True)
        relations = torch.zeros((len(subjects), mask.shape[1], 2), device=mask.device)
        if len(subjects):
            logits = self._model.relate(
                self._hidden, *self._placed(rows, first, last), subjects, objects, self._relations
            )
            _fill(relations, logits)
        return subjects, objects, relations, mask[rows[subjects]]

    def _placed(
        self, rows: torch.Tensor, first: torch.Tensor, last: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return rows, self._first[rows, first], self._last[rows, last]

    def _common(self, name: str) -> torch.Tensor:
        """Mark the candidates that are in both rows, (batch, n_candidates of the student)."""
        student, teacher = (
            torch.as_tensor(getattr(arrays, name), device=self._hidden.device)
            for arrays in (self._batch.arrays, self._rows.arrays)
        )
        mask = student.clone()
        width = min(mask.shape[1], teacher.shape[1])
        mask[:, :width] &= teacher[:, :width]
        mask[:, width:] = False
        return mask


def distillation_losses(
    model: ReaderModel,
    encoded: Encoded,
    outputs: TeacherOutputs,
    batch: ReaderBatch,
    settings: ReaderDistillation,
) -> dict[str, torch.Tensor]:
    """Compute the divergences of a student from its teacher.

    Returns:
        Weighted scalars: taught_start; with spans also taught_end and taught_link; with pairs of
        spans also taught_relation.
    """
    hidden, starts, entities, relations = encoded
    target = outputs if settings.unlabelled else _within_labels(outputs, batch)
    weight, temperature = settings.weight, settings.temperature
    per_token = divergence(starts, target.starts, temperature)  # (batch, n_tokens)
    losses = {"taught_start": weight * _mean(per_token, target.start_mask)}
    if not len(target.rows):
        return losses
    spans = (target.rows, target.first, target.last)
    # Ends are tokens of the text: the candidates after it need no scores.
    reach = int(target.end_mask.any(dim=0).nonzero().max()) + 1
    mask = target.end_mask[:, :reach]
    ends = model.ends(hidden[:, :reach], target.rows, target.first)
    per_span = divergence(ends, target.ends[:, :reach], temperature, mask)
    losses["taught_end"] = weight * per_span.mean()
    links = model.link(hidden, *spans, entities)
    per_span = divergence(links, target.links, temperature, target.link_mask)
    losses["taught_link"] = weight * _mean(per_span, target.link_mask.any(dim=1))
    if len(target.subjects):
        logits = model.relate(hidden, *spans, target.subjects, target.objects, relations)
        cells = divergence(logits, target.relations, temperature) * target.relation_mask
        # Normalised by the positive pairs, as the loss of the labels.
        positive = target.relations.softmax(dim=-1)[..., 1] * target.relation_mask
        losses["taught_relation"] = weight * cells.sum() / (positive.sum() + 1)
    return losses


def _within_labels(outputs: TeacherOutputs, batch: ReaderBatch) -> TeacherOutputs:
    """Keep the outputs for tokens, spans and links that have a label."""
    targets = batch.targets
    size = outputs.start_mask.shape[1]
    labelled = targets.rows * size**2 + targets.first * size + targets.last
    known = torch.isin(outputs.rows * size**2 + outputs.first * size + outputs.last, labelled)
    linked = labelled[targets.links != IGNORED]
    known_link = torch.isin(outputs.rows * size**2 + outputs.first * size + outputs.last, linked)
    number = known.cumsum(0) - 1
    pairs = known[outputs.subjects] & known[outputs.objects]
    parts = outputs.tensors()
    spans = ("rows", "first", "last", "ends", "end_mask", "links")
    kept = {name: parts[name][known] for name in spans}
    kept |= {name: parts[name][pairs] for name in ("relations", "relation_mask")}
    return TeacherOutputs(
        starts=outputs.starts,
        start_mask=outputs.start_mask & (targets.starts != IGNORED),
        link_mask=(outputs.link_mask & known_link[:, None])[known],
        subjects=number[outputs.subjects[pairs]],
        objects=number[outputs.objects[pairs]],
        **kept,
    )


def divergence(
    student: torch.Tensor,
    teacher: torch.Tensor,
    temperature: float,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute KL(teacher || student) of softened distributions.

    Args:
        student: Logits, (..., n_classes).
        teacher: Logits, same shape.
        temperature: Divides the logits; its square multiplies the result, to restore gradients.
        mask: Bool, same shape: classes to compare; None for all.

    Returns:
        Float32, (...), at least 0; 0 where the mask has no class.
    """
    logits = [each.float() / temperature for each in (student, teacher)]
    if mask is not None:
        logits = [each.masked_fill(~mask, _MASKED) for each in logits]
    ours, theirs = (nn.functional.log_softmax(each, dim=-1) for each in logits)
    cells = theirs.exp() * (theirs - ours)
    if mask is not None:
        cells = cells.masked_fill(~mask, 0.0)
    return cells.sum(dim=-1) * temperature**2


def _fill(out: torch.Tensor, logits: torch.Tensor) -> None:
    """Copy the logits of the candidates that both have, (n, n_candidates, ...)."""
    width = min(logits.shape[1], out.shape[1])
    out[:, :width] = logits[:, :width].float()


def _mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
