"""What a plan measures, in a process of its own, so that its memory is the run's alone."""

import gc
import math
import os
import sys
import tempfile
import time
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import lightning
import numpy as np
import torch

from relik.layout import LAYOUT
from relik_training.run.backbone import best_precision
from relik_training.run.batches import BatchSource
from relik_training.run.best_weights import Measure, measuring
from relik_training.run.callbacks import count_tokens, gpu_memory
from relik_training.run.costs import (
    expected_seconds,
    memory_growth,
    sample_documents,
    spread_out,
    straight_line,
)
from relik_training.run.lora import merged
from relik_training.run.metrics import folder_bytes
from relik_training.run.run_clock import peak_memory, resident_bytes
from relik_training.run.run_files import Training, begin
from relik_training.run.trainer import (
    OpenRun,
    Watchers,
    fit,
    open_measure,
    plan_steps,
    write_weights,
)
from relik_training.runs import run_of

# Examples that are made ready: a few to warm up, then a sample in about these seconds.
_FEW, _SAMPLE, _SAMPLE_S = 64, 2400, 20.0
# Batches that are counted, and steps that are taken of them.
_COUNTED, _TIMED = 128, 14
_COUNTING_S, _STEPS_S = 10.0, 45.0
_LEAST_TIMED = 4
# The first steps reserve memory and choose kernels.
_WARM_UP = 3
# Objects that are there whatever the data are.
_STANDING = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
)
# What the allocator adds to each object: it hands out multiples of 16 bytes.
_ROUNDING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine that a plan is for; `load` is the mean over the minute before the plan."""

    cpus: int
    threads: int
    gpu: str
    precision: str
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Costs of a run, extrapolated from samples.

    Args:
        ready_from: Examples that were made ready.
        step_s: Seconds of a mean step, the making of its batch included.
        step_tokens: Tokens of a mean step, padding included.
        steps_counted: Batches whose tokens were counted.
        steps_timed: Tokens and seconds of each step that was timed.
        evaluations: How often the run measures itself on development texts.
        pauses: How often the run stops for other work, each time for `pause_s`.
        data_bytes: Size of the folder of the run without checkpoint, logs and bundle.
    """

    machine: Machine
    examples: int
    ready_from: int
    read_s: float
    ready_s: float
    step_s: float
    step_tokens: float
    steps_counted: int
    steps_timed: tuple[tuple[int, float], ...]
    evaluations: int
    evaluation_s: float
    checkpoint_s: float
    checkpoint_bytes: int
    pauses: int
    pause_s: float
    data_bytes: int
    bundle_bytes: int
    end_s: float
    memory_bytes: int
    gpu_memory_bytes: int
    plan_s: float


def measure(config: Training) -> Measured:
    """Open a run in a scratch folder, take some steps, and measure its end.

    Args:
        config: Settings of the run; its own folder is left alone.

    Raises:
        ConfigError: The backbone or a file is missing, or a setting does not fit.
    """
    machine = _machine(config)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="relik-plan-") as folder:
        aside = run_of(config).aside(Path(folder))
        out = Path(aside.config.out)
        begin(out, aside.config)
        run = aside.open()
        read_s = time.monotonic() - began
        before = folder_bytes(out)
        data, sampled = _make_ready(run, out, seed=config.seed)
        opens = time.monotonic()
        evaluation = open_measure(run, config)
        sampled["ready_s"] += time.monotonic() - opens
        resting = resident_bytes()
        steps = _time_steps(run, data, aside.config, evaluation)
        # All that is there in training, and the data that the sample does not have.
        taken = max(0, peak_memory() - resting)
        if not torch.cuda.is_available():
            taken = round(taken * memory_growth(config.max_steps))
        memory = resting + taken + sampled.pop("more_memory_bytes")
        write_weights(merged(run.module.model), out, run.about)
        written = before + sampled.pop("written_bytes") + (out / LAYOUT.weights).stat().st_size
        if evaluation is not None:
            # The best weights are kept beside the last ones.
            written += (out / LAYOUT.weights).stat().st_size
        examples, pauses = len(run.examples), run.pauses
        # The end of a run comes when its data are gone.
        del run, data, evaluation
        gc.collect()
        resident = resident_bytes()
        end = aside.end_cost()
    return Measured(
        machine=machine,
        examples=examples,
        read_s=read_s,
        pauses=pauses,
        data_bytes=int(written),
        bundle_bytes=end.bundle_bytes,
        end_s=end.seconds,
        memory_bytes=max(int(memory), resident + end.memory_bytes, peak_memory()),
        gpu_memory_bytes=gpu_memory(),
        plan_s=time.monotonic() - began,
        **sampled,
        **steps,
    )


