"""Chunks give the gradients of one large batch, and hold the activations of one chunk."""

from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")

from relik.models.encoder_module import EncoderModel  # noqa: E402
from relik_training.recipes.run_settings import RunSettings  # noqa: E402
from relik_training.retriever.retriever_data import RetrieverBatch, Tokens  # noqa: E402
from relik_training.retriever.retriever_module import (  # noqa: E402
    Objective,
    RetrieverModule,
    encode_in_chunks,
    matryoshka_loss,
)
from relik_training.run.backbone import open_backbone  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World


def _tokens(count: int, seed: int) -> Tokens:
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, 30, (count, 9), generator=draw)
    lengths = torch.randint(2, 10, (count, 1), generator=draw)
    mask = (torch.arange(9)[None, :] < lengths).long()
    return Tokens(ids * mask, mask)


def _batch(n_windows: int = 7, n_passages: int = 13) -> RetrieverBatch:
    return RetrieverBatch(
        windows=_tokens(n_windows, 1),
        passages=_tokens(n_passages, 2),
        positive=torch.eye(n_passages, dtype=torch.bool)[:n_windows],
        ignored=torch.zeros((n_windows, n_passages), dtype=torch.bool),
        step=0,
    )


def _module(world: "World", chunk: int, dropout: float = 0.0) -> RetrieverModule:
    pretrained = open_backbone(str(world.backbone), hidden_dropout=dropout)
    return RetrieverModule(
        EncoderModel(pretrained.layers),
        pretrained.embeddings,
        settings=RunSettings(data="", learning_rate=1e-2, warmup_steps=1, max_steps=2, seed=1),
        objective=Objective(temperature=0.05, matryoshka=(16,), chunk=chunk),
    ).train()


def _gradients(module: RetrieverModule, batch: RetrieverBatch) -> dict[str, torch.Tensor]:
    windows, passages = module.encode(batch.windows), module.encode(batch.passages)
    objective = Objective(temperature=0.05, matryoshka=(16,))
    matryoshka_loss(windows, passages, batch, objective).backward()
    return {
        name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None
    }


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_the_gradients_are_those_of_one_batch(world: "World", chunk: int) -> None:
    whole = _gradients(_module(world, 0), _batch())
    cached = _gradients(_module(world, chunk), _batch())
    assert whole.keys() == cached.keys()
    assert any(float(gradient.norm()) > 1e-3 for gradient in whole.values())
    for name, gradient in whole.items():
        torch.testing.assert_close(cached[name], gradient, rtol=1e-4, atol=1e-6)


def test_dropout_is_the_same_in_both_passes(world: "World") -> None:
    module, tokens = _module(world, 4, dropout=0.5), _tokens(10, 3)
    direction = torch.randn(10, 32, generator=torch.Generator().manual_seed(4))
    found = []
    for cached in (True, False):
        module.zero_grad()
        torch.manual_seed(9)
        if cached:
            vectors = module.encode(tokens)
        else:
            # The same chunks, each with its graph from the first pass on.
            order = torch.argsort(tokens.mask.sum(dim=1), stable=True)
            parts = []
            for rows in order.split(4):
                width = int(tokens.mask[rows].sum(dim=1).max())
                parts.append(
                    module.encode(Tokens(tokens.ids[rows, :width], tokens.mask[rows, :width]))
                )
            vectors = torch.cat(parts)[torch.argsort(order)]
        (vectors * direction).sum().backward()
        found.append(
            [vectors.detach(), *(p.grad for p in module.parameters() if p.grad is not None)]
        )
    assert len(found[0]) == len(found[1]) > 10
    for cached_value, value in zip(*found, strict=True):
        torch.testing.assert_close(cached_value, value, rtol=1e-5, atol=1e-7)
    again = module.encode(tokens)
    assert not torch.allclose(again, found[0][0])


def test_no_more_than_a_chunk_is_encoded_at_once(world: "World") -> None:
    module, seen = _module(world, 0), []

    def encode(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(ids.shape))
        return module.encode(Tokens(ids, mask))

    tokens = _tokens(10, 3)
    vectors = encode_in_chunks(encode, tokens.ids, tokens.mask, chunk=4)
    torch.testing.assert_close(vectors, module.encode(tokens), rtol=1e-4, atol=1e-6)
    assert [shape[0] for shape in seen] == [4, 4, 2]
    # Texts of like length stand together, so that short ones are not padded to the longest.
    assert [shape[1] for shape in seen] == sorted(shape[1] for shape in seen)
    assert seen[0][1] < 9
    vectors.sum().backward()
    assert sorted(seen[3:]) == sorted(seen[:3])


def test_what_is_kept_for_the_way_back_does_not_grow_with_the_batch(world: "World") -> None:
    def kept_bytes(chunk: int, count: int) -> int:
        module, sizes = _module(world, chunk), []

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel() * tensor.element_size())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            module.encode(_tokens(count, 5)).sum()
        return sum(sizes)

    whole = kept_bytes(0, 64) - kept_bytes(0, 32)
    cached = kept_bytes(8, 64) - kept_bytes(8, 32)
    assert cached < whole / 50
