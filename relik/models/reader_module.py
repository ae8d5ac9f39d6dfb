"""The reader as a torch module: one backbone pass, then heads for starts, ends, links, relations.

The four stage functions `encode`, `ends`, `link` and `relate` hold all the arithmetic: the torch
backend calls them, the export writes each as an ONNX graph, training computes its losses on them.
Heads, names and order of layers follow the released ReLiK readers, so that their state dicts fit.
Source: ReLiK (ACL 2024) section 3.2.
"""

import torch
from torch import nn

from relik.models.head_sizes import LEVELS, HeadConfig, ReaderHeads

__all__ = ["ClippedGELU", "EndClassifier", "HeadConfig", "ReaderHeads", "ReaderModel"]

# Small, so that training starts close to a reader without the words between two spans.
_INITIAL_BETWEEN_GAIN = 0.1
_CLIP = 10.0


class ReaderModel(nn.Module):
    """Backbone and heads.

    Shapes that the stages share: `hidden` is float32, (batch, n_tokens, d); `rows`, `starts` and
    `ends` are int64, (n_spans,): the row of each span, its first and its last token.

    Args:
        backbone: A Hugging Face encoder that takes `inputs_embeds`.
        n_markers: Rows of the marker table: NME, entity markers, relation markers; 0 where the
            markers are words of the backbone.
    """

    def __init__(
        self,
        backbone: nn.Module,
        config: HeadConfig,
        *,
        n_markers: int,
        heads: ReaderHeads | None = None,
    ) -> None:
        super().__init__()
        d, width = config.hidden_size, config.linears_hidden_size
        self.heads = heads or ReaderHeads()
        self.between = config.between
        self.backbone = backbone
        markers = nn.Parameter(torch.randn(n_markers, d) * 0.02) if n_markers else None
        self.register_parameter("markers", markers)
        self.ned_start_classifier = _head(config, d, width, 2)
        self.ned_end_classifier = EndClassifier(config, n_classes=self.heads.end_classes)
        if self.heads.links:
            self.ed_start_projector = _projector(config, d, width, width)
            self.ed_end_projector = _projector(config, d, width, width)
        if self.heads.relations:
            read, inside = (3 * d, 3 * width) if self.heads.type_embedding else (2 * d, 2 * width)
            self.re_projector = _projector(config, read, inside, 2 * width)
            self.re_relation_projector = _projector(config, d, width, width)
            self.re_classifier = _head(config, width, width, 2)
        if config.between:
            self.re_between = Between(config)
        if self.heads.types:
            self.re_entities_projector = _projector(config, 2 * d, width, width)
            self.re_definition_projector = _projector(config, d, width, width)
        if self.heads.links:
            # The link logit is an unscaled dot product of two normalised vectors of width 2L; a
            # gain of (2L)^-1/4 on each side starts it at unit variance instead of saturating the
            # softmax.
            for projector in (self.ed_start_projector, self.ed_end_projector):
                nn.init.constant_(projector[5].weight, (2 * width) ** -0.25)

    def encode(
        self,
        inputs_embeds: torch.Tensor,
        token_type_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        entity_positions: torch.Tensor,
        relation_positions: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Read text and candidates; score starts; project the markers.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, d).
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens), 1 on tokens.
            entity_positions: Int64, (batch, n_entities): CLS, NME and entity markers; padding
                points at token 0 and is ignored by the caller.
            relation_positions: Int64, (batch, n_relations), of the relation markers.

        Returns:
            Hidden states (batch, n_tokens, d), start logits (batch, n_tokens, 2), entity
            vectors (batch, n_entities, 2L), relation vectors (batch, n_relations, L); float32.
            Vectors without a head have width 0; entity vectors of the head `types` have width L.
        """
        hidden = self.backbone(
            inputs_embeds=inputs_embeds,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
        ).last_hidden_state  # (batch, n_tokens, d)
        starts = self.ned_start_classifier(hidden)  # (batch, n_tokens, 2)
        entities = self._entity_vectors(_take(hidden, entity_positions))
        relations = _take(hidden, relation_positions)  # (batch, n_relations, d)
        if self.heads.relations:
            return hidden, starts, entities, self.re_relation_projector(relations)
        return hidden, starts, entities, relations[..., :0]

    def ends(self, hidden: torch.Tensor, rows: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        """Score every token as the end of each start.

        Returns:
            Logits, float32, (n_starts, n_tokens), or (n_starts, n_tokens, 2) with two end classes.
        """
        logits: torch.Tensor = self.ned_end_classifier(hidden, rows, starts)
        return logits

    def link(
        self,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        starts: torch.Tensor,
        ends: torch.Tensor,
        entity_vectors: torch.Tensor,
    ) -> torch.Tensor:
        """Score the classes NONE, NIL and each candidate for each span.

        Returns:
            Logits, float32, (n_spans, n_entities); padding is not masked.
        """
        spans = self._span_vectors(hidden[rows, starts], hidden[rows, ends])  # (n_spans, 2L)
        return (entity_vectors[rows] @ spans.unsqueeze(-1)).squeeze(-1)  # (n_spans, n_entities)

    def _entity_vectors(self, entities: torch.Tensor) -> torch.Tensor:
        """Project markers, (batch, n_entities, d), to the space of span vectors."""
        if self.heads.types:
            return self.re_definition_projector(entities)  # (batch, n_entities, L)
        if not self.heads.links:
            return entities[..., :0]
        return torch.cat(
            (self.ed_start_projector(entities), self.ed_end_projector(entities)), dim=-1
        )  # (batch, n_entities, 2L)

    def _span_vectors(self, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """Project the first and last tokens of spans, (n_spans, d) each."""
        if self.heads.types:
            return self.re_entities_projector(torch.cat((first, last), dim=-1))  # (n_spans, L)
        return torch.cat(
            (self.ed_start_projector(first), self.ed_end_projector(last)), dim=-1
        )  # (n_spans, 2L)

    def relate(
        self,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        starts: torch.Tensor,
        ends: torch.Tensor,
        subjects: torch.Tensor,
        objects: torch.Tensor,
        relation_vectors: torch.Tensor,
    ) -> torch.Tensor:
        """Score each relation for each ordered pair of spans.

        Args:
            subjects: Int64, (n_pairs,), position of the subject among the spans.
            objects: Int64, (n_pairs,), position of the object, a span of the same row.

        Returns:
            Logits of no and yes, float32, (n_pairs, n_relations, 2).
        """
        as_subject, as_object = self.sides(hidden, rows, starts, ends)
        pairs = as_subject[subjects] * as_object[objects]  # (n_pairs, L)
        if self.between:
            pairs = pairs + self.re_between(
                hidden,
                rows[subjects],
                torch.stack((starts[subjects], ends[subjects]), dim=1),
                torch.stack((starts[objects], ends[objects]), dim=1),
            )
        return self.compare(pairs, relation_vectors[rows[subjects]])

    def sides(
        self,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        starts: torch.Tensor,
        ends: torch.Tensor,
        entities: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Project spans to subject vectors and object vectors: the first half of `relate`.

        Args:
            entities: Float32, (n_spans, d), for heads with a type embedding.

        Returns:
            Both float32, (n_spans, L).
        """
        spans = torch.cat((hidden[rows, starts], hidden[rows, ends]), dim=-1)  # (n_spans, 2d)
        if entities is not None:
            spans = torch.cat((spans, entities), dim=-1)  # (n_spans, 3d)
        as_subject, as_object = self.re_projector(spans).chunk(2, dim=-1)  # (n_spans, L)
        return as_subject, as_object

    def compare(self, pairs: torch.Tensor, relation_vectors: torch.Tensor) -> torch.Tensor:
        """Score relations for pairs: the second half of `relate`.

        Args:
            pairs: Float32, (n_pairs, L), products of subject and object vectors of `sides`.
            relation_vectors: Float32, (n_pairs, n_relations, L), or (n_relations, L) for all.

        Returns:
            Logits of no and yes, float32, (n_pairs, n_relations, 2).
        """
        mixed = pairs.unsqueeze(1) * relation_vectors  # (n_pairs, n_relations, L)
        logits: torch.Tensor = self.re_classifier(mixed)
        return logits  # (n_pairs, n_relations, 2)

    def embed(self, token_ids: torch.Tensor, word_embeddings: torch.Tensor) -> torch.Tensor:
        """Look up words in the frozen table and markers in the trained one.

        Args:
            token_ids: Int64, (batch, n_tokens); ids from the vocabulary size on are markers.
            word_embeddings: Float32, (vocabulary, d).

        Returns:
            Float32, (batch, n_tokens, d).
        """
        size = len(word_embeddings)
        is_marker = token_ids >= size
        words = nn.functional.embedding(token_ids.clamp(max=size - 1), word_embeddings)
        markers = nn.functional.embedding((token_ids - size).clamp(min=0), self.markers)
        return torch.where(is_marker.unsqueeze(-1), markers, words)


