"""Released encoders give the vectors behind upstream's scores, whatever the batch."""

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

from relik.errors import BundleCorruptError, InputError
from relik.upstream.index.query_encoder import UpstreamEncoder

TEXTS = ["Rome", "Marie Curie was born in Warsaw.", "", "a b c " * 40, "Paris", "東京 👋🏽"]
Open = Callable[..., UpstreamEncoder]


@pytest.fixture(scope="module")
def encoder(pipelines: dict[str, Path]) -> UpstreamEncoder:
    return UpstreamEncoder.open(pipelines["tiny-re"] / "encoder-triplet")


@pytest.fixture
def changed(pipelines: dict[str, Path], tmp_path: Path) -> Open:
    """Open a copy of an encoder with other settings in one of its files."""

    def build(file: str, **settings: object) -> UpstreamEncoder:
        folder = tmp_path / f"encoder-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(pipelines["tiny-re"] / "encoder-triplet", folder)
        path = folder / file
        path.chmod(0o644)
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))
        return UpstreamEncoder.open(folder)

    return build


def test_scores_are_those_of_upstream(released: Any) -> None:
    found = 0
    for name in ("span", "triplet"):
        folder = released.folder / f"encoder-{name}"
        if not folder.is_dir():
            continue
        encoder = UpstreamEncoder.open(folder)
        path = released.folder / f"index-{name}" / "embeddings.pt"
        embeddings = torch.load(path, weights_only=True).numpy()
        for case in released.cases:
            for part in case.get("retrieved") or []:
                if part["encoder"] != folder.name or not part["results"]:
                    continue
                vectors = encoder.encode([window["text"] for window in case["windows"]])
                scores = -np.sort(-(vectors @ embeddings.T), axis=1)
                for ours, theirs in zip(scores, part["results"], strict=True):
                    expected = [score for _, _, score in theirs]
                    np.testing.assert_allclose(ours[: len(expected)], expected, atol=1e-4)
                    found += 1
    assert found


def test_a_vector_does_not_depend_on_its_batch(encoder: UpstreamEncoder) -> None:
    together = encoder.encode(TEXTS)
    assert together.shape == (len(TEXTS), encoder.dim)
    assert together.dtype == np.float32
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, encoder.encode(TEXTS, batch_size=2), atol=1e-5)


def test_vectors_are_not_normalised(encoder: UpstreamEncoder) -> None:
    assert (np.abs(np.linalg.norm(encoder.encode(TEXTS), axis=1) - 1.0) > 0.1).any()


def test_no_text_gives_no_vector(encoder: UpstreamEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_the_end_of_a_long_text_is_not_read(changed: Open) -> None:
    encoder = changed("tokenizer_config.json", model_max_length=12)
    long = encoder.encode(["the city of Rome " * 50, "the city of Rome " * 60])
    np.testing.assert_allclose(long[0], long[1], atol=1e-5)


@pytest.mark.parametrize("length", [10**30, 1e30, None, "many", 0])
def test_an_absurd_limit_is_replaced_by_that_of_the_model(
    changed: Open, length: object, encoder: UpstreamEncoder
) -> None:
    other = changed("tokenizer_config.json", model_max_length=length)
    text = "the city of Rome " * 400
    np.testing.assert_allclose(other.encode([text]), other.encode([text + text]), atol=1e-5)
    np.testing.assert_allclose(other.encode(["Rome"]), encoder.encode(["Rome"]), atol=1e-5)


def test_a_tokenizer_that_was_saved_while_it_padded_does_not(changed: Open) -> None:
    padding = {
        "strategy": {"Fixed": 64},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    plain = changed("config.json").encode(["Rome"])
    padded = changed("tokenizer.json", padding=padding).encode(["Rome"])
    np.testing.assert_allclose(padded, plain, atol=1e-6)


def test_a_topic_is_read_behind_each_text(encoder: UpstreamEncoder) -> None:
    with_topics = encoder.encode(["Rome", "Paris"], topics=["city", "film"])
    swapped = encoder.encode(["Paris", "Rome"], topics=["film", "city"])
    np.testing.assert_allclose(with_topics, swapped[::-1], atol=1e-5)
    assert np.abs(with_topics - encoder.encode(["Rome", "Paris"])).max() > 1e-3
    with pytest.raises(InputError, match="1 topics for 2 texts"):
        encoder.encode(["Rome", "Paris"], topics=["city"])


def test_half_of_a_surrogate_pair_is_read_as_a_sign(encoder: UpstreamEncoder) -> None:
    assert np.isfinite(encoder.encode(["Rome \ud83d"])).all()


def test_a_batch_has_at_least_one_text(encoder: UpstreamEncoder) -> None:
    with pytest.raises(InputError, match="at least 1"):
        encoder.encode(["Rome"], batch_size=0)


def test_lower_precision_is_close(pipelines: dict[str, Path], encoder: UpstreamEncoder) -> None:
    half = UpstreamEncoder.open(pipelines["tiny-re"] / "encoder-triplet", precision="bfloat16")
    np.testing.assert_allclose(half.encode(["Rome"]), encoder.encode(["Rome"]), atol=0.2)


def test_settings_of_another_size_do_not_fit_the_weights(changed: Open) -> None:
    with pytest.raises(BundleCorruptError, match="intermediate"):
        changed("config.json", intermediate_size=48)
