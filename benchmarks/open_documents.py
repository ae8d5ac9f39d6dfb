"""Measure opening an index of many documents: converted, in upstream's format, and by upstream.

It makes documents with random names and vectors in the format of released indexes, converts them,
and opens each form in a new process. Memory is that of the process, resident after opening (VmRSS)
and at its peak (VmHWM); of a mapped file, the pages that were read count. With `--upstream-python`,
a Python with relik 1.0.7, upstream's store reads the same file.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOKENIZER = ROOT / "tests" / "golden" / "upstream" / "tinydeb-el" / "reader"
SEED = 20241118
STARTS = ("Al", "Bar", "Cor", "Dan", "El", "Fer", "Gar", "Hal", "Is", "Jor", "Kar", "Lin", "Mar")
MIDDLES = ("an", "el", "em", "il", "or", "ul", "and", "est", "im", "os", "ur", "ith")
ENDS = ("a", "berg", "by", "dale", "den", "er", "field", "ford", "ham", "ley", "man", "son", "vik")

CONVERT = """
import json, sys, time
from pathlib import Path
from relik.upstream.text.subwords import ReaderTokenizer
from relik_index.convert.documents import IndexOptions, write_knowledge_index
source, out, tokenizer = map(Path, sys.argv[1:4])
options = IndexOptions(
    tokenizer=ReaderTokenizer.open(tokenizer, quirks=False), fingerprint="", metadata_fields=(),
    skip_metadata=False, sources=(),
)
stages, begun = {}, time.perf_counter()
def tell(stage, done, total):
    stages.setdefault(stage, time.perf_counter() - begun)
before = memory()
begun = time.perf_counter()
write_knowledge_index(source, out, options=options, progress=tell)
print(json.dumps({"seconds": time.perf_counter() - begun, "begun_s": stages} | before))
"""
CONVERTED = """
import sys, time
from pathlib import Path
import numpy as np
from relik.upstream.bundle.converted_index import ConvertedIndex
import relik.vectors.faiss_index
opened = lambda: ConvertedIndex.open(Path(sys.argv[1]))
"""
OURS = """
import sys, time
from pathlib import Path
import numpy as np
from relik.upstream.index.document_index import DocumentIndex
opened = lambda: DocumentIndex.open(Path(sys.argv[1]))
"""
OPEN = """
import json
result = {"imported": memory()}
begun = time.perf_counter()
index = opened()
result["open_s"] = time.perf_counter() - begun
result["opened"] = memory()
middle = len(index) // 2
document = index.documents[middle]
begun = time.perf_counter()
assert index.documents.get(document.id) == document
result["lookup_s"] = time.perf_counter() - begun
query = np.random.default_rng(1).normal(size=(1, index.dim)).astype(np.float32)
begun = time.perf_counter()
found = index.search(query, top_k=100)
result["search_s"] = time.perf_counter() - begun
result["used"] = memory()
result["first"] = found[0][0].document.id
print(json.dumps(result))
"""
UPSTREAM = """
import json, sys, time
from relik.retriever.indexers.document import DocumentStore
result = {"imported": memory()}
begun = time.perf_counter()
store = DocumentStore.from_file(sys.argv[1])
result["open_s"] = time.perf_counter() - begun
result["opened"] = memory()
print(json.dumps(result))
"""
MEMORY = """
def memory():
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return {f"{name}_mb": round(int(status[name].split()[0]) / 1024, 1)
            for name in ("VmRSS", "VmHWM")}
"""


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--upstream-python", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch, "source"), Path(scratch, "converted")
        start_time = time.perf_counter()
        make(source, rows=chosen.rows, dim=chosen.dim)
        result: dict[str, Any] = {
            "rows": chosen.rows,
            "dim": chosen.dim,
            "made_s": time.perf_counter() - start_time,
            "source_mb": sizes(source),
            "convert": measured(CONVERT, source, out, TOKENIZER),
        }
        result["converted_mb"] = sizes(out)
        result["converted"] = measured(CONVERTED + OPEN, out)
        result["upstream_format"] = measured(OURS + OPEN, source)
        if chosen.upstream_python is not None:
            path = source / "documents.jsonl"
            result["upstream"] = measured(UPSTREAM, path, python=str(chosen.upstream_python))
    print(json.dumps(rounded(result), indent=1))


def make(folder: Path, *, rows: int, dim: int) -> None:
    """Write an index in upstream's format."""
    import torch

    folder.mkdir()
    with (folder / "documents.jsonl").open("w", encoding="utf-8") as file:
        for row, name in zip(range(rows), names(), strict=False):
            definition = f"{name.split()[-1].lower()} of {name.split()[0]}, number {row}"
            document = {"text": name, "id": row, "metadata": {"definition": definition}}
            file.write(json.dumps(document) + "\n")
    vectors = torch.randn(rows, dim, generator=torch.Generator().manual_seed(SEED))
    torch.save(vectors.half(), folder / "embeddings.pt")
    (folder / "config.yaml").write_text("metadata_fields: [definition]\nseparator: ' <def> '\n")


def names() -> Iterator[str]:
    """Yield random names of people, places and works; few are repeated."""
    chance = random.Random(SEED)  # noqa: S311  # names, not secrets
    forms = (
        "{a} {b}",
        "{a} {c}. {b}",
        "{a}, {b}",
        "Battle of {a} ({y})",
        "{a} County, {b}",
        "{a} {b} (politician)",
        "The {a} of {b}",
        "{y} {a} {b} election",
        "{a} River ({b})",
        "{a} {b} F.C.",
    )

    def word() -> str:
        middle = "".join(chance.choices(MIDDLES, k=chance.randint(0, 2)))
        return chance.choice(STARTS) + middle + chance.choice(ENDS)

    while True:
        yield chance.choice(forms).format(
            a=word(),
            b=word(),
            c=chance.choice("ABCDEFGHJKLMNPRSTW"),
            y=chance.randint(1800, 2024),
        )


def measured(code: str, *arguments: Path, python: str = sys.executable) -> dict[str, Any]:
    """Run code in a new process; return the JSON that it prints last, and its peak memory."""
    peak = "\nimport sys; print(memory()['VmHWM_mb'])"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", MEMORY + code + peak, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=tempfile.gettempdir(),
    )
    *_, report, last = done.stdout.strip().splitlines()
    return {**json.loads(report), "peak_mb": float(last)}


def sizes(folder: Path) -> dict[str, float]:
    """Return the size of each file in MB."""
    return {path.name: path.stat().st_size / 1e6 for path in sorted(folder.iterdir())}


def rounded(value: Any) -> Any:
    """Round the numbers within."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return round(value, 3) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
