"""An encoder learns the scores and the vectors of its teacher."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer  # noqa: E402

from relik.errors import ConfigError  # noqa: E402
from relik.models.encoder_module import EncoderModel  # noqa: E402
from relik.toml_settings import from_mapping  # noqa: E402
from relik_training.distill.distill_settings import RetrieverDistillation  # noqa: E402
from relik_training.distill.encoder_losses import (  # noqa: E402
    open_encoder_teacher,
    open_retriever_distiller,
)
from relik_training.recipes.run_settings import RunSettings  # noqa: E402
from relik_training.retriever.retriever_data import RetrieverBatch, pad  # noqa: E402
from relik_training.retriever.retriever_module import Objective, RetrieverModule  # noqa: E402
from relik_training.run.backbone import open_backbone  # noqa: E402
from relik_training.run.trainer import write_weights  # noqa: E402

WINDOWS = ("Ada was born in Paris", "Bob met Fay in Rome .")
PASSAGES = ("Paris the capital city", "Ada a person", "Rome the capital city", "Oslo")
SCORES, VECTORS = "taught_scores", "taught_vectors"


@pytest.fixture
def batch(word_tokenizer: Tokenizer) -> RetrieverBatch:
    windows, passages = (
        pad([e.ids for e in word_tokenizer.encode_batch(list(texts))])
        for texts in (WINDOWS, PASSAGES)
    )
    positive = torch.tensor([[True, True, False, False], [False, False, True, False]])
    return RetrieverBatch(
        windows=windows,
        passages=passages,
        positive=positive,
        ignored=torch.zeros_like(positive),
        step=3,
        texts=(WINDOWS, PASSAGES),
    )


@pytest.fixture
def teacher(mpnet_backbone: Path, tmp_path: Path) -> Path:
    """A finished run whose vectors are further apart than those of random small weights."""
    run = tmp_path / "teacher"
    run.mkdir()
    opened = open_backbone(str(mpnet_backbone))
    model = EncoderModel(opened.layers)
    torch.manual_seed(2)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    write_weights(model, run, {"kind": "encoder", "backbone": opened.layers.config.to_diff_dict()})
    (run / "resolved.json").write_text(json.dumps({"backbone": str(mpnet_backbone)}))
    return run


def _module(backbone: Path, teacher: str, **settings: object) -> RetrieverModule:
    torch.manual_seed(6)
    opened = open_backbone(str(backbone))
    module = RetrieverModule(
        EncoderModel(opened.layers),
        opened.embeddings,
        settings=RunSettings(data="", learning_rate=3e-3, warmup_steps=1, max_steps=100, seed=1),
        objective=Objective(temperature=0.05),
    )
    given = RetrieverDistillation(teacher=teacher, **settings)  # type: ignore[arg-type]
    module.distiller = open_retriever_distiller(opened.embeddings.shape[1], given)
    return module.eval()


def _losses(module: RetrieverModule, batch: RetrieverBatch) -> "dict[str, torch.Tensor]":
    assert module.distiller is not None
    return module.distiller.losses(
        batch, module.encode(batch.windows), module.encode(batch.passages)
    )


@pytest.mark.parametrize("scores", ["divergence", "margin"])
def test_scores_and_vectors_come_closer(world, batch, teacher, scores) -> None:  # type: ignore[no-untyped-def]
    module = _module(world.backbone, str(teacher), scores=scores, vectors=1.0, temperature=0.2)
    optimizer = module.configure_optimizers()["optimizer"]
    seen = []
    for _ in range(25):
        losses = _losses(module, batch)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        seen.append({name: float(each.detach()) for name, each in losses.items()})
    assert set(seen[0]) == {SCORES, VECTORS}
    assert seen[-1][SCORES] < 0.5 * seen[0][SCORES]
    assert seen[-1][VECTORS] < 0.8 * seen[0][VECTORS]


@pytest.mark.parametrize("scores", ["divergence", "margin"])
def test_an_encoder_learns_nothing_from_itself(world, batch, scores) -> None:  # type: ignore[no-untyped-def]
    module = _module(world.backbone, str(world.backbone), scores=scores)
    losses = _losses(module, batch)
    assert set(losses) == {SCORES}
    # Answers are rounded to half precision.
    assert float(losses[SCORES].detach()) < 1e-3


def test_margins_do_not_depend_on_how_high_scores_are(world, batch) -> None:  # type: ignore[no-untyped-def]
    module = _module(world.backbone, str(world.backbone), scores="margin", temperature=1.0)
    distiller = module.distiller
    assert distiller is not None
    draw = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(3, 5, generator=draw) for _ in range(2))
    found = distiller._compare(ours, theirs)
    assert torch.allclose(found, distiller._compare(ours + 7.0, theirs), atol=1e-5)
    apart = ours - theirs
    margins = (apart[:, :, None] - apart[:, None, :]).square()
    assert torch.allclose(found, margins.mean() / 2, atol=1e-5)


def test_a_training_step_adds_what_the_teacher_says(world, batch, teacher) -> None:  # type: ignore[no-untyped-def]
    with_teacher = _module(world.backbone, str(teacher), vectors=0.5)
    alone = _module(world.backbone, "")
    assert alone.distiller is None
    logged: dict[str, torch.Tensor] = {}
    for module in (with_teacher, alone):
        module.log_dict = lambda values, **_: logged.update(values)
    loss = with_teacher.training_step(batch, 0)
    taught = logged[SCORES] + logged[VECTORS]
    assert torch.allclose(loss, alone.training_step(batch, 0) + taught, atol=1e-5)
    assert [n for n in with_teacher.state_dict() if not n.startswith("model.")] == [
        "distiller.projection.weight"
    ]


def test_texts_are_encoded_in_their_order_and_each_for_itself(teacher: Path) -> None:
    opened = open_encoder_teacher(str(teacher))
    texts = ("Ada", *WINDOWS, *PASSAGES)
    together = opened.encode(texts, 10)
    alone = torch.cat([opened.encode((text,), 10) for text in texts])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together.norm(dim=1), torch.ones(len(texts)), atol=1e-5)


def test_a_teacher_reads_no_more_than_its_student(teacher: Path) -> None:
    opened = open_encoder_teacher(str(teacher))
    cut = opened.encode(("Ada was born in Paris",), 4)
    assert torch.allclose(cut, opened.encode(("Ada was",), 10), atol=1e-5)


def test_kept_answers_are_those_of_the_teacher(world, batch, teacher, tmp_path) -> None:  # type: ignore[no-untyped-def]
    plain = _losses(_module(world.backbone, str(teacher)), batch)
    cache = tmp_path / "cache"
    for _ in range(2):
        module = _module(world.backbone, str(teacher), cache=str(cache))
        assert torch.equal(_losses(module, batch)[SCORES], plain[SCORES])
    assert len(list(cache.rglob("*.safetensors"))) == 1


def test_settings_are_checked(world, teacher) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="scores: got 'rank', expected 'divergence' or 'margin'"):
        from_mapping(RetrieverDistillation, {"scores": "rank"}, where="here")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        _module(world.backbone, str(teacher / "nothing"))
