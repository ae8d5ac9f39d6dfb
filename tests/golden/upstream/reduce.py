"""Make the reduced copy of the released-format pipelines: `python reduce.py FULL_FOLDER`.

FULL_FOLDER holds one folder a pipeline and `golden/`. What is copied is what the tests here read;
see README.md beside this file.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).parent
# No text in these cases comes near so many tokens; readers keep all their positions, since how
# many candidates they read depends on them.
ENCODER_POSITIONS = 128
POSITIONS = "embeddings.position_embeddings.weight"
NOT_READ = ("vocab.txt", "special_tokens_map.json", "added_tokens.json")

CASES = {
    "tinydeb-el": {
        "default": ("t05", "t09", "t17", "t18"),
        "top_k10": ("t03", "t18"),
        "word": ("t13",),
        "keep_nme": ("t13",),
        "patches": ("t05", "t13", "t18"),
        "mentions": ("t03",),
        "candidates": ("t00",),
        "batch_inject": ("t00+t18",),
        "window_none": ("t03", "t17"),
        "edge": ("e0", "e1", "e2", "e4"),
    },
    "tiny-re": {
        "default": ("t03", "t06", "t09", "t16", "t19", "t21"),
        "top_k10": ("t09",),
        "word": ("t21",),
        "thr0.8": ("t14",),
        "batch_inject": ("t00+t18",),
        "edge": ("e2", "e4"),
    },
    "tiny-cie": {
        "default": ("t04", "t09", "t14", "t18"),
        "top_k10": ("t04",),
        "word": ("t11",),
        "thr0.8": ("t14",),
        "small_len": ("t06", "t16"),
        "batch_inject": ("t00+t18",),
        "edge": ("e2",),
    },
}
ARRAYS = {
    "tinydeb-el": ("default/t05", "default/t18", "patches/t05", "mentions/t03"),
    "tiny-re": ("default/t03", "default/t09", "default/t21"),
    "tiny-cie": ("default/t04", "default/t09", "default/t18"),
}


def copy_pipeline(source: Path, target: Path) -> None:
    """Copy the files of a pipeline that are read."""
    if target.exists():
        shutil.rmtree(target)
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        part = relative.parts[0]
        if not path.is_file() or path.name in NOT_READ:
            continue
        if part == "backbone" and path.name != "config.json":
            continue
        if part == "reader" and path.name == "tokenizer_config.json":
            continue
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        (target / relative).write_bytes(path.read_bytes())
        if part.startswith("encoder") and path.name == "model.safetensors":
            shorten(target / part)


def shorten(encoder: Path) -> None:
    """Cut the position table of an encoder."""
    tensors = load_file(encoder / "model.safetensors")
    tensors[POSITIONS] = tensors[POSITIONS][:ENCODER_POSITIONS].copy()
    save_file(tensors, encoder / "model.safetensors", {"format": "pt"})
    config = json.loads((encoder / "config.json").read_text())
    config["max_position_embeddings"] = ENCODER_POSITIONS
    (encoder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def copy_golden(source: Path, target: Path, name: str) -> None:
    """Copy the chosen cases and arrays of a pipeline."""
    with gzip.open(source / f"{name}.json.gz", "rt", encoding="utf-8") as stream:
        golden: dict[str, Any] = json.load(stream)
    wanted = CASES[name]
    cases = [c for c in golden["cases"] if c["tag"] in wanted.get(c["variant"], ())]
    if len(cases) != sum(map(len, wanted.values())):
        raise SystemExit(f"{name}: got {len(cases)} of the cases {wanted}")
    text = json.dumps({"meta": golden["meta"], "cases": cases}, ensure_ascii=False)
    target.mkdir(exist_ok=True)
    # No time stamp: the same input gives the same file.
    (target / f"{name}.json.gz").write_bytes(gzip.compress(text.encode("utf-8"), 9, mtime=0))
    arrays = np.load(source / f"{name}.npz")
    prefixes = tuple(f"{case}/" for case in ARRAYS[name])
    kept = {
        key: arrays[key]
        for key in arrays.files
        if key.startswith(prefixes) and (key.endswith("logits") or "/in." in key)
    }
    np.savez_compressed(target / f"{name}.npz", **kept)


def main() -> None:
    """Copy all."""
    full = Path(sys.argv[1])
    for name in CASES:
        copy_pipeline(full / name, HERE / name)
        copy_golden(full / "golden", HERE / "golden", name)


if __name__ == "__main__":
    main()
