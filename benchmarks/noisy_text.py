"""Writes gold documents again as careless people type them: mistyped, or without capitals.

Lengths stay, so that all offsets hold: two letters of a word change places, or letters change case.

    python benchmarks/noisy_text.py DATA/el-aida-testa.jsonl.gz mistyped.jsonl --typos 0.2
    python benchmarks/noisy_text.py DATA/el-aida-testa.jsonl.gz lower.jsonl --case lower
    python benchmarks/noisy_text.py DATA/el-aida-testa.jsonl.gz mixed.jsonl --lower 0.5
    relik evaluate entities mistyped.jsonl

Prints how much of the text is another. The draw depends on `--seed` alone.
"""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from relik.evaluation.gold import read_json_lines

# In shorter words a slip often makes another word; the first letter stays, as in most real slips.
_WORD = re.compile(r"[^\W\d_]{4,}")
_ANY_WORD = re.compile(r"[^\W\d_]+")


def main() -> None:
    """Write the file and print what changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="gold documents")
    parser.add_argument("out", type=Path, help="JSON Lines to write")
    parser.add_argument("--typos", type=float, default=0.0, help="share of words mistyped, 0 to 1")
    parser.add_argument(
        "--lower", type=float, default=0.0, help="share of words in lower case, 0 to 1"
    )
    parser.add_argument("--case", choices=("as it is", "lower", "upper"), default="as it is")
    parser.add_argument("--seed", type=int, default=13)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    changed = total = 0
    with asked.out.open("w", encoding="utf-8") as lines:
        for _, record in read_json_lines(asked.file):
            row: dict[str, Any] = dict(record)
            text = str(row["text"])
            noisy = _in_case(_mistyped(text, asked.typos, rng), asked.case)
            noisy = _partly_lower(noisy, asked.lower, rng)
            row["spans"] = [[s, e, key, noisy[s:e], *rest] for s, e, key, _, *rest in row["spans"]]
            lines.write(json.dumps({**row, "text": noisy}) + "\n")
            changed += sum(one != other for one, other in zip(text, noisy, strict=True))
            total += len(text)
    print(json.dumps({"characters": total, "changed": changed}))


def _mistyped(text: str, share: float, rng: np.random.Generator) -> str:
    def slip(match: re.Match[str]) -> str:
        word = match.group()
        if rng.random() >= share:
            return word
        at = int(rng.integers(1, len(word) - 1))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return _WORD.sub(slip, text)


def _partly_lower(text: str, share: float, rng: np.random.Generator) -> str:
    """Write some words in lower case, and the rest as they are: a text of two minds."""
    if not share:
        return text
    return _ANY_WORD.sub(
        lambda word: _in_case(word.group(), "lower" if rng.random() < share else "as it is"), text
    )


def _in_case(text: str, case: str) -> str:
    turned: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}
    if case not in turned:
        return text
    # A few letters become two in the other case: these stay.
    other = turned[case]
    return "".join(other(letter) if len(other(letter)) == 1 else letter for letter in text)


if __name__ == "__main__":
    main()
