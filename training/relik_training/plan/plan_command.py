"""`relik train plan`: what a run will cost on this machine, before it is begun. Needs no torch."""

import dataclasses
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relik.errors import ConfigError
from relik_training.plan.budget import Budget, told_bytes, told_seconds
from relik_training.plan.plan_file import write_plan
from relik_training.plan.plan_kinds import read_training
from relik_training.recipes.recipe import Overrides
from relik_training.run.processes import end_with_parent
from relik_training.run.run_files import Training, settings_key

if TYPE_CHECKING:
    from relik_training.plan.plan_measure import Measured

# Logs take about so many bytes a step: a tenth each of a row of JSON Lines, of a row of the clock
# and of an event for each figure.
_LOG_BYTES = 80
# Share of the cores that others may use before times are no longer the machine's own.
_BUSY = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will cost, and what that was concluded from.

    Args:
        config: Settings of the run.
        measured: What was measured.
        budget: The costs.
        path: The file that the plan was written to.
    """

    config: Training
    measured: "Measured"
    budget: Budget
    path: Path

    def as_dict(self) -> dict[str, object]:
        """Give the plan for JSON.

        Returns:
            Costs, what they were concluded from, and the file.
        """
        parts = _parts(self.config, self.measured)
        return {"plan": str(self.path), **self.budget.as_dict(), **parts}


def make_plan(recipe: Path, overrides: Overrides) -> Plan:
    """Predict what a run costs from some steps of it, and write that into the folder of the run.

    Args:
        recipe: TOML file of a retriever, a reader or a closed schema.
        overrides: What the command line says against it.

    Returns:
        The plan. Nothing but `plan.json` is written into the folder of the run.

    Raises:
        ConfigError: The recipe is wrong, a file is missing, or the calibration was killed.
    """
    config = read_training(recipe, overrides)
    # A process of its own begins with no memory but its own, and may be killed for taking more.
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
    contents = {
        "settings": settings_key(config),
        "budget": budget.as_dict(),
        **_parts(config, measured),
    }
    path = write_plan(Path(config.out), contents)
    return Plan(config=config, measured=measured, budget=budget, path=path)


def plan_lines(plan: Plan) -> list[str]:
    """Say what a plan was concluded from.

    Args:
        plan: The plan.

    Returns:
        Lines for people.
    """
    config, measured, steps = plan.config, plan.measured, plan.measured.steps
    machine = measured.machine
    times = config.max_steps * config.batch_size / max(1, measured.examples)
    lines = [
        f"on {machine.gpu or 'the CPU'}, {machine.cpus} cores, {machine.precision}",
        f"data: {measured.examples} examples, each {times:.1f} times on average; read in "
        f"{told_seconds(measured.open_s)}, ready in {told_seconds(measured.ready_s)}, concluded "
        f"from {measured.sampled}",
        f"steps: {config.max_steps} of {config.batch_size} examples and {steps.tokens:.0f} tokens, "
        f"{steps.seconds:.2f} s each, concluded from {len(steps.timed)}",
        f"disk: checkpoint {told_bytes(steps.checkpoint_bytes)}, bundle "
        f"{told_bytes(measured.end.bundle_bytes)}, weights and data "
        f"{told_bytes(measured.data_bytes)}",
    ]
    if measured.pauses:
        pause = told_seconds(steps.pause_s)
        lines.append(f"pauses: {measured.pauses} of {pause} each")
    if machine.load > _BUSY * machine.cpus:
        lines.append(
            f"other programs were running (load {machine.load}): times are those of a machine as "
            "busy as this one was"
        )
    return [*lines, f"plan: {plan.path}, made in {told_seconds(measured.took_s)}"]


def _measure(config: Training) -> "Measured":
    from relik_training.plan.plan_measure import measure

    return measure(config)


def _budget(config: Training, measured: "Measured") -> Budget:
    steps, end = measured.steps, measured.end
    checkpoints = math.ceil(config.max_steps / config.checkpoint_steps)
    train_s = (
        config.max_steps * steps.seconds
        + checkpoints * steps.checkpoint_s
        + measured.pauses * steps.pause_s
    )
    prepare_s = measured.open_s + measured.ready_s
    return Budget(
        prepare_s=prepare_s,
        train_s=train_s,
        bundle_s=end.seconds,
        total_s=prepare_s + train_s + end.seconds,
        samples_per_s=config.max_steps * config.batch_size / train_s,
        tokens_per_s=config.max_steps * steps.tokens / train_s,
        memory_bytes=measured.memory_bytes,
        gpu_memory_bytes=measured.gpu_memory_bytes,
        disk_bytes=measured.data_bytes
        + steps.checkpoint_bytes
        + end.bundle_bytes
        + _LOG_BYTES * config.max_steps,
    )


def _parts(config: Training, measured: "Measured") -> dict[str, object]:
    steps = measured.steps
    return {
        "machine": dataclasses.asdict(measured.machine),
        "steps": config.max_steps,
        "batch_size": config.batch_size,
        "examples": measured.examples,
        "epochs": round(config.max_steps * config.batch_size / max(1, measured.examples), 2),
        "read_s": round(measured.open_s, 2),
        "ready_s": round(measured.ready_s, 2),
        "ready_from": measured.sampled,
        "step_s": round(steps.seconds, 4),
        "step_tokens": round(steps.tokens, 1),
        "steps_counted": steps.counted,
        "steps_timed": [[tokens, round(seconds, 4)] for tokens, seconds in steps.timed],
        "checkpoint_s": round(steps.checkpoint_s, 3),
        "pauses": measured.pauses,
        "pause_s": round(steps.pause_s, 3),
        "checkpoint_bytes": steps.checkpoint_bytes,
        "bundle_bytes": measured.end.bundle_bytes,
        "data_bytes": measured.data_bytes,
        "plan_s": round(measured.took_s, 1),
    }
