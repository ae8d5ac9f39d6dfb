"""Documents in parts."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from relik.errors import ConfigError, InputError
from relik_training.data_cli import app
from relik_training.formats.split import PARTS, counted, split_documents


def _written(folder: Path, texts: list[str]) -> Path:
    path = folder / "all.jsonl"
    rows = [{"doc_id": str(at), "text": text, "spans": []} for at, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _ids(folder: Path) -> dict[str, list[int]]:
    parts = {}
    for name in PARTS:
        path = folder / f"{name}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        parts[name] = [int(json.loads(line)["doc_id"]) for line in lines]
    return parts


def test_a_seed_draws_the_same_parts_of_the_shares_that_are_asked_for(tmp_path: Path) -> None:
    source = _written(tmp_path, [f"text {at}" for at in range(50)])
    for name, seed in (("a", 13), ("b", 13), ("c", 14)):
        split_documents(source, tmp_path / name, dev=0.2, test=0.3, seed=seed)
    parts = _ids(tmp_path / "a")
    assert [len(parts[name]) for name in PARTS] == [25, 10, 15]
    assert sorted(each for part in parts.values() for each in part) == list(range(50))
    assert all(part == sorted(part) for part in parts.values())
    assert _ids(tmp_path / "b") == parts
    assert _ids(tmp_path / "c") != parts


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=12),
    st.floats(0, 0.4),
    st.floats(0, 0.4),
    st.integers(0, 9),
)
def test_no_text_is_in_two_parts_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], dev: float, test: float, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("split")
    try:
        split_documents(_written(folder, texts), folder, dev=dev, test=test, seed=seed)
    except InputError:
        # Too few for a part: nothing is half made.
        assert not any(_ids(folder).values())
        return
    parts = _ids(folder)
    assert sorted(each for part in parts.values() for each in part) == list(range(len(texts)))
    held = [{texts[each] for each in part} for part in parts.values()]
    assert sum(len(part) for part in held) == len(set(texts))


def test_documents_come_through_as_they_are(tmp_path: Path) -> None:
    row = {"doc_id": "ü", "text": "Kestrel 3", "spans": [[0, 9, "T1", "Kestrel 3"]], "kind": "x"}
    source = tmp_path / "all.jsonl"
    source.write_text(json.dumps(row) + "\n", encoding="utf-8")
    parts = split_documents(source, tmp_path, dev=0, test=0, seed=0)
    assert parts["train"] == [row]
    assert json.loads((tmp_path / "train.jsonl").read_text(encoding="utf-8")) == row
    assert not (tmp_path / "dev.jsonl").exists()
    assert counted(parts) == {"train": {"documents": 1, "spans": 1, "linked": 1, "triples": 0}}


@pytest.mark.parametrize(("dev", "test"), [(0.5, 0.5), (-0.1, 0.1), (1.0, 0.0)])
def test_shares_leave_something_to_train_on(tmp_path: Path, dev: float, test: float) -> None:
    with pytest.raises(ConfigError, match="add up to less than 1"):
        split_documents(_written(tmp_path, ["a"] * 9), tmp_path, dev=dev, test=test, seed=0)


def test_too_few_documents_and_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got 1 different texts, too few for a train part"):
        split_documents(_written(tmp_path, ["a"] * 3), tmp_path, dev=0.3, test=0, seed=0)
    with pytest.raises(InputError, match="too few for a dev part"):
        split_documents(_written(tmp_path, ["a", "b"]), tmp_path, dev=0.1, test=0, seed=0)
    (tmp_path / "other.jsonl").write_text('{"data": {}}\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 1: got no text"):
        split_documents(tmp_path / "other.jsonl", tmp_path, dev=0.1, test=0.1, seed=0)


def test_the_command_tells_what_each_part_has(tmp_path: Path) -> None:
    source = str(_written(tmp_path, [f"text {at}" for at in range(10)]))
    asked = ["split", source, str(tmp_path / "parts"), "--dev", "0.2", "--test", "0.3"]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert "dev: 2 documents, 0 spans, 0 linked, 0 triples" in shown.stdout.splitlines()
    said = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert said["test"]["documents"] == 3
