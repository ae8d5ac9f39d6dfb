"""What a recipe says of distillation. Needs no torch."""

from dataclasses import dataclass
from typing import Literal

from relik.errors import ConfigError
from relik.toml_settings import Natural, Rate, Share, Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderDistillation:
    """How a reader learns from a larger one.

    Args:
        teacher: Folder of a bundle, or of a finished reader run; empty for no teacher.
        weight: Of the teacher's opinions, beside the labels, which weigh 1.
        temperature: Softens both opinions.
        unlabelled: Learn what the teacher says of words that the labels leave open: unlabelled
            names, and up to `spans` mentions that only the teacher finds.
        span_threshold: From which probability on the teacher has found a mention, 0..1.
        spans: Most mentions of a window that only the teacher finds.
        hidden: Weight of the distance between states of layers; 0 leaves them alone.
        attention: Weight of the divergence of attention; 0 leaves it alone.
        layers: The layer of the teacher, from 1 on, for each layer of the student, 0 for none;
            empty spreads the student's layers evenly over the teacher's.
        states_first: First steps, in which states and attention are all that is learned.
        cache: Folder to keep the teacher's opinions in, for other runs over the same batches.
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
                "got a cache along with hidden or attention, whose states take megabytes a step: "
                "leave one of them out"
            )
        if self.states_first and not self.reads_states:
            raise ConfigError(
                f"got states_first {self.states_first} without hidden or attention, which leaves "
                "nothing to learn at first: give one of them a weight"
            )

    @property
    def reads_states(self) -> bool:
        """Tell whether states or attention are learned."""
        return self.hidden > 0 or self.attention > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverDistillation:
    """How an encoder learns from a larger one.

    Args:
        teacher: Folder of a bundle, of a finished retriever run, or a backbone as
            `relik_training.run.backbone.resolve` names it; empty for no teacher.
        weight: Of the teacher's scores of the pairs of a batch, beside the labels, which weigh 1.
        scores: "divergence" of the distributions over the passages of a window, or "margin":
            squared error of the differences from the mean score of a window.
        temperature: Divides the teacher's cosines, and the student's beside them.
        vectors: Weight of the distance of vectors, the student's projected to the teacher's width.
        cache: Folder to keep the teacher's vectors in, for other runs over the same batches.
    """

    teacher: str = ""
    weight: Weight = 1.0
    scores: Literal["divergence", "margin"] = "divergence"
    temperature: Rate = 0.05
    vectors: Weight = 0.0
    cache: str = ""
