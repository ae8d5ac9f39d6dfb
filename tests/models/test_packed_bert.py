"""Layers that compute no padding give what padded ones give."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from relik.models.packed_bert import PackedBert, attend  # noqa: E402 - needs torch

LENGTHS = (7, 1, 12, 12, 0, 7, 3)


def _model(dropout: float = 0.0) -> Any:
    torch.manual_seed(2)
    config = transformers.BertConfig(
        vocab_size=1,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
        type_vocab_size=4,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
    )
    return transformers.BertModel(config, add_pooling_layer=False)


def _inputs() -> dict[str, Any]:
    draw = torch.Generator().manual_seed(3)
    shape = (len(LENGTHS), max(LENGTHS))
    mask = torch.arange(shape[1]) < torch.tensor(LENGTHS)[:, None]
    return {
        "inputs_embeds": torch.randn(*shape, 32, generator=draw),
        "token_type_ids": torch.randint(4, shape, generator=draw),
        "attention_mask": mask.long(),
    }


def test_packed_rows_have_the_states_of_padded_ones() -> None:
    model, inputs = _model().eval(), _inputs()
    kept = inputs["attention_mask"].bool()
    with torch.inference_mode():
        padded = model(**inputs).last_hidden_state
        packed = PackedBert(model)(**inputs).last_hidden_state
    assert torch.allclose(padded[kept], packed[kept], atol=1e-5, rtol=1e-5)
    assert not packed[~kept].any()


def test_a_row_does_not_depend_on_its_batch() -> None:
    model, inputs = PackedBert(_model().eval()), _inputs()
    with torch.inference_mode():
        together = model(**inputs).last_hidden_state
        for row, length in enumerate(LENGTHS):
            if not length:
                continue
            alone = model(**{k: v[row : row + 1, :length] for k, v in inputs.items()})
            assert torch.allclose(
                together[row, :length], alone.last_hidden_state[0], atol=1e-5, rtol=1e-5
            )


def _gradients(model: Any, layers: Any) -> dict[str, Any]:
    model.zero_grad()
    torch.manual_seed(4)
    inputs = _inputs()
    states = layers(**inputs).last_hidden_state[inputs["attention_mask"].bool()]
    (states * torch.linspace(-1, 1, states.shape[1])).square().sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_packed_rows_have_the_gradients_of_padded_ones() -> None:
    model = _model().train()
    padded, packed = _gradients(model, model), _gradients(model, PackedBert(model))
    assert padded.keys() == packed.keys()
    assert all(torch.allclose(padded[name], packed[name], atol=1e-4, rtol=1e-4) for name in padded)


def test_computing_states_again_changes_nothing_not_even_with_dropout() -> None:
    model = _model(dropout=0.3).train()
    kept = _gradients(model, PackedBert(model))
    again = _gradients(model, PackedBert(model, checkpointed=True))
    assert len(kept) > 40
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_weights_keep_their_names() -> None:
    model = _model()
    assert PackedBert(model).state_dict().keys() == model.state_dict().keys()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel runs on GPUs alone")
def test_the_kernel_for_all_rows_attends_as_rows_alone() -> None:
    torch.manual_seed(5)
    parts = [torch.randn(sum(LENGTHS), 4, 32, device="cuda") for _ in range(3)]
    halves = [part.bfloat16() for part in parts]
    alone = attend(parts[0], parts[1], parts[2], LENGTHS)
    at_once = attend(halves[0], halves[1], halves[2], LENGTHS)
    assert torch.allclose(alone, at_once.float(), atol=0.05)