class EndClassifier(nn.Module):
    """Scores every token as the end of a span with a given start.

    Computes `dense_1(LayerNorm(tanh(dense_0([h_t ; h_start]))))`; the product with `dense_0` is
    split into its two halves, so that the half for all tokens is computed once per row.

    Args:
        n_classes: 1, or 2 for the logits of no and yes.
    """

    def __init__(self, config: HeadConfig, *, n_classes: int = 1) -> None:
        super().__init__()
        d = config.hidden_size
        self.dense_0 = nn.Linear(2 * d, d)
        self.LayerNorm = nn.LayerNorm(d, eps=config.layer_norm_eps)
        self.dense_1 = nn.Linear(d, n_classes)

    def forward(
        self, hidden: torch.Tensor, rows: torch.Tensor, starts: torch.Tensor
    ) -> torch.Tensor:
        """Score ends; see `ReaderModel.ends`."""
        of_token, of_start = self.dense_0.weight.chunk(2, dim=1)  # (d, d) each
        tokens = hidden @ of_token.T  # (batch, n_tokens, d)
        first = hidden[rows, starts] @ of_start.T + self.dense_0.bias  # (n_starts, d)
        mixed = torch.tanh(tokens[rows] + first.unsqueeze(1))  # (n_starts, n_tokens, d)
        logits: torch.Tensor = self.dense_1(self.LayerNorm(mixed)).squeeze(-1)
        return logits  # (n_starts, n_tokens[, 2])