def held_bytes(value: object, *, without: Iterable[object] = ()) -> int:
    """Add up the bytes of all objects that a value refers to: finer than those of the process.

    Args:
        value: The value.
        without: Values whose objects are left out.
    """
    seen: set[int] = set()
    _walk(list(without), seen)
    return _walk([value], seen)


def _walk(waiting: list[object], seen: set[int]) -> int:
    total = 0
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _STANDING):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value, 0) + _ROUNDING
        if isinstance(value, np.ndarray) and value.base is not None:
            total += value.nbytes
        waiting.extend(gc.get_referents(value))
    return total


def _make_ready(run: OpenRun, out: Path, *, seed: int) -> tuple[BatchSource, dict[str, Any]]:
    """Make a few examples ready, to open what is opened once, then a sample.

    Returns:
        The data of the sample, and `ready_from`, `ready_s`, `more_memory_bytes` and
        `written_bytes` of all examples.
    """
    total = len(run.examples)

    def timed(examples: Sequence[Any]) -> tuple[BatchSource, float]:
        began = time.monotonic()
        return run.ready(examples), time.monotonic() - began

    def drawn(count: int, seed: int) -> list[Any]:
        wanted = min(count, total)
        return sample_documents(run.examples, wanted, seed=seed, document=lambda each: each.doc_id)

    few, before = drawn(_FEW, seed), folder_bytes(out)
    data, first = timed(few)
    if len(few) == total:
        written = folder_bytes(out) - before
        costs = {"ready_s": first, "more_memory_bytes": 0, "written_bytes": written}
        return data, {"ready_from": total, **costs}
    few_bytes = held_bytes(data, without=few)
    # Others, since what was just read is read faster.
    others = drawn(2 * _FEW, seed + 1)
    data, again = timed(others)
    affordable = min(_SAMPLE, int(_SAMPLE_S * len(others) / max(again, 1e-3)))
    chosen = drawn(max(4 * _FEW, affordable), seed)
    data, seconds = timed(chosen)
    whole = straight_line((len(others), again), (len(chosen), seconds), float(total))
    grown = max(0, held_bytes(data, without=chosen) - few_bytes) / max(1, len(chosen) - len(few))
    return data, {
        "ready_from": len(chosen),
        # What is opened for the first time takes longer than what is opened again.
        "ready_s": whole + max(0.0, first - again),
        "more_memory_bytes": round(grown * (total - len(chosen))),
        "written_bytes": round((folder_bytes(out) - before) * total / len(chosen)),
    }


