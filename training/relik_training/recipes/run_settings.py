"""What the recipes of all runs say: weights, data, steps, rates, and settings of the bundle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from relik.config import PipelineConfig, WindowConfig
from relik.toml_settings import Dropout, Natural, PartOf, Positive, Rate
from relik_training.recipes.evaluation_settings import Evaluation

Precision: TypeAlias = Literal[
    "auto", "32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true"
]
"""As Lightning names them; "auto" is what pays off on the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Something that a bundle is made from.

    Args:
        name: What it is.
        licence: Its licence.
        used_for: What it is used for.
    """

    name: str
    licence: str
    used_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Settings that every run has, whatever it trains; they stand at the top of a recipe.

    Args:
        backbone: Pretrained weights; see `relik_training.run.backbone.resolve`.
        data: Folder of the data sets.
        out: Folder of the run, or of all runs of a recipe.
        model: Name of the model, given back in every answer.
        windows: How texts are split for training.
        pipeline: Settings of the bundle's `pipeline.toml` that take the place of those it would
            have: of its base, or fitted. `model` and `[calibration]` are the run's to write.
        batch_size: Windows, or pairs, per step.
        max_steps: Steps.
        warmup_steps: Steps of warm-up.
        learning_rate: Peak learning rate, in a reader that of its top layer.
        hidden_dropout: Dropout of the backbone's hidden states.
        checkpoint_steps: Steps between checkpoints.
        precision: Of the computation.
        seed: Seed of everything.
        evaluation: How the run is measured while it trains.
        provenance: What the bundle is made from.
    """

    data: str
    backbone: str = ""
    out: str = "runs/model"
    model: str = "unnamed"
    windows: WindowConfig = field(default_factory=WindowConfig)
    pipeline: Annotated[Mapping[str, object], PartOf(PipelineConfig)] = field(default_factory=dict)
    batch_size: Positive = 16
    max_steps: Positive = 1000
    warmup_steps: Natural = 50
    learning_rate: Rate = 1e-4
    hidden_dropout: Dropout = 0.1
    checkpoint_steps: Positive = 50
    precision: Precision = "auto"
    seed: Natural = 13
    evaluation: Evaluation = field(default_factory=Evaluation)
    provenance: tuple[Provenance, ...] = ()

    @property
    def thresholds(self) -> tuple[float | None, float | None]:
        """Thresholds of spans and of triples that the recipe names; None is fitted."""
        reader = self.pipeline.get("reader")
        held = reader if isinstance(reader, Mapping) else {}
        return held.get("threshold"), held.get("relation_threshold")
