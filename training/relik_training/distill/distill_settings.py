"""The settings of distillation in a recipe; imports no torch."""

from dataclasses import dataclass

from relik.errors import ConfigError

SCORE_LOSSES = ("divergence", "margin")


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
    weight: float = 1.0
    temperature: float = 2.0
    unlabelled: bool = True
    span_threshold: float = 0.5
    spans: int = 8
    hidden: float = 0.0
    attention: float = 0.0
    layers: tuple[int, ...] = ()
    states_first: int = 0
    cache: str = ""

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
    weight: float = 1.0
    scores: str = "divergence"
    temperature: float = 0.05
    vectors: float = 0.0
    cache: str = ""


def check_distillation(settings: ReaderDistillation | RetrieverDistillation) -> None:
    """Check ranges and combinations of settings.

    Raises:
        ConfigError: A value is out of range, or two settings contradict each other.
    """
    if settings.temperature <= 0:
        raise ConfigError(
            f"[distillation]: got temperature {settings.temperature}, expected more than 0: raise "
            "it"
        )
    if isinstance(settings, RetrieverDistillation):
        if settings.scores not in SCORE_LOSSES:
            raise ConfigError(
                f"[distillation]: got scores {settings.scores!r}, expected one of {SCORE_LOSSES}: "
                "choose one"
            )
    elif settings.reads_states and settings.cache:
        raise ConfigError(
            "[distillation]: got a cache along with hidden or attention, expected one of them: "
            "states take megabytes per step, leave one out"
        )
    elif settings.states_first and not settings.reads_states:
        raise ConfigError(
            f"[distillation]: got states_first {settings.states_first} without hidden or "
            "attention, expected a weight for one of them: set it, or leave states_first out"
        )
