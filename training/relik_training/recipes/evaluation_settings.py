"""The part of every recipe that says how a run is measured while it trains."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from relik.toml_settings import Natural

_LOGGED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How a run is measured while it trains: `dev_f1` in its logs.

    Args:
        windows: Most windows that are read each time; 0 measures nothing.
        steps: Steps between two measurements, rounded up to tens, which are logged; 0 for a tenth
            of the run.
        share: Share of the documents that are kept out of training to measure on, 0..1; 0 measures
            on the development texts that the recipe names, and nothing where it names none.
        best: The run ends with the weights of the best `dev_f1` instead of the last ones.
    """

    windows: Natural = 256
    steps: Natural = 0
    share: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    best: bool = False

    def every(self, max_steps: int) -> int:
        """Give the steps between two measurements of a run."""
        steps = self.steps or -(-max_steps // 10)
        return -(-steps // _LOGGED) * _LOGGED
