"""Released readers compute the logits that upstream computed, in pieces of bounded memory."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file, save_file

from relik.errors import (
    BundleCorruptError,
    BundleVersionError,
    ConfigError,
    InferenceError,
)
from relik.reader.inputs import ReaderInput
from relik.types import FloatArray
from relik.upstream.checkpoint.reader_config import CheckpointSettings
from relik.upstream.reader.arithmetic import FLOATS_AT_ONCE, BatchSpans
from relik.upstream.reader.labels import pick_ends, pick_starts, sigmoid
from relik.upstream.reader.released_model import Encoded, UpstreamReaderModel

KINDS = {"el": "span", "re": "triplet", "cie": "triplet"}
CLOSENESS = 1e-4
Open = Callable[..., UpstreamReaderModel]


def _open(folder: Path, kind: Any, precision: str = "float32") -> UpstreamReaderModel:
    return UpstreamReaderModel.open(
        folder, kind=kind, backbone=None, device="cpu", precision=precision
    )


@pytest.fixture(scope="module")
def closed(pipelines: dict[str, Path]) -> UpstreamReaderModel:
    return _open(pipelines["tiny-cie"] / "reader", "triplet")


@pytest.fixture
def changed(pipelines: dict[str, Path], tmp_path: Path) -> Open:
    """Open a copy of a reader with other settings and weights."""

    def build(
        name: str, kind: Any, weights: dict[str, torch.Tensor | None] | None = None, **settings: Any
    ) -> UpstreamReaderModel:
        shutil.copytree(pipelines[name] / "reader", tmp_path / "reader")
        shutil.copytree(pipelines[name] / "backbone", tmp_path / "backbone")
        path = tmp_path / "reader" / "config.json"
        path.chmod(0o644)
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))
        file = tmp_path / "reader" / "model.safetensors"
        file.chmod(0o644)
        tensors = {name: value.clone() for name, value in load_file(file).items()} | (weights or {})
        save_file({k: v for k, v in tensors.items() if v is not None}, file)
        return _open(tmp_path / "reader", kind)

    return build


def _rows(arrays: Any, key: str) -> list[ReaderInput]:
    rows = []
    ids = arrays[f"{key}/in.input_ids"]
    for k in range(len(ids)):
        n = int(arrays[f"{key}/in.attention_mask"][k].sum())
        symbols = [np.flatnonzero(arrays[f"{key}/in.special_symbols_mask"][k])]
        if f"{key}/in.special_symbols_mask_entities" in arrays:
            entities = arrays[f"{key}/in.special_symbols_mask_entities"][k]
            symbols = [np.flatnonzero(entities), *symbols]
        else:
            symbols = [*symbols, np.zeros(0, dtype=np.int64)]
        rows.append(
            ReaderInput(
                ids=ids[k][:n],
                types=arrays[f"{key}/in.token_type_ids"][k][:n],
                n_text=int((arrays[f"{key}/in.prediction_mask"][k] == 0).sum()),
                entity_positions=symbols[0],
                relation_positions=symbols[1],
            )
        )
    return rows


def _near(ours: FloatArray, theirs: FloatArray) -> None:
    np.testing.assert_allclose(ours, theirs, atol=CLOSENESS)


def _compare(model: UpstreamReaderModel, arrays: Any, key: str) -> set[str]:
    """Compare all logits of a batch with upstream's; tell which there were."""
    rows = _rows(arrays, key)
    encoded, found = model.encode(rows), {"start"}
    width = 1 + max(row.n_text for row in rows)
    starts = [pick_starts(encoded.starts[i], row.n_text)[0] for i, row in enumerate(rows)]
    of_row = np.repeat(np.arange(len(rows)), [len(s) for s in starts])
    theirs = arrays[f"{key}/out.ned_start_logits"]
    for i, row in enumerate(rows):
        text = slice(1, row.n_text + 1)
        _near(encoded.starts[i, text], theirs[i, text])
    if f"{key}/out.ned_end_logits" not in arrays or not len(of_row):
        return found
    begun = np.concatenate(starts)
    ends = model.ends(encoded, of_row, begun, n_tokens=width)
    theirs = arrays[f"{key}/out.ned_end_logits"]
    for mine, other, i, start in zip(ends, theirs, of_row, begun, strict=True):
        first = 1 if model.settings.kind == "span" else int(start)
        text = slice(first, rows[i].n_text + 1)
        _near(mine[text], other[text])
        found.add("end")
    spans: list[list[tuple[int, int]]] = [[] for _ in rows]
    for mine, i, start in zip(ends, of_row, begun, strict=True):
        n_text = rows[i].n_text
        if model.settings.heads.end_classes == 1:
            spans[i].append((int(start), 1 + int(mine[1 : n_text + 1].argmax())))
        else:
            several = pick_ends(mine, int(start), n_text, backwards=False)
            spans[i] += [(span.start, span.end) for span in several]
    for i, row in enumerate(rows):
        if spans[i]:
            found |= _compare_row(model, encoded, row, i, spans[i], (arrays, key))
    return found