class Between(nn.Module):
    """Pools the tokens strictly between two spans of a row into a vector.

    It projects tokens twice, for pairs whose subject comes first and for pairs whose object does,
    and takes their maximum. Spans that touch or overlap have nothing between them.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width = config.linears_hidden_size
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear(config.hidden_size, 2 * width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        nn.init.constant_(self.LayerNorm.weight, _INITIAL_BETWEEN_GAIN)

    def forward(
        self,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        subjects: torch.Tensor,
        objects: torch.Tensor,
    ) -> torch.Tensor:
        """Pool the tokens between the spans of each pair.

        Args:
            hidden: Float32, (batch, n_tokens, d); at most 512 tokens.
            rows: Int64, (n_pairs,), row of each pair.
            subjects: Int64, (n_pairs, 2), first and last token of the subject.
            objects: Int64, (n_pairs, 2), first and last token of the object.

        Returns:
            Float32, (n_pairs, L).
        """
        tokens = self.dense(self.dropout(hidden))  # (batch, n_tokens, 2L)
        forward = subjects[:, 0] < objects[:, 0]  # (n_pairs,)
        first = torch.where(forward, subjects[:, 1], objects[:, 1]) + 1
        length = torch.where(forward, objects[:, 0], subjects[:, 0]) - first  # (n_pairs,)
        pooled = _range_maxima(tokens, rows, first, length.clamp(min=1))  # (n_pairs, 2L)
        pooled = torch.where((length > 0).unsqueeze(1), pooled, 0.0)
        by_order = pooled.chunk(2, dim=1)
        chosen = torch.where(forward.unsqueeze(1), *by_order)  # (n_pairs, L)
        normed: torch.Tensor = self.LayerNorm(chosen)
        return normed


class ClippedGELU(nn.Module):
    """The exact GELU, cut off at -10 and 10."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Apply the function to float32 values of any shape."""
        return nn.functional.gelu(values).clamp(-_CLIP, _CLIP)


_ACTIVATIONS = {"gelu": nn.GELU, "gelu_10": ClippedGELU, "relu": nn.ReLU}


def _range_maxima(
    tokens: torch.Tensor, rows: torch.Tensor, first: torch.Tensor, length: torch.Tensor
) -> torch.Tensor:
    """Return the maximum of each range of tokens, from a table of maxima of 1, 2, 4 ... tokens.

    Args:
        tokens: Float32, (batch, n_tokens, w).
        rows: Int64, (n,), as are `first`, the first token, and `length`, at least 1.

    Returns:
        Float32, (n, w).
    """
    table, n_tokens = [tokens], tokens.shape[1]
    steps = [1 << k for k in range(LEVELS - 1)]  # tokens that each level adds to the one below
    steps = [step for step in steps if step < n_tokens]
    for step in steps:
        last = table[-1]
        # Values that wrap round the end of a row are never looked up.
        table.append(torch.maximum(last, last.roll(-step, dims=1)))
    reach = torch.tensor([2 * step for step in steps], device=length.device)
    level = (length.unsqueeze(1) >= reach).sum(dim=1)  # (n,)
    levels = torch.stack(table)  # (n_levels, batch, n_tokens, w)
    first = first.clamp(max=n_tokens - 1)
    from_end = (first + length - (1 << level)).clamp(max=n_tokens - 1)
    return torch.maximum(levels[level, rows, first], levels[level, rows, from_end])


def _take(hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Gather tokens: (batch, n_tokens, d) and (batch, n) give (batch, n, d)."""
    index = positions.unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
    return torch.gather(hidden, 1, index)


def _head(config: HeadConfig, inside: int, width: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(config.dropout),
        nn.Linear(inside, width),
        _ACTIVATIONS[config.activation](),
        nn.Dropout(config.dropout),
        nn.Linear(width, outside),
    )


def _projector(config: HeadConfig, inside: int, width: int, outside: int) -> nn.Sequential:
    norm = nn.LayerNorm(outside, eps=config.layer_norm_eps)
    return nn.Sequential(*_head(config, inside, width, outside), norm)
