"""Count the training windows whose tokens differ between `relik.text` and the bare tokenizer.

    python benchmarks/text_entrance.py DATA [FILE ...]

Reads the data sets of all stages of the default reader, or the named files of the same folder,
whole, in the windows of its recipe. A window is counted under every reason that changes its tokens.
"""

import argparse
import itertools
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from relik.bundle import open_bundle
from relik.config import WindowConfig, from_mapping
from relik.layout import LAYOUT
from relik.text import TextTokenizer, rejoined
from relik.types import Document
from relik.windows import split
from relik_training.data.json_lines import read_jsonl

RECIPES = Path(__file__).parents[1] / "training" / "recipes"
_AT_ONCE = 4096


def _sources() -> dict[str, WindowConfig]:
    """Return the data sets of the default reader, and how the first stage splits each."""
    found: dict[str, WindowConfig] = {}
    for path in sorted(RECIPES.glob("default-reader*.toml"), key=lambda path: len(path.stem)):
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
        windows = from_mapping(WindowConfig, recipe["windows"], where=str(path))
        for source in recipe["sources"]:
            found.setdefault(source["path"], windows)
    return found


def _windows(path: Path, config: WindowConfig) -> Iterator[str]:
    for row in read_jsonl(path):
        for window in split(Document(doc_id=str(row["doc_id"]), text=row["text"]), config):
            yield window.text


def _counted(texts: Iterator[str], bare: Tokenizer, entrance: TextTokenizer) -> Counter[str]:
    """Count windows, those that change, and why."""
    spelled = Tokenizer.from_str(bare.to_str())
    spelled.encode_special_tokens = True
    counts: Counter[str] = Counter()
    while part := list(itertools.islice(texts, _AT_ONCE)):
        joined = [rejoined(text) for text in part]
        rows = [
            [e.ids for e in bare.encode_batch(part, add_special_tokens=False)],
            [e.ids for e in bare.encode_batch(joined, add_special_tokens=False)],
            [e.ids for e in spelled.encode_batch(part, add_special_tokens=False)],
            [e.ids for e in entrance.tokenise(part)],
        ]
        for before, whole, as_text, after in zip(*rows, strict=True):
            counts["windows"] += 1
            counts["joined"] += whole != before
            counts["special"] += as_text != before
            counts["changed"] += after != before
    return counts


def main() -> None:
    """Print one JSON object a data set, and one of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("files", nargs="*", help="data sets in place of those of the recipe")
    arguments = parser.parse_args()
    data: Path = arguments.data
    bundle = open_bundle(verify=False)
    bare = Tokenizer.from_file(str(bundle.path / LAYOUT.tokenizer))
    entrance = TextTokenizer(bare)
    total: Counter[str] = Counter()
    sources = _sources()
    if arguments.files:
        sources = dict.fromkeys(arguments.files, next(iter(sources.values())))
    for name, config in sources.items():
        counts = _counted(_windows(data / name, config), bare, entrance)
        total.update(counts)
        print(_line(name, counts), flush=True)
    print(_line("all", total))


def _line(name: str, counts: Counter[str]) -> str:
    share = round(100 * counts["changed"] / max(1, counts["windows"]), 3)
    names = ("windows", "changed", "joined", "special")
    return json.dumps({"set": name, **{n: counts[n] for n in names}, "percent": share})


if __name__ == "__main__":
    main()
