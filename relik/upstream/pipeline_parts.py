"""What a released pipeline is made of on the server, and how it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

from relik.types import FloatArray
from relik.upstream.fitting import WindowReader
from relik.upstream.settings import PipelineSettings, Task
from relik.upstream.words import SPACY, WordCutter

if TYPE_CHECKING:
    from relik.upstream.converted_index import ConvertedIndex
    from relik.upstream.index import DocumentIndex

Index: TypeAlias = Union["DocumentIndex", "ConvertedIndex"]
"""An index as it was released, or converted."""


class Encoder(Protocol):
    """What is asked of an encoder."""

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Encode texts: float32, (n_texts, dim)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedParts:
    """What a pipeline is made of.

    Args:
        encoders: Encoder of each task; one object may be that of both.
        indexes: Index of each task.
        reader: The reader.
        cutter: What cuts texts into words.
    """

    encoders: Mapping[Task, Encoder]
    indexes: Mapping[Task, Index]
    reader: WindowReader
    cutter: WordCutter = SPACY


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedConfig:
    """How a pipeline answers.

    Args:
        model: Name that is given back in every answer.
        settings: Task, windows, candidates.
        max_length: Subwords of text and candidates that are read at once.
        threshold: Least probability of a mention, 0..1.
        relation_threshold: Probability above which a triple holds, 0..1; None as the reader has
            it.
    """

    model: str
    settings: PipelineSettings
    max_length: int = 1000
    threshold: float = 0.0
    relation_threshold: float | None = None
