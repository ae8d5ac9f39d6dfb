"""`relik train plan`: what a run will cost on this machine, before it starts. Needs no torch."""

import dataclasses
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relik.errors import ConfigError
from relik_training.recipes.recipe_files import Overrides
from relik_training.run.metrics import Budget, duration_text, size_text, write_plan
from relik_training.run.processes import end_with_parent
from relik_training.run.run_files import Training, check_files
from relik_training.runs import read_training

if TYPE_CHECKING:
    from relik_training.plan.plan_measure import Measured

# Bytes of the logs for each step: a tenth each of a row of JSON Lines, of a row of the clock and
# of an event for each figure.
_LOG_BYTES = 80
# Share of the cores in use by other programs from which on the plan mentions them.
_BUSY = 0.3
_NOT_SHOWN = ("end_s", "memory_bytes", "gpu_memory_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will cost, what that was computed from, and the file that has both."""

    config: Training
    measured: "Measured"
    budget: Budget
    path: Path

    def as_dict(self) -> dict[str, object]:
        """Give the plan for JSON: the file, costs, and what they were computed from."""
        parts = _parts(self.config, self.measured)
        return {"plan": str(self.path), **self.budget.as_dict(), **parts}


def make_plan(recipe: Path, overrides: Overrides) -> Plan:
    """Predict what a run costs from some steps of it; write `plan.json` into its folder.

    Args:
        recipe: TOML file of any run.
        overrides: What the command line says against it.

    Raises:
        ConfigError: The recipe is wrong, a file is missing, or the calibration was killed.
    """
    config = read_training(recipe, overrides)
    check_files(config)
    # A process of its own starts with no memory but its own, and may be killed for taking more.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=end_with_parent) as pool:
        try:
            measured = pool.submit(_measure, config).result()
        except BrokenProcessPool as error:
            raise ConfigError(
                "the calibration was killed, expected it to end: the run most likely needs more "
                "memory than there is: lower batch_size, or max_tokens"
            ) from error
    budget = _budget(config, measured)
    path = write_plan(config, budget, _parts(config, measured))
    return Plan(config=config, measured=measured, budget=budget, path=path)


def plan_lines(plan: Plan) -> list[str]:
    """Say for people what a plan was computed from."""
    config, measured, machine = plan.config, plan.measured, plan.measured.machine
    times = config.max_steps * config.batch_size / max(1, measured.examples)
    lines = [
        f"on {machine.gpu or 'the CPU'}, {machine.cpus} cores, {machine.precision}",
        f"data: {measured.examples} examples, each {times:.1f} times on average; read in "
        f"{duration_text(measured.read_s)}, ready in {duration_text(measured.ready_s)}, computed "
        f"from {measured.ready_from}",
        f"steps: {config.max_steps} of {config.batch_size} examples and "
        f"{measured.step_tokens:.0f} tokens, {measured.step_s:.2f} s each, computed from "
        f"{len(measured.steps_timed)}",
        f"disk: checkpoint {size_text(measured.checkpoint_bytes)}, bundle "
        f"{size_text(measured.bundle_bytes)}, weights and data {size_text(measured.data_bytes)}",
    ]
    if measured.evaluation_s:
        seconds = duration_text(measured.evaluation_s)
        lines.append(f"measured on development texts: {measured.evaluations} times, {seconds} each")
    if measured.pauses:
        lines.append(f"pauses: {measured.pauses} of {duration_text(measured.pause_s)} each")
    if machine.load > _BUSY * machine.cpus:
        lines.append(
            f"other programs were running (load {machine.load}): times are those of a machine as "
            "busy as this one was"
        )
    return [*lines, f"plan: {plan.path}, made in {duration_text(measured.plan_s)}"]


def _measure(config: Training) -> "Measured":
    from relik_training.plan.plan_measure import measure

    return measure(config)


def _budget(config: Training, measured: "Measured") -> Budget:
    checkpoints = math.ceil(config.max_steps / config.checkpoint_steps)
    train_s = (
        config.max_steps * measured.step_s
        + checkpoints * measured.checkpoint_s
        + measured.evaluations * measured.evaluation_s
        + measured.pauses * measured.pause_s
    )
    prepare_s = measured.read_s + measured.ready_s
    return Budget(
        prepare_s=prepare_s,
        train_s=train_s,
        bundle_s=measured.end_s,
        total_s=prepare_s + train_s + measured.end_s,
        samples_per_s=config.max_steps * config.batch_size / train_s,
        tokens_per_s=config.max_steps * measured.step_tokens / train_s,
        memory_bytes=measured.memory_bytes,
        gpu_memory_bytes=measured.gpu_memory_bytes,
        disk_bytes=measured.data_bytes
        + measured.checkpoint_bytes
        + measured.bundle_bytes
        + _LOG_BYTES * config.max_steps,
    )


def _parts(config: Training, measured: "Measured") -> dict[str, object]:
    figures = dataclasses.asdict(measured)
    return {
        "steps": config.max_steps,
        "batch_size": config.batch_size,
        "epochs": round(config.max_steps * config.batch_size / max(1, measured.examples), 2),
        **{
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in figures.items()
            if name not in _NOT_SHOWN
        },
    }
