"""The settings of distillation in a recipe; imports no torch."""

from dataclasses import dataclass
from typing import Literal

from relik.errors import ConfigError
from relik.toml_settings import Natural, Rate, Share, Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderDistillation:
    """Distillation of a reader.

    Args:
        teacher: Folder of a bundle, or of a finished reader run; empty for no teacher.
        weight: Weight of the teacher's outputs; the labels have weight 1.
        temperature: Divides the logits of student and teacher; more than 0.
        unlabelled: Also learn where labels are missing: unlabelled names, and up to `spans`
            mentions that only the teacher finds.
        span_threshold: Minimum probability of a mention that only the teacher finds, 0..1.
        spans: Maximum number of such mentions in a window.
        hidden: Weight of the distance between hidden states; 0 for none.
        attention: Weight of the divergence of attention; 0 for none.
        layers: For each layer of the student, the layer of the teacher, from 1 on; 0 for none.
            Empty to spread the student's layers evenly over the teacher's.
        states_first: Number of first steps that learn only hidden states and attention.
        cache: Folder for the teacher's outputs, shared by runs over the same batches.
    """

    teacher: str = ""
    weight: Weight = 1.0
    temperature: Rate = 2.0
    unlabelled: bool = True
    span_threshold: Share = 0.5
    spans: Natural = 8
    hidden: Weight = 0.0
    attention: Weight = 0.0
    layers: tuple[Natural, ...] = ()
    states_first: Natural = 0
    cache: str = ""

    def __post_init__(self) -> None:
        if self.reads_states and self.cache:
            raise ConfigError(
                "got a cache along with hidden or attention, expected one of them: states take "
                "megabytes per step, leave one out"
            )
        if self.states_first and not self.reads_states:
            raise ConfigError(
                f"got states_first {self.states_first} without hidden or attention, expected a "
                "weight for one of them: set it, or leave states_first out"
            )

    @property
    def reads_states(self) -> bool:
        """Tell whether the student learns hidden states or attention."""
        return self.hidden > 0 or self.attention > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverDistillation:
    """Distillation of an encoder.

    Args:
        teacher: Folder of a bundle, of a finished retriever run, or a backbone as
            `relik_training.run.backbone.resolve` names it; empty for no teacher.
        weight: Weight of the teacher's scores of the pairs of a batch; the labels have weight 1.
        scores: "divergence" of the distributions over the passages of a window, or "margin":
            squared error of the differences from the mean score of a window.
        temperature: Divides the cosines of student and teacher; more than 0.
        vectors: Weight of the distance of vectors, the student's projected to the teacher's width.
        cache: Folder for the teacher's vectors, shared by runs over the same batches.
    """

    teacher: str = ""
    weight: Weight = 1.0
    scores: Literal["divergence", "margin"] = "divergence"
    temperature: Rate = 0.05
    vectors: Weight = 0.0
    cache: str = ""
