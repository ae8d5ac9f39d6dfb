"""The part of every recipe that says how a run is measured while it trains."""

from dataclasses import dataclass

from relik.errors import ConfigError

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

    windows: int = 256
    steps: int = 0
    share: float = 0.0
    best: bool = False

    def __post_init__(self) -> None:
        for name, limit in (("windows", None), ("steps", None), ("share", 1)):
            value = getattr(self, name)
            if value < 0 or (limit is not None and value >= limit):
                below = "" if limit is None else f" and below {limit}"
                raise ConfigError(
                    f"[evaluation]: got {name} {value}, expected 0 or more{below}: change it"
                )

    def every(self, max_steps: int) -> int:
        """Give the steps between two measurements of a run."""
        steps = self.steps or -(-max_steps // 10)
        return -(-steps // _LOGGED) * _LOGGED
