"""What a teacher says of a batch, in the student's tokens, and how far the student is from it.

Source: distillation by softened distributions (Hinton et al. 2015). Spans that the teacher finds
and no label names are learned too: the labels of linked text leave most mentions open.
"""

from dataclasses import dataclass, fields

import torch
from torch import nn

from relik.models.reader_module import ReaderModel
from relik_training.distill.distill_settings import ReaderDistillation
from relik_training.distill.token_alignment import NONE, TeacherRows
from relik_training.reader.reader_data import ReaderBatch
from relik_training.reader.reader_targets import IGNORED

_BARRED = -1e9

Encoded = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""What `ReaderModel.encode` gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A teacher's logits, in tokens of the student. Masks tell what it has an opinion on.

    Args:
        starts: Float32, (batch, n_tokens, 2).
        start_mask: Bool, (batch, n_tokens).
        rows: Int64, (n_spans,), labelled spans and those that only the teacher finds.
        first: Int64, (n_spans,), first token.
        last: Int64, (n_spans,), last token.
        ends: Float32, (n_spans, n_tokens).
        end_mask: Bool, (n_spans, n_tokens).
        links: Float32, (n_spans, n_entities).
        link_mask: Bool, (n_spans, n_entities).
        subjects: Int64, (n_pairs,), into the spans.
        objects: Int64, (n_pairs,), into the spans.
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
        """Give all parts by name.

        Returns:
            Tensors.
        """
        return {each.name: getattr(self, each.name) for each in fields(self)}