def _compare_row(
    model: UpstreamReaderModel,
    encoded: Encoded,
    row: ReaderInput,
    i: int,
    spans: list[tuple[int, int]],
    golden: tuple[Any, str],
) -> set[str]:
    arrays, key = golden
    columns = np.array(spans, dtype=np.int64)
    places = BatchSpans(
        rows=np.full(len(spans), i, dtype=np.int64),
        starts=np.ascontiguousarray(columns[:, 0]),
        ends=np.ascontiguousarray(columns[:, 1]),
    )
    found, n = set(), len(spans)
    types = None
    if f"{key}/out.ed_logits" in arrays:
        theirs = arrays[f"{key}/out.ed_logits"][i][:n]
        _near(model.link(encoded, places)[:, : theirs.shape[1]], theirs)
        found.add("link")
    if model.settings.heads.types:
        logits = model.link(encoded, places)[:, : len(row.entity_positions)]
        types = sigmoid(logits)
        _near(logits, arrays[f"{key}/out.ned_type_logits"][i][:n])
        found.add("type")
    if f"{key}/out.re_logits" in arrays and arrays[f"{key}/out.re_logits"].ndim == 5:
        theirs = arrays[f"{key}/out.re_logits"][i][:n, :n]
        expected = torch.from_numpy(theirs).softmax(dim=-1)[..., 1].numpy()
        n_relations = theirs.shape[2]
        pieces = model.relate(encoded, places, types=types, n_relations=n_relations)
        ours = np.concatenate([scores for _, _, scores in pieces])
        _near(ours.reshape(n, n, n_relations), expected)
        found.add("relation")
    return found


def test_logits_are_those_of_upstream(released: Any) -> None:
    task = released.name.split("-")[1]
    model = _open(released.folder / "reader", KINDS[task])
    arrays = np.load(released.folder.parent / "golden" / f"{released.name}.npz")
    keys = {name.rpartition("/")[0] for name in arrays.files}
    found = set()
    for key in sorted(keys):
        if f"{key}/out.ned_start_logits" in arrays:
            found |= _compare(model, arrays, key)
    expected = {"el": {"link"}, "re": {"relation"}, "cie": {"type", "relation"}}[task]
    assert found == {"start", "end"} | expected


def _row(n: int = 40) -> ReaderInput:
    return ReaderInput(
        ids=np.arange(n, dtype=np.int64) + 5,
        types=np.zeros(n, dtype=np.int64),
        n_text=n - 10,
        entity_positions=np.arange(n - 8, n - 4, dtype=np.int64),
        relation_positions=np.arange(n - 4, n, dtype=np.int64),
    )


def test_relating_in_pieces_changes_nothing(closed: UpstreamReaderModel) -> None:
    n, n_relations, width = 400, 4, closed.settings.width
    assert n * n * n_relations * width > FLOATS_AT_ONCE
    encoded = closed.encode([_row()])
    random = np.random.default_rng(0)
    places = BatchSpans(
        rows=np.zeros(n, dtype=np.int64),
        starts=random.integers(1, 30, n),
        ends=random.integers(1, 30, n),
    )
    types = random.random((n, 4), dtype=np.float32)
    pieces = list(closed.relate(encoded, places, types=types, n_relations=n_relations))
    assert len(pieces) > 1
    pairs = np.concatenate([np.stack((s, o), axis=1) for s, o, _ in pieces])
    assert pairs.tolist() == [[s, o] for s in range(n) for o in range(n)]
    scores = np.concatenate([part for _, _, part in pieces])
    few = np.array([3, 250, 399])
    ((_, _, alone),) = closed.relate(
        encoded, places.of(few), types=types[few], n_relations=n_relations
    )
    chosen = scores.reshape(n, n, n_relations)[np.ix_(few, few)]
    np.testing.assert_allclose(chosen.reshape(9, n_relations), alone, atol=1e-5)


def test_a_row_does_not_depend_on_its_batch(closed: UpstreamReaderModel) -> None:
    alone, together = closed.encode([_row(30)]), closed.encode([_row(60), _row(30)])
    np.testing.assert_allclose(alone.starts[0], together.starts[1, :30], atol=1e-5)


def test_entities_enter_the_relations_only_where_the_reader_says_so(
    closed: UpstreamReaderModel, changed: Open
) -> None:
    generator = torch.Generator().manual_seed(0)
    d = width = 32

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    plain = changed(
        "tiny-cie",
        "triplet",
        {
            "re_projector.1.weight": random(2 * width, 2 * d),
            "re_projector.1.bias": random(2 * width),
            "re_projector.4.weight": random(2 * width, 2 * width),
        },
        add_entity_embedding=False,
    )
    places = BatchSpans(
        rows=np.zeros(2, dtype=np.int64), starts=np.array([1, 4]), ends=np.array([2, 5])
    )
    for model, differs in ((closed, True), (plain, False)):
        encoded = model.encode([_row()])
        scores = []
        for value in (0.0, 1.0):
            types = np.full((2, 4), value, dtype=np.float32)
            ((_, _, found),) = model.relate(encoded, places, types=types, n_relations=4)
            scores.append(found)
        assert (np.abs(scores[0] - scores[1]).max() > 1e-6) == differs


