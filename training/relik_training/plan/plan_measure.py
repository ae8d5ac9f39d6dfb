"""What a plan measures, in a process of its own, so that its memory is the run's alone."""

import gc
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from relik.layout import LAYOUT
from relik_training.plan.plan_fit import EndCost, memory_growth, sample_documents, straight_line
from relik_training.plan.plan_kinds import kind_of
from relik_training.plan.plan_size import held_bytes, resident_bytes
from relik_training.plan.plan_steps import StepCost, time_steps
from relik_training.run.backbone import best_precision
from relik_training.run.lora import merged
from relik_training.run.metrics import folder_bytes
from relik_training.run.run_clock import peak_memory
from relik_training.run.run_counts import gpu_memory
from relik_training.run.run_files import Training, begin
from relik_training.run.trainer import BatchSource, OpenRun, write_weights

# Examples that are made ready: a few to warm up, then a sample in about these seconds.
_FEW, _SAMPLE, _SAMPLE_S = 64, 2400, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a plan is for.

    Args:
        cpus: Cores.
        threads: Threads of torch.
        gpu: Name of the accelerator; empty without one.
        precision: Lightning precision.
        load: Programs that ran or waited, over the minute before the plan.
    """

    cpus: int
    threads: int
    gpu: str
    precision: str
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured for a plan, gone on from the sample to the whole.

    Args:
        machine: What it was measured on.
        examples: Examples of the run.
        sampled: Those that were made ready.
        open_s: Seconds of reading, in full.
        ready_s: Seconds of making all examples ready.
        steps: What steps cost.
        pauses: How often the run stops for other work.
        end: What its end costs.
        memory_bytes: Most resident memory.
        gpu_memory_bytes: Most memory of the accelerator.
        data_bytes: What the folder of the run holds beside checkpoint, logs and bundle.
        took_s: Seconds of the measuring.
    """

    machine: Machine
    examples: int
    sampled: int
    open_s: float
    ready_s: float
    steps: StepCost
    pauses: int
    end: EndCost
    memory_bytes: int
    gpu_memory_bytes: int
    data_bytes: int
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """Data of a sample, and what the data of all examples cost."""

    data: BatchSource
    sampled: int
    seconds: float
    more_memory_bytes: int
    written_bytes: int


def measure(config: Training) -> Measured:
    """Open a run in a scratch folder, take some steps, and measure its end.

    Args:
        config: Settings of the run; its own folder is left alone.

    Returns:
        What was measured.

    Raises:
        ConfigError: The backbone or a file is missing, or a setting does not fit.
    """
    machine = _machine(config)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="relik-plan-") as folder:
        kind = kind_of(config, Path(folder))
        out = Path(kind.config.out)
        begin(out, kind.config)
        run = kind.open()
        opened = time.monotonic()
        before = folder_bytes(out)
        ready = _make_ready(run, out, seed=config.seed)
        resting = resident_bytes()
        steps = time_steps(run, ready.data, kind.config)
        # All that is there in training, and the data that the sample does not have.
        taken = max(0, peak_memory() - resting)
        if not torch.cuda.is_available():
            taken = round(taken * memory_growth(config.max_steps))
        memory = resting + taken + ready.more_memory_bytes
        write_weights(merged(run.module.model), out, run.about)
        measured = Measured(
            machine=machine,
            examples=len(run.examples),
            sampled=ready.sampled,
            open_s=opened - began,
            ready_s=ready.seconds,
            steps=steps,
            pauses=run.pauses,
            end=EndCost(seconds=0.0, bundle_bytes=0),
            memory_bytes=memory,
            gpu_memory_bytes=gpu_memory(),
            data_bytes=before + ready.written_bytes + (out / LAYOUT.weights).stat().st_size,
            took_s=0.0,
        )
        # As in a run, whose end comes when its data are gone.
        del run, ready
        gc.collect()
        resident = resident_bytes()
        end = kind.end()
    return replace(
        measured,
        end=end,
        memory_bytes=max(memory, resident + end.memory_bytes, peak_memory()),
        took_s=time.monotonic() - began,
    )


def _make_ready(run: OpenRun, out: Path, *, seed: int) -> _Ready:
    """Make a few examples ready, to open what is opened once, then a sample."""
    total = len(run.examples)
    few = _sample(run.examples, min(_FEW, total), seed)
    before = folder_bytes(out)
    began = time.monotonic()
    data = run.ready(few)
    first = time.monotonic() - began
    if len(few) == total:
        written = folder_bytes(out) - before
        return _Ready(
            data=data, sampled=total, seconds=first, more_memory_bytes=0, written_bytes=written
        )
    few_bytes = held_bytes(data, without=few)
    # Others, since what was just read is read faster.
    others = _sample(run.examples, min(2 * _FEW, total), seed + 1)
    began = time.monotonic()
    data = run.ready(others)
    again = time.monotonic() - began
    count = max(4 * _FEW, min(_SAMPLE, int(_SAMPLE_S * len(others) / max(again, 1e-3))))
    chosen = _sample(run.examples, min(count, total), seed)
    began = time.monotonic()
    data = run.ready(chosen)
    whole = straight_line(
        (len(others), again), (len(chosen), time.monotonic() - began), float(total)
    )
    grown = max(0, held_bytes(data, without=chosen) - few_bytes) / max(1, len(chosen) - len(few))
    written = folder_bytes(out) - before
    return _Ready(
        data=data,
        sampled=len(chosen),
        # What is opened for the first time takes longer than what is opened again.
        seconds=whole + max(0.0, first - again),
        more_memory_bytes=round(grown * (total - len(chosen))),
        written_bytes=round(written * total / len(chosen)),
    )


def _sample(examples: Sequence[Any], count: int, seed: int) -> list[Any]:
    return sample_documents(examples, count, seed=seed, document=lambda each: each.doc_id)


def _machine(config: Training) -> Machine:
    return Machine(
        cpus=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        precision=best_precision() if config.precision == "auto" else config.precision,
        load=round(os.getloadavg()[0], 1),
    )