class OpinionMaker:
    """Asks a teacher about one batch.

    Args:
        model: The teacher.
        encoded: What it made of its rows.
        rows: Its rows.
        batch: The student's batch.
        settings: As in the recipe.
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

    def make(self) -> Opinion:
        """Ask.

        Returns:
            The opinion.
        """
        mask = self._first != NONE
        index = self._first.clamp(min=0).unsqueeze(-1).expand(-1, -1, 2)
        starts = self._starts.float().gather(1, index)  # (batch, n_tokens, 2)
        rows, first, last = self._labelled()
        found_rows, found_first = self._found(starts, mask)
        rows, first = torch.cat((rows, found_rows)), torch.cat((first, found_first))
        ends, end_mask = self._ends(rows, first)
        guessed = ends.masked_fill(~end_mask, _BARRED).argmax(dim=1)
        last = torch.cat((last, guessed[len(last) :]))
        # A mention that the teacher cannot end is none.
        kept = end_mask.any(dim=1)
        rows, first, last, ends, end_mask = (
            each[kept] for each in (rows, first, last, ends, end_mask)
        )
        links, link_mask = self._links(rows, first, last)
        subjects, objects, relations, relation_mask = self._pairs(rows, first, last)
        return Opinion(
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
        """Give the labelled spans whose words the teacher has too."""
        targets = self._batch.targets
        rows, first, last = targets.rows, targets.first, targets.last
        kept = (self._first[rows, first] != NONE) & (self._last[rows, last] != NONE)
        return rows[kept], first[kept], last[kept]

    def _found(self, starts: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give rows and first tokens of the mentions that only the teacher finds, best first."""
        scores = starts.softmax(dim=-1)[..., 1] * mask  # (batch, n_tokens)
        scores[self._batch.targets.rows, self._batch.targets.first] = 0.0
        best = scores.topk(min(self._settings.spans, scores.shape[1]), dim=1)
        taken = best.values > self._settings.span_threshold
        rows, places = taken.nonzero(as_tuple=True)
        return rows, best.indices[rows, places]

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
        # Nothing is ever linked to the class of the first token.
        mask[:, 0] = False
        links = torch.zeros(mask.shape, device=mask.device)
        if len(rows):
            logits = self._model.link(
                self._hidden, *self._placed(rows, first, last), self._entities
            )
            width = min(logits.shape[1], links.shape[1])
            links[:, :width] = logits[:, :width].float()
        return links, mask

    def _pairs(
        self, rows: torch.Tensor, first: torch.Tensor, last: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        mask = self._common("relation_mask")  # (batch, n_relations)
        asked = mask.any(dim=1)[rows]
        together = (rows[:, None] == rows) & asked & asked[:, None]
        together.fill_diagonal_(False)
        subjects, objects = together.nonzero(as_tuple=True)
        relations = torch.zeros((len(subjects), mask.shape[1], 2), device=mask.device)
        if len(subjects):
            logits = self._model.relate(
                self._hidden, *self._placed(rows, first, last), subjects, objects, self._relations
            )
            width = min(logits.shape[1], relations.shape[1])
            relations[:, :width] = logits[:, :width].float()
        return subjects, objects, relations, mask[rows[subjects]]

    def _placed(
        self, rows: torch.Tensor, first: torch.Tensor, last: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return rows, self._first[rows, first], self._last[rows, last]

    def _common(self, name: str) -> torch.Tensor:
        """Mark the classes that are in both rows: (batch, the student's classes)."""
        student, teacher = (
            torch.as_tensor(getattr(arrays, name), device=self._hidden.device)
            for arrays in (self._batch.arrays, self._rows.arrays)
        )
        mask = student.clone()
        width = min(mask.shape[1], teacher.shape[1])
        mask[:, :width] &= teacher[:, :width]
        mask[:, width:] = False
        return mask


def distances(
    model: ReaderModel,
    encoded: Encoded,
    opinion: Opinion,
    batch: ReaderBatch,
    settings: ReaderDistillation,
) -> dict[str, torch.Tensor]:
    """Measure how far a student is from its teacher.

    Args:
        model: The student.
        encoded: What it made of the batch.
        opinion: What the teacher says of the batch.
        batch: The batch.
        settings: Temperature, weight, and whether words without a label count.

    Returns:
        Weighted divergences: scalars named taught_start, and where there are spans taught_end,
        taught_link, and with pairs taught_relation.
    """
    hidden, starts, entities, relations = encoded
    said = opinion if settings.unlabelled else _within_labels(opinion, batch)
    weight, heat = settings.weight, settings.temperature
    per_token = divergence(starts, said.starts, heat)  # (batch, n_tokens)
    losses = {"taught_start": weight * _mean(per_token, said.start_mask)}
    if not len(said.rows):
        return losses
    spans = (said.rows, said.first, said.last)
    # Ends lie in the text: the candidates behind it need not be scored.
    reach = int(said.end_mask.any(dim=0).nonzero().max()) + 1
    mask = said.end_mask[:, :reach]
    ends = model.ends(hidden[:, :reach], said.rows, said.first)
    per_span = divergence(ends, said.ends[:, :reach], heat, mask)
    losses["taught_end"] = weight * per_span.mean()
    links = model.link(hidden, *spans, entities)
    per_span = divergence(links, said.links, heat, said.link_mask)
    losses["taught_link"] = weight * _mean(per_span, said.link_mask.any(dim=1))
    if len(said.subjects):
        logits = model.relate(hidden, *spans, said.subjects, said.objects, relations)
        cells = divergence(logits, said.relations, heat) * said.relation_mask
        # Normalised by what holds, as the loss of the labels is.
        holds = said.relations.softmax(dim=-1)[..., 1] * said.relation_mask
        losses["taught_relation"] = weight * cells.sum() / (holds.sum() + 1)
    return losses


def _within_labels(opinion: Opinion, batch: ReaderBatch) -> Opinion:
    """Leave out what no label says anything about."""
    targets = batch.targets
    size = opinion.start_mask.shape[1]
    labelled = targets.rows * size**2 + targets.first * size + targets.last
    known = torch.isin(opinion.rows * size**2 + opinion.first * size + opinion.last, labelled)
    linked = labelled[targets.links != IGNORED]
    told = torch.isin(opinion.rows * size**2 + opinion.first * size + opinion.last, linked)
    number = known.cumsum(0) - 1
    pairs = known[opinion.subjects] & known[opinion.objects]
    parts = opinion.tensors()
    spans = ("rows", "first", "last", "ends", "end_mask", "links")
    kept = {name: parts[name][known] for name in spans}
    kept |= {name: parts[name][pairs] for name in ("relations", "relation_mask")}
    return Opinion(
        starts=opinion.starts,
        start_mask=opinion.start_mask & (targets.starts != IGNORED),
        link_mask=(opinion.link_mask & told[:, None])[known],
        subjects=number[opinion.subjects[pairs]],
        objects=number[opinion.objects[pairs]],
        **kept,
    )


def divergence(
    student: torch.Tensor,
    teacher: torch.Tensor,
    temperature: float,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute the divergence of a student's distribution from its teacher's.

    Args:
        student: Logits, (..., n_classes).
        teacher: Logits, same shape.
        temperature: Divides both; gradients are scaled up again by its square.
        mask: Bool, same shape: classes that take part; None for all.

    Returns:
        Float32, (...), KL(teacher || student), at least 0; 0 where no class takes part.
    """
    logits = [each.float() / temperature for each in (student, teacher)]
    if mask is not None:
        logits = [each.masked_fill(~mask, _BARRED) for each in logits]
    ours, theirs = (nn.functional.log_softmax(each, dim=-1) for each in logits)
    cells = theirs.exp() * (theirs - ours)
    if mask is not None:
        cells = cells.masked_fill(~mask, 0.0)
    return cells.sum(dim=-1) * temperature**2


def _mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
