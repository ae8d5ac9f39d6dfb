"""Small knowledge bases."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from relik.testing import HashEncoder
from relik_index import BuildOptions, build_index

Build = Callable[..., Path]


@pytest.fixture
def tokenizer() -> Tokenizer:
    words = ("[UNK]", "Paris", ",", "capital", "of", "France", "Record", "number")
    made = Tokenizer(models.WordLevel({w: at for at, w in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


@pytest.fixture
def build(tmp_path: Path, tokenizer: Tokenizer) -> Build:
    def built(
        records: Sequence[Mapping[str, object]],
        *,
        out: Path = tmp_path / "index",
        options: BuildOptions | None = None,
    ) -> Path:
        source = tmp_path / "kb.jsonl"
        source.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        build_index(source, out, encoder=HashEncoder(32), tokenizer=tokenizer, options=options)
        return out

    return built


@pytest.fixture(scope="session")
def numbered() -> list[dict[str, object]]:
    return [
        {"id": f"Q{at}", "name": f"Record {at * 7919}", "description": f"the number {at * 104729}"}
        for at in range(1200)
    ]
