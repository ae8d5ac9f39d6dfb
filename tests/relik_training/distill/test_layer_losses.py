"""States and attention of layers are compared token by token, and learned first where asked."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
transformers = pytest.importorskip("transformers")

from relik.errors import ConfigError  # noqa: E402
from relik_training.distill.distill_settings import ReaderDistillation  # noqa: E402
from relik_training.distill.layer_losses import (  # noqa: E402
    AlignedTokens,
    StateDistance,
    aligned_tokens,
    pair_layers,
    record,
)
from relik_training.run.backbone import open_backbone  # noqa: E402


def _backbone(width: int, layers: int, seed: int, heads: int = 4) -> "torch.nn.Module":
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=1,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.4,
    )
    return transformers.BertModel(config, add_pooling_layer=False).eval()


def _run(backbone: "torch.nn.Module", width: int, n_tokens: int = 9) -> None:
    embeds = torch.randn(2, n_tokens, width, generator=torch.Generator().manual_seed(width))
    zeros = torch.zeros(2, n_tokens, dtype=torch.int64)
    backbone(inputs_embeds=embeds, token_type_ids=zeros, attention_mask=zeros + 1)


def _places(n_tokens: int = 9) -> AlignedTokens:
    every = torch.arange(n_tokens).expand(2, n_tokens)
    return AlignedTokens(every, every, torch.ones_like(every, dtype=torch.bool))


@pytest.mark.parametrize(
    ("sizes", "layers", "expected"),
    [
        ((6, 12), (), [(0, 1), (1, 3), (2, 5), (3, 7), (4, 9), (5, 11)]),
        ((2, 2), (), [(0, 0), (1, 1)]),
        ((3, 4), (), [(0, 1), (1, 2), (2, 3)]),
        ((3, 12), (0, 0, 12), [(2, 11)]),
    ],
)
def test_layers_are_spread_evenly_unless_told(sizes, layers, expected) -> None:  # type: ignore[no-untyped-def]
    assert [(each.student, each.teacher) for each in pair_layers(*sizes, layers)] == expected


@pytest.mark.parametrize("layers", [(1,), (1, 5), (1, -1)])
def test_layers_that_do_not_exist_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="expected 2 numbers from 0 to 4"):
        pair_layers(2, 4, layers)


def test_a_layer_is_no_distance_from_itself() -> None:
    backbone = _backbone(32, 2, 1)
    states = record(backbone, attention=True)
    _run(backbone, 32)
    distance = StateDistance(backbone, backbone, ReaderDistillation(hidden=1.0, attention=1.0))
    for projection in distance.projections:
        torch.nn.init.eye_(projection.weight)
    losses = distance(states, states, _places())
    assert float(losses["hidden"].detach()) == pytest.approx(0.0, abs=1e-6)
    assert float(losses["attention"].detach()) == pytest.approx(0.0, abs=1e-6)


def test_states_come_closer_when_they_are_learned() -> None:
    student, teacher = _backbone(32, 2, 1), _backbone(48, 4, 2)
    noted = [record(each, attention=True) for each in (student, teacher)]
    distance = StateDistance(student, teacher, ReaderDistillation(hidden=1.0, attention=1.0))
    parameters = [*student.parameters(), *distance.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=5e-3)
    with torch.no_grad():
        _run(teacher, 48)
    seen = []
    for _ in range(40):
        _run(student, 32)
        losses = distance(*noted, _places())
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        seen.append([float(each.detach()) for each in losses.values()])
    assert (np.array(seen[-1]) < 0.7 * np.array(seen[0])).all()


def test_padding_counts_for_nothing() -> None:
    student, teacher = _backbone(32, 2, 1), _backbone(48, 4, 2)
    noted = [record(each, attention=True) for each in (student, teacher)]
    distance = StateDistance(student, teacher, ReaderDistillation(hidden=1.0, attention=1.0))
    _run(student, 32)
    _run(teacher, 48)
    few = _places(4)
    padded = [torch.nn.functional.pad(each, (0, 3)) for each in (few.student, few.mask)]
    losses = distance(*noted, few)
    same = distance(*noted, AlignedTokens(padded[0], padded[0], padded[1]))
    for name, value in losses.items():
        assert float(value.detach()) == pytest.approx(float(same[name].detach()), rel=1e-5)


def test_attention_is_what_the_layers_attend_by(mpnet_backbone) -> None:  # type: ignore[no-untyped-def]
    opened = open_backbone(str(mpnet_backbone)).layers.eval()
    with torch.no_grad():
        opened.encoder.relative_attention_bias.weight.normal_()
    noted = record(opened, attention=True)
    _run(opened, 48)
    model = transformers.MPNetModel.from_pretrained(
        mpnet_backbone, add_pooling_layer=False, attn_implementation="eager"
    ).eval()
    model.encoder = opened.encoder
    embeds = torch.randn(2, 9, 48, generator=torch.Generator().manual_seed(48))
    ones = torch.ones(2, 9, dtype=torch.int64)
    output = model(inputs_embeds=embeds, attention_mask=ones, output_attentions=True)
    query, key = (
        each[1].unflatten(-1, (4, 12)).transpose(1, 2) for each in (noted.query, noted.key)
    )
    assert noted.bias is not None
    scores = query @ key.transpose(-1, -2) / math.sqrt(12) + noted.bias.permute(2, 0, 1)
    assert torch.allclose(scores.softmax(dim=-1), output.attentions[1], atol=1e-5)


def test_attention_needs_as_many_heads() -> None:
    settings = ReaderDistillation(attention=1.0)
    with pytest.raises(ConfigError, match="got 4 heads, expected 2"):
        StateDistance(_backbone(32, 2, 1), _backbone(48, 4, 2, heads=2), settings)


def test_words_and_markers_are_what_is_compared(  # type: ignore[no-untyped-def]
    batch_of, examples, piece_tokenizer, teacher_run, base, word_tokenizer
):
    from relik_training.distill.teacher import open_reader_teacher

    teacher = open_reader_teacher(teacher_run(piece_tokenizer), tokenizer=word_tokenizer, base=base)
    batch = batch_of(*examples)
    rows = teacher.rows.rows(batch.rows, batch.arrays.ids.shape[1])
    places = aligned_tokens(batch, rows, torch.device("cpu"))
    pairs = {
        (int(a), int(b))
        for a, b, real in zip(places.student[0], places.teacher[0], places.mask[0], strict=True)
        if real
    }
    # The first token, the letters of "Ada", and the first entity's marker.
    assert {(0, 0), (1, 1), (1, 3)} <= pairs
    markers = [arrays.entity_positions[0, 2] for arrays in (batch.arrays, rows.arrays)]
    assert tuple(map(int, markers)) in pairs
    assert not places.mask.all()
