"""Converted models on ONNX Runtime compute what the released ones do on torch."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnx")

from relik.backends.onnx_rows import COMPARE, LINK, SHAPE
from relik.errors import BundleCorruptError, BundleNotFoundError, BundleVersionError, InferenceError
from relik.reader.inputs import ReaderInput
from relik.upstream.checkpoint.reader_config import CheckpointSettings
from relik.upstream.index.onnx_query_encoder import OnnxEncoder
from relik.upstream.index.query_encoder import UpstreamEncoder
from relik.upstream.reader.arithmetic import BatchSpans
from relik.upstream.reader.onnx_model import OnnxReaderModel
from relik.upstream.reader.released_model import UpstreamReaderModel
from relik_index.graphs.released import write_encoder, write_reader

if TYPE_CHECKING:
    from tests.upstream.conftest import Released

TEXTS = [
    "Michael Jordan was one of the best players in the NBA.",
    "Rome",
    "",
    "ein sehr langer Satz, " * 30,
    "עברית and emoji 🏀\u200d",
]
WITHIN = 1e-4  # what is asked of the logits of heads


def _kind(released: "Released") -> str:
    return "span" if released.name.endswith("-el") else "triplet"


@pytest.fixture(scope="module")
def readers(
    released: "Released", tmp_path_factory: pytest.TempPathFactory
) -> tuple[UpstreamReaderModel, OnnxReaderModel]:
    """A reader on torch and converted."""
    source, out = released.folder / "reader", tmp_path_factory.mktemp(released.name)
    settings = CheckpointSettings.read(source, kind=_kind(released))
    write_reader(source, out, settings=settings, backbone=None, weights="float32")
    (out / "config.json").write_bytes((source / "config.json").read_bytes())
    on_torch = UpstreamReaderModel.open(
        source, kind=_kind(released), backbone=None, device="cpu", precision="float32"
    )
    return on_torch, OnnxReaderModel.open(out, kind=_kind(released), threads=1)


def _row(model: UpstreamReaderModel, *, n_text: int, n_relations: int, seed: int) -> ReaderInput:
    """Draw a row: text, entity markers, relation markers, each with a token behind it."""
    drawn = np.random.default_rng(seed)
    n_entities = 0 if not (model.settings.heads.links or model.settings.heads.types) else 4
    n_relations = n_relations if model.settings.heads.relations else 0
    n_tokens = n_text + 2 + 2 * (n_entities + n_relations) + 1
    first = n_text + 2
    positions = first + 2 * np.arange(n_entities + n_relations)
    none = np.zeros(int(model.settings.heads.links), dtype=np.int64)
    return ReaderInput(
        ids=drawn.integers(5, model.n_words, n_tokens),
        types=(np.arange(n_tokens) >= first).astype(np.int64),
        n_text=n_text,
        entity_positions=np.concatenate((none, positions[:n_entities])),
        relation_positions=positions[n_entities:],
    )


@pytest.mark.parametrize(("n_text", "n_relations"), [(1, 1), (17, 3), (40, 0), (120, 5)])
def test_stages_equal_torch(
    readers: tuple[UpstreamReaderModel, OnnxReaderModel], n_text: int, n_relations: int
) -> None:
    on_torch, on_onnx = readers
    row = _row(on_torch, n_text=n_text, n_relations=n_relations, seed=n_text)
    expected, found = on_torch.encode([row]), on_onnx.encode([row])
    heads = on_torch.settings.heads
    # The text stands in front in both; behind it the converted reader has the markers alone.
    text = n_text + 1
    np.testing.assert_allclose(found.starts[0, :text], expected.starts[0, :text], atol=WITHIN)
    starts = np.array([1, text // 2 or 1], dtype=np.int64)
    zeros = np.zeros(2, dtype=np.int64)
    read = list(zip(readers, (expected, found), strict=True))
    ends = [model.ends(encoded, zeros, starts, n_tokens=text) for model, encoded in read]
    np.testing.assert_allclose(ends[1], ends[0], atol=WITHIN)
    places = BatchSpans(rows=zeros, starts=starts, ends=np.minimum(starts + 1, n_text))
    types = None
    if heads.links or heads.types:
        links = [model.link(encoded, places) for model, encoded in read]
        np.testing.assert_allclose(links[1], links[0], atol=WITHIN)
        types = 1 / (1 + np.exp(-links[0])) if heads.types else None
    if heads.relations and n_relations:
        scores = [
            next(iter(model.relate(encoded, places, types=types, n_relations=n_relations)))
            for model, encoded in read
        ]
        for one, other in zip(*scores, strict=True):
            np.testing.assert_allclose(other, one, atol=WITHIN)


def test_markers_inside_the_text_keep_their_places(
    readers: tuple[UpstreamReaderModel, OnnxReaderModel],
) -> None:
    """With quirks a forged marker lies in the text: no token is there twice, none is lost."""
    on_torch, on_onnx = readers
    row = _row(on_torch, n_text=12, n_relations=2, seed=1)
    forged = ReaderInput(
        ids=row.ids,
        types=row.types,
        n_text=row.n_text,
        entity_positions=np.concatenate((row.entity_positions, [5])),
        relation_positions=row.relation_positions,
    )
    found, expected = on_onnx.encode([forged]), on_torch.encode([forged])
    np.testing.assert_allclose(found.starts[0, :13], expected.starts[0, :13], atol=WITHIN)
    if len(found.entities):
        theirs = expected.entities[0].numpy()
        np.testing.assert_allclose(found.entities, theirs, atol=WITHIN)


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_encoder_equals_torch(released: "Released", tmp_path: Path, weights: str) -> None:
    source = next(released.folder.glob("encoder-*"))
    write_encoder(source, tmp_path, weights=weights)  # type: ignore[arg-type]  # parametrised
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    encoder = OnnxEncoder.open(tmp_path, threads=2)
    expected, found = UpstreamEncoder.open(source).encode(TEXTS), encoder.encode(TEXTS)
    np.testing.assert_allclose(found, expected, atol=WITHIN)
    assert encoder.encode([]).shape == (0, encoder.dim)
    # Rows share nothing, so a text alone gives the very same vector.
    for k, text in enumerate(TEXTS):
        assert np.array_equal(encoder.encode([text])[0], found[k])


def test_missing_graph_is_named(
    readers: tuple[UpstreamReaderModel, OnnxReaderModel], released: "Released", tmp_path: Path
) -> None:
    source = released.folder / "reader"
    settings = CheckpointSettings.read(source, kind=_kind(released))
    write_reader(source, tmp_path, settings=settings, backbone=None, weights="float32")
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    missing = LINK if (tmp_path / LINK).exists() else COMPARE
    (tmp_path / missing).unlink()
    with pytest.raises(BundleCorruptError, match=missing):
        OnnxReaderModel.open(tmp_path, kind=_kind(released))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, BundleNotFoundError),
        ("{", BundleCorruptError),
        ("[]", BundleVersionError),
        ('{"format": 99}', BundleVersionError),
        ('{"format": 1, "words": 3}', BundleCorruptError),
    ],
)
def test_broken_shape_is_refused(
    released: "Released", tmp_path: Path, content: str | None, error: type[Exception]
) -> None:
    source = next(released.folder.glob("encoder-*"))
    write_encoder(source, tmp_path, weights="float32")
    (tmp_path / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    if content is None:
        (tmp_path / SHAPE).unlink()
    else:
        (tmp_path / SHAPE).write_text(content)
    with pytest.raises(error, match=SHAPE):
        OnnxEncoder.open(tmp_path)


def test_ids_beyond_the_positions_are_an_inference_error(
    readers: tuple[UpstreamReaderModel, OnnxReaderModel],
) -> None:
    _, on_onnx = readers
    if on_onnx.positions is None:
        pytest.skip("its positions are relative: any length will do")
    row = _row(readers[0], n_text=on_onnx.positions + 8, n_relations=1, seed=0)
    with pytest.raises(InferenceError, match="ONNX Runtime failed"):
        on_onnx.encode([row])
