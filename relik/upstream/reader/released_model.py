"""Models of released readers on torch, with the module of our own readers.

The arithmetic is in `relik.models.reader_module`; here it runs in pieces of bounded memory.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from relik.errors import InferenceError
from relik.models.reader_module import HeadConfig, ReaderModel
from relik.reader.inputs import ReaderInput, pad_inputs
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.backbone_settings import find_backbone, max_positions
from relik.upstream.checkpoint.backbones import build_backbone, input_ranges
from relik.upstream.checkpoint.reader_config import CheckpointSettings, Kind
from relik.upstream.checkpoint.weights import fill, place, read_weights
from relik.upstream.reader.arithmetic import BatchSpans, Encoded, In, Out, pieces

_WORDS = "transformer_model.embeddings.word_embeddings.weight"


class UpstreamReaderModel:
    """The model of a released reader, in evaluation mode; see `ReaderArithmetic`.

    Args:
        positions: Most tokens of a row, or None for no limit.
    """

    rows_at_once: int | None = None
    """No limit, since rows of a batch share every matrix product."""

    def __init__(
        self,
        model: ReaderModel,
        settings: CheckpointSettings,
        *,
        device: torch.device,
        positions: int | None,
    ) -> None:
        self.settings = settings
        self.positions = positions
        self._model = model
        self._words: nn.Module = model.backbone.get_input_embeddings()
        self.n_words = len(self._words.weight)
        self._device = device

    @classmethod
    def open(
        cls, folder: Path, *, kind: Kind, backbone: Path | None, device: str, precision: str
    ) -> "UpstreamReaderModel":
        """Open the model of a reader.

        Args:
            backbone: Folder with the settings of its backbone, for one with an unknown name.
            precision: "float32", "float16" or "bfloat16".

        Raises:
            BundleError: A file is missing or broken, or does not fit another.
            ConfigError: The backbone is unknown, the reader is of the other kind, or there is no
                such device or precision.
        """
        settings = CheckpointSettings.read(folder, kind=kind)
        config = find_backbone(settings.backbone, beside=folder, folder=backbone)
        if settings.n_layers is not None:
            config["num_hidden_layers"] = settings.n_layers
        weights = read_weights(folder)
        # The table has rows for markers too: the weights tell how many.
        n_words = len(weights[_WORDS]) if _WORDS in weights else 1
        layers = build_backbone(config, n_words=n_words, source=folder)
        sizes = HeadConfig(
            hidden_size=layers.config.hidden_size,
            linears_hidden_size=settings.width,
            layer_norm_eps=layers.config.layer_norm_eps,
            activation=settings.activation,
        )
        with torch.device("meta"):
            model = ReaderModel(layers, sizes, n_markers=0, heads=settings.heads)
        fill(model, weights, name_of=_name_of, source=folder)
        where = place(model, device=device, precision=precision)
        return cls(model, settings, device=where, positions=max_positions(config))

    def tensors(self) -> dict[str, FloatArray]:
        """Return the weights as float32, by name in the checkpoint."""
        state = self._model.state_dict()
        return {_name_of(name): _to_numpy(value) for name, value in state.items()}

    def ranges(self, rows: Sequence[IntArray]) -> dict[str, FloatArray]:
        """Measure the inputs of the linear layers of the backbone; see `input_ranges`."""
        ranges = input_ranges(self._model.backbone, rows)
        return {_name_of(f"backbone.{name}"): value for name, value in ranges.items()}

    def each(self, work: Callable[[In], Out], batches: Sequence[In]) -> list[Out]:
        """Apply a function to batches one by one, since torch uses all cores for one batch."""
        return [work(batch) for batch in batches]

    def encode(self, rows: Sequence[ReaderInput]) -> Encoded[torch.Tensor]:
        """Read rows.

        Raises:
            InferenceError: torch failed.
        """
        arrays = pad_inputs(rows)
        with _as_inference_error(f"{len(rows)} rows of up to {arrays.ids.shape[1]} tokens"):
            positions = self._tensor(arrays.entity_positions)
            hidden, starts, entities, relations = self._model.encode(
                self._words(self._tensor(arrays.ids)),
                self._tensor(arrays.types),
                self._tensor(arrays.mask),
                positions,
                self._tensor(arrays.relation_positions),
            )
            return Encoded(
                hidden=hidden,
                starts=_to_numpy(starts),
                entities=entities,
                relations=relations,
                entity_positions=positions,
            )

    def ends(
        self, encoded: Encoded[torch.Tensor], rows: IntArray, starts: IntArray, *, n_tokens: int
    ) -> FloatArray:
        """Score tokens as the end of each start.

        Raises:
            InferenceError: torch failed.
        """
        hidden = encoded.hidden[:, :n_tokens]
        parts = []
        with _as_inference_error(f"the ends of {len(starts)} starts"):
            for piece in pieces(len(starts), n_tokens * hidden.shape[2]):
                chosen = self._tensor(rows[piece]), self._tensor(starts[piece])
                parts.append(_to_numpy(self._model.ends(hidden, *chosen)))
        return np.concatenate(parts)

    def link(self, encoded: Encoded[torch.Tensor], spans: BatchSpans) -> FloatArray:
        """Score the entities of its row for each span.

        Returns:
            Logits, float32, (n_spans, n_classes); padding is not masked.

        Raises:
            InferenceError: torch failed.
        """
        parts = []
        with _as_inference_error(f"the entities of {len(spans.rows)} spans"):
            for piece in pieces(len(spans.rows), encoded.entities[0].numel()):
                positions = self._tensors(spans.of(piece))
                logits = self._model.link(encoded.hidden, *positions, encoded.entities)
                parts.append(_to_numpy(logits))
        return np.concatenate(parts)

    def relate(
        self,
        encoded: Encoded[torch.Tensor],
        spans: BatchSpans,
        *,
        types: FloatArray | None,
        n_relations: int,
    ) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
        """Score relations for all ordered pairs of spans of one row.

        Raises:
            InferenceError: torch failed.
        """
        row, n_spans = int(spans.rows[0]), len(spans.rows)
        with _as_inference_error(f"{n_spans} spans"):
            entities = None
            if types is not None and self.settings.heads.type_embedding:
                markers = encoded.hidden[row, encoded.entity_positions[row, : types.shape[1]]]
                entities = self._tensor(types).to(markers.dtype) @ markers  # (n_spans, d)
            as_subject, as_object = self._model.sides(
                encoded.hidden, *self._tensors(spans), entities
            )
            vectors = encoded.relations[row, :n_relations]  # (n_relations, L)
        pairs = np.arange(n_spans * n_spans, dtype=np.int64)
        for piece in pieces(len(pairs), vectors.numel()):
            subjects, objects = np.divmod(pairs[piece], n_spans)
            with _as_inference_error(f"{len(subjects)} pairs of spans"):
                products = as_subject[self._tensor(subjects)] * as_object[self._tensor(objects)]
                logits = self._model.compare(products, vectors)
                scores = _to_numpy(logits.float().softmax(dim=-1)[..., 1])
            yield subjects, objects, scores

    def _tensor(self, values: IntArray | FloatArray) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def _tensors(self, spans: BatchSpans) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        arrays = (spans.rows, spans.starts, spans.ends)
        rows, starts, ends = (self._tensor(array) for array in arrays)
        return rows, starts, ends


def _name_of(name: str) -> str:
    head, dot, rest = name.partition(".")
    return f"transformer_model{dot}{rest}" if head == "backbone" else name


@contextmanager
def _as_inference_error(what: str) -> Iterator[None]:
    try:
        with torch.inference_mode():
            yield
    # Out of GPU memory is a RuntimeError too.
    except (RuntimeError, IndexError) as error:
        raise InferenceError(
            f"the reader failed on {what} ({error}): use fewer tokens in a batch"
        ) from error


def _to_numpy(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.float().cpu().numpy()
    return array
