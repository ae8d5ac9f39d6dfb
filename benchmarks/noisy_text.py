"""Write gold documents with noise: typing errors, or changed case.

Lengths do not change, so that offsets stay valid: two letters are transposed, or change case.

    python benchmarks/noisy_text.py DATA/el-aida-testa.jsonl.gz mistyped.jsonl --typos 0.2
    python benchmarks/noisy_text.py DATA/el-aida-testa.jsonl.gz lower.jsonl --case lower
    python benchmarks/noisy_text.py DATA/el-aida-testa.jsonl.gz mixed.jsonl --lower 0.5
    relik evaluate entities mistyped.jsonl

It prints how many characters changed. The draw depends on `--seed` only.
"""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from relik.evaluation.gold import read_json_lines

# In shorter words a typing error often makes another word. The first letter stays, as in most real
# errors.
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
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    changed = total = 0
    with arguments.out.open("w", encoding="utf-8") as lines:
        for _, record in read_json_lines(arguments.file):
            row: dict[str, Any] = dict(record)
            text = str(row["text"])
            noisy = _in_case(_with_typos(text, arguments.typos, rng), arguments.case)
            noisy = _partly_lower(noisy, arguments.lower, rng)
            row["spans"] = [[s, e, key, noisy[s:e], *rest] for s, e, key, _, *rest in row["spans"]]
            lines.write(json.dumps({**row, "text": noisy}) + "\n")
            changed += sum(before != after for before, after in zip(text, noisy, strict=True))
            total += len(text)
    print(json.dumps({"characters": total, "changed": changed}))


def _with_typos(text: str, share: float, rng: np.random.Generator) -> str:
    def transpose(match: re.Match[str]) -> str:
        word = match.group()
        if rng.random() >= share:
            return word
        at = int(rng.integers(1, len(word) - 1))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return _WORD.sub(transpose, text)


def _partly_lower(text: str, share: float, rng: np.random.Generator) -> str:
    """Write a share of the words in lower case."""
    if not share:
        return text
    return _ANY_WORD.sub(
        lambda word: _in_case(word.group(), "lower" if rng.random() < share else "as it is"), text
    )


def _in_case(text: str, case: str) -> str:
    converters: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}
    if case not in converters:
        return text
    # Letters that become two in the other case stay, to keep the offsets.
    convert = converters[case]
    return "".join(convert(letter) if len(convert(letter)) == 1 else letter for letter in text)


if __name__ == "__main__":
    main()
