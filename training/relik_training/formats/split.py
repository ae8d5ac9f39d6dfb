"""Random split of documents into train, dev and test."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relik.errors import ConfigError, InputError
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import read_objects, write_objects, written_aside

PARTS = ("train", "dev", "test")


def split_documents(
    source: Path, out: Path, *, dev: float, test: float, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Split documents into train, dev and test, and write a file for each part.

    Documents with the same text are in the same part.

    Args:
        source: JSON Lines with a `text`, plain or .gz.
        out: Folder for train.jsonl, dev.jsonl and test.jsonl, which are created or replaced; a
            part whose share is 0 has no file.
        dev: Share of the development set, 0..1.
        test: Share of the test set, 0..1.

    Returns:
        Documents by part, in the order of the source.

    Raises:
        ConfigError: The shares leave nothing to train on.
        InputError: A file cannot be read or written, or has too few documents.
    """
    shares = {"dev": dev, "test": test}
    if not (all(0 <= share < 1 for share in shares.values()) and dev + test < 1):
        raise ConfigError(
            f"got {dev} for dev and {test} for test, expected shares from 0 that add up to less "
            "than 1: the rest is trained on"
        )
    rows = [_row(value, where) for where, value in read_objects(source, Report())]
    part_of = _drawn(rows, shares, np.random.default_rng(seed))
    parts = {name: [row for row in rows if part_of[row["text"]] == name] for name in PARTS}
    for name, documents in parts.items():
        wanted = name == "train" or shares[name] > 0
        if wanted and not documents:
            raise InputError(
                f"{source}: got {len(part_of)} different texts, too few for a {name} part: "
                "annotate more, or change the shares"
            )
    for name, documents in parts.items():
        if documents:
            with written_aside(out / f"{name}.jsonl") as draft:
                write_objects(documents, draft)
    return parts


def _row(value: dict[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(value.get("text"), str):
        raise InputError(
            f"{where}: got no text, expected a document: relik data convert writes documents"
        )
    return value


def _drawn(
    rows: Sequence[Mapping[str, Any]], shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, str]:
    """Draw the part of each text."""
    counts = Counter(row["text"] for row in rows)
    texts = list(counts)
    part_of = dict.fromkeys(texts, "train")
    drawn = iter(rng.permutation(len(texts)))
    for name, share in shares.items():
        # Unlike round(), which rounds a half to even.
        left = math.floor(share * len(rows) + 0.5)
        while left > 0 and (at := next(drawn, None)) is not None:
            part_of[texts[at]] = name
            left -= counts[texts[at]]
    return part_of


def counted(parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, int]]:
    """Count `documents`, `spans`, `linked` (spans with an id) and `triples` of each part."""
    return {
        name: {
            "documents": len(rows),
            "spans": sum(len(row.get("spans", ())) for row in rows),
            "linked": sum(bool(span[2]) for row in rows for span in row.get("spans", ())),
            "triples": sum(len(row.get("triples", ())) for row in rows),
        }
        for name, rows in parts.items()
        if rows
    }
