"""Measure the cost of padding in a reader: the same rows padded, and packed into one sequence.

It makes batches by the recipe of a reader, over a sample of its windows, and times training
(forward and backward, in training precision) and reading (forward, float32) on the CPU. Tokens do
not include padding; seconds are CPU time, so that other processes do not count.
"""

import argparse
import dataclasses
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from relik.models.packed_bert import PackedBert
from relik_training.reader.reader_data import ReaderBatch
from relik_training.reader.reader_module import ReaderModule
from relik_training.reader.reader_run import ReaderRun
from relik_training.recipes.recipe import read_reader_recipe
from relik_training.recipes.recipe_files import Overrides
from relik_training.run.backbone import best_precision
from relik_training.run.trainer import plan_steps


def _batches(
    arguments: argparse.Namespace, out: Path
) -> tuple[ReaderModule, list[ReaderBatch], float]:
    """Return the module, a sample of batches, and the share of padding in all batches."""
    overrides = Overrides(data=arguments.data, out=str(out))
    config = dataclasses.replace(read_reader_recipe(arguments.config, overrides), packing=False)
    run = ReaderRun(config=config).open()
    groups = itertools.groupby(run.examples, key=lambda example: example.doc_id)
    documents = [list(group) for _, group in groups]
    order = np.random.default_rng(config.seed).permutation(len(documents))
    windows = [window for i in order for window in documents[i]][: arguments.windows]
    data = run.ready(windows)
    plan = plan_steps(data, dataclasses.replace(config, max_steps=len(windows) // 16))
    batches = [data.batch(chosen, step) for step, chosen in enumerate(plan)]
    cells = sum(batch.arrays.mask.size for batch in batches)
    padding = 1 - sum(int(batch.arrays.mask.sum()) for batch in batches) / cells
    if not isinstance(run.module, ReaderModule):
        raise TypeError(f"got a {type(run.module).__name__}, expected the recipe of a reader")
    return run.module, batches[:: max(1, len(batches) // arguments.batches)], padding


def _train(module: ReaderModule, batch: ReaderBatch) -> None:
    half = best_precision() == "bf16-mixed"
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        loss = torch.stack(list(module.losses(batch).values())).sum()
    loss.backward()
    module.zero_grad()


def _read(module: ReaderModule, batch: ReaderBatch) -> None:
    arrays = batch.arrays
    with torch.inference_mode():
        module.model.encode(
            module.model.embed(torch.as_tensor(arrays.ids), module.get_buffer("embeddings")),
            torch.as_tensor(arrays.types),
            torch.as_tensor(arrays.mask),
            torch.as_tensor(arrays.entity_positions),
            torch.as_tensor(arrays.relation_positions),
        )


def _seconds(
    work: Callable[[ReaderModule, ReaderBatch], None],
    module: ReaderModule,
    batches: Sequence[ReaderBatch],
    layers: nn.Module,
) -> float:
    module.model.backbone = layers
    began = time.process_time()
    for batch in batches:
        work(module, batch)
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("training/recipes/default-reader.toml"))
    parser.add_argument("--data", help="folder of the data sets, in place of the recipe's")
    parser.add_argument("--windows", type=int, default=3000)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    with tempfile.TemporaryDirectory() as folder:
        module, batches, padding = _batches(arguments, Path(folder))
    tokens = sum(int(batch.arrays.mask.sum()) for batch in batches)
    cells = sum(batch.arrays.mask.size for batch in batches)
    padded = module.model.backbone
    variants = {"padded": padded, "packed": PackedBert(padded)}
    report: dict[str, object] = {
        "padding": round(padding, 4),
        "padding_of_sample": round(1 - tokens / cells, 4),
    }
    for name, work in (("read", _read), ("train", _train)):
        _seconds(work, module, batches[:1], padded)
        # Alternately, and the best of each, because other work on the machine slows both.
        times = [
            {way: _seconds(work, module, batches, layers) for way, layers in variants.items()}
            for _ in range(arguments.repeats)
        ]
        best = {way: tokens / min(each[way] for each in times) for way in variants}
        report[name] = {
            **{f"{way}_tokens_per_second": round(rate) for way, rate in best.items()},
            "gain": round(best["packed"] / best["padded"] - 1, 3),
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