def _time_steps(
    run: OpenRun, data: BatchSource, config: Training, evaluation: Measure | None
) -> dict[str, Any]:
    """Take some steps of a run; checkpoints go to `config.out`, a scratch folder."""
    plan = plan_steps(data, config)
    # Where a run stops for other work, that work is for the steps up to the next stop alone.
    reach = math.ceil(len(plan) / run.pauses) if run.pauses else len(plan)
    batches = _Calibration(data, plan[:reach])
    watch = _Watch(Path(config.out), evaluation)
    fit(
        run.module,
        batches,
        # The watch writes the only checkpoint.
        replace(config, max_steps=_WARM_UP + _TIMED, checkpoint_steps=10**9),
        Watchers(callbacks=[watch]),
    )
    timed = list(zip(batches.taken, watch.seconds, strict=False))[_WARM_UP:]
    tokens = float(np.mean(batches.counted))
    return {
        "step_s": expected_seconds([n for n, _ in timed], [s for _, s in timed], tokens),
        "step_tokens": tokens,
        "steps_counted": len(batches.counted),
        "steps_timed": tuple((n, round(s, 4)) for n, s in timed),
        "evaluations": math.ceil(config.max_steps / config.evaluation.every(config.max_steps)),
        "evaluation_s": watch.evaluation_s,
        "checkpoint_s": watch.checkpoint_s,
        "checkpoint_bytes": watch.checkpoint_bytes,
        "pause_s": max(0.0, batches.making[0] - median(batches.making)) if run.pauses else 0.0,
    }


class _Calibration:
    """Batches of all sizes: some are counted, then a sample of them is given.

    They are counted when training begins: making one may need a module that is in its trainer.
    They are drawn from the whole run, since a run may begin with what is easy.
    """

    def __init__(self, data: BatchSource, plan: list[list[int]]) -> None:
        self._data = data
        self._plan = plan
        self._steps = np.random.default_rng(0).permutation(len(plan))[:_COUNTED].tolist()
        self.counted: list[int] = []
        # Seconds that each of these took to make.
        self.making: list[float] = []
        # Tokens of each batch that was given.
        self.taken: list[int] = []

    def __iter__(self) -> Iterator[Any]:
        self._count()
        # The order of a plan is random: its first steps are a sample.
        chosen = spread_out(self.counted, _TIMED)
        mixed = np.random.default_rng(0).permutation(chosen).tolist()
        # The largest one shows how much memory is needed.
        warm_up = [int(np.argmax(self.counted)), *mixed, *mixed][:_WARM_UP]
        for place in (*warm_up, *(mixed[k % len(mixed)] for k in range(_TIMED))):
            self.taken.append(self.counted[place])
            yield self._batch(self._steps[place])

    def _count(self) -> None:
        began = last = time.monotonic()
        for step in self._steps:
            if len(self.counted) >= _TIMED and last - began > _COUNTING_S:
                break
            self.counted.append(count_tokens(self._batch(step)))
            now = time.monotonic()
            self.making.append(now - last)
            last = now

    def _batch(self, step: int) -> Any:
        return self._data.batch(self._plan[step], step)


class _Watch(lightning.Callback):
    """Notes the seconds of each step, ends in time; measures and writes a checkpoint in the end."""

    def __init__(self, out: Path, evaluation: Measure | None) -> None:
        self._evaluation = evaluation
        self._path = out / "checkpoints" / "plan.ckpt"
        self._began = self._last = 0.0
        self.seconds: list[float] = []
        self.checkpoint_s = self.evaluation_s = 0.0
        self.checkpoint_bytes = 0

    def on_train_start(self, *_rest: object) -> None:
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_rest: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.monotonic()
        self.seconds.append(now - self._last)
        if len(self.seconds) == 1:
            # Counting came before the first step.
            self._began = now
        elif len(self.seconds) >= _WARM_UP + _LEAST_TIMED and now - self._began > _STEPS_S:
            trainer.should_stop = True
        self._last = now

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if self._evaluation is not None:
            began = time.monotonic()
            with measuring(trainer, module):
                self._evaluation()
            self.evaluation_s = time.monotonic() - began
        began = time.monotonic()
        trainer.save_checkpoint(self._path)
        self.checkpoint_s = time.monotonic() - began
        self.checkpoint_bytes = self._path.stat().st_size
        self._path.unlink()


def _machine(config: Training) -> Machine:
    return Machine(
        cpus=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        precision=best_precision() if config.precision == "auto" else config.precision,
        load=round(os.getloadavg()[0], 1),
    )