@pytest.mark.parametrize(
    ("stated", "has"),
    [
        ({}, True),
        ({"add_entity_embedding": None}, True),
        ({"add_entity_embedding": True}, True),
        ({"add_entity_embedding": False}, False),
    ],
)
def test_a_closed_reader_relates_entities_too_unless_it_says_no(
    pipelines: dict[str, Path], tmp_path: Path, stated: dict[str, Any], has: bool
) -> None:
    # As seen in upstream 1.0.7: by the shape of `re_projector.1.weight` for each setting.
    config = json.loads((pipelines["tiny-cie"] / "reader" / "config.json").read_text())
    del config["add_entity_embedding"]
    (tmp_path / "config.json").write_text(json.dumps(config | stated))
    assert CheckpointSettings.read(tmp_path, kind="triplet").heads.type_embedding == has


def test_a_weight_that_does_not_fit_the_settings_is_refused(changed: Open) -> None:
    # Upstream puts random numbers in its place and says nothing.
    with pytest.raises(BundleCorruptError, match=r"re_projector\.1\.weight"):
        changed("tiny-cie", "triplet", add_entity_embedding=False)


def test_a_linking_reader_can_have_two_end_classes(changed: Open) -> None:
    weights = {
        "ned_end_classifier.dense_1.weight": torch.ones(2, 32),
        "ned_end_classifier.dense_1.bias": torch.ones(2),
    }
    model = changed("tinydeb-el", "span", weights, binary_end_logits=True)
    encoded = model.encode([_row()])
    start = np.array([3], dtype=np.int64)
    assert model.ends(encoded, start * 0, start, n_tokens=9).shape == (1, 9, 2)


@pytest.mark.parametrize("activation", ["relu", "gelu_10"])
def test_other_activations_are_computed(
    changed: Open, pipelines: dict[str, Path], activation: str
) -> None:
    model = changed("tiny-re", "triplet", activation=activation)
    usual = _open(pipelines["tiny-re"] / "reader", "triplet")
    apart = np.abs(model.encode([_row()]).starts - usual.encode([_row()]).starts).max()
    # Numbers beyond -10..10 are rare, so that clipping them changes next to nothing.
    assert (apart > 1e-3) == (activation == "relu")


def test_fewer_layers_can_be_asked_for(changed: Open) -> None:
    with pytest.raises(BundleCorruptError, match=r"encoder\.layer\.1"):
        changed("tiny-re", "triplet", num_layers=1)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"activation": "swish"}, BundleVersionError),
        ({"use_last_k_layers": 4}, BundleVersionError),
        ({"threshold": "high"}, BundleCorruptError),
        ({"linears_hidden_size": 48}, BundleCorruptError),
        ({"entity_type_loss": True}, BundleCorruptError),
        ({"transformer_model": "google/unheard-of"}, ConfigError),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    changed: Open, settings: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        changed("tiny-re", "triplet", **settings)


def test_a_missing_weight_is_named_as_in_the_checkpoint(changed: Open) -> None:
    name = "transformer_model.encoder.layer.0.output.dense.bias"
    with pytest.raises(BundleCorruptError, match=name):
        changed("tiny-re", "triplet", {name: None})


def test_a_reader_of_the_other_kind_is_refused(pipelines: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="RelikReaderREModel"):
        _open(pipelines["tiny-re"] / "reader", "span")
    with pytest.raises(ConfigError, match="RelikReaderSpanModel"):
        _open(pipelines["tinydeb-el"] / "reader", "triplet")


def test_settings_say_what_the_reader_does(pipelines: dict[str, Path]) -> None:
    closed = CheckpointSettings.read(pipelines["tiny-cie"] / "reader", kind="triplet")
    assert closed.heads.types
    assert closed.heads.type_embedding
    assert (closed.threshold, closed.n_symbols, closed.width) == (0.5, 24, 32)
    links = CheckpointSettings.read(pipelines["tinydeb-el"] / "reader", kind="span")
    assert (links.heads.types, links.heads.end_classes, links.n_symbols) == (False, 1, 101)


def test_lower_precision_runs_and_is_close(pipelines: dict[str, Path]) -> None:
    folder = pipelines["tiny-re"] / "reader"
    usual = _open(folder, "triplet").encode([_row()]).starts
    half = _open(folder, "triplet", "bfloat16").encode([_row()]).starts
    assert half.dtype == np.float32
    assert np.abs(usual - half).mean() < 0.1


def test_a_row_longer_than_the_positions_is_a_clear_error(closed: UpstreamReaderModel) -> None:
    assert closed.positions == 1024
    with pytest.raises(InferenceError, match="1 rows of up to 1100 tokens"):
        closed.encode([_row(1100)])
