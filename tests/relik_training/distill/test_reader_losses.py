"""A reader learns from its teacher what labels say, and what they leave open."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
transformers = pytest.importorskip("transformers")

from relik.errors import ConfigError  # noqa: E402
from relik.models.packed_bert import PackedBert  # noqa: E402
from relik.models.reader_module import HeadConfig, ReaderModel  # noqa: E402
from relik.toml_settings import from_mapping  # noqa: E402
from relik_training.distill.distill_settings import ReaderDistillation  # noqa: E402
from relik_training.distill.reader_losses import open_reader_distiller  # noqa: E402
from relik_training.distill.teacher_outputs import divergence  # noqa: E402
from relik_training.reader.frozen import CachedBackbone  # noqa: E402
from relik_training.reader.reader_module import ReaderModule  # noqa: E402
from relik_training.reader.reader_targets import IGNORED  # noqa: E402
from relik_training.recipes.recipe import ReaderTraining  # noqa: E402

STARTS, ENDS, LINKS, RELATIONS = (f"taught_{name}" for name in ("start", "end", "link", "relation"))


def _student(layout) -> ReaderModel:  # type: ignore[no-untyped-def]
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=1,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        type_vocab_size=4,
    )
    backbone = transformers.BertModel(config, add_pooling_layer=False)
    return ReaderModel(
        backbone, HeadConfig(hidden_size=32, linears_hidden_size=16), n_markers=layout.size
    )


@pytest.fixture
def module_of(layout, base, word_tokenizer):  # type: ignore[no-untyped-def]
    """Makes a student with its teacher."""

    def made(run: Path, **settings: object) -> ReaderModule:
        student = _student(layout)
        given = {"teacher": str(run), "span_threshold": 0.2, **settings}
        distiller = open_reader_distiller(
            student,
            ReaderDistillation(**given),  # type: ignore[arg-type]
            layout=layout,
            tokenizer=word_tokenizer,
            base=base,
        )
        table = torch.randn(
            word_tokenizer.get_vocab_size(), 32, generator=torch.Generator().manual_seed(2)
        )
        settings = ReaderTraining(
            data="",
            knowledge="",
            sources=(),
            seed=1,
            learning_rate=3e-3,
            head_learning_rate=3e-3,
            layer_decay=1.0,
            warmup_steps=1,
            max_steps=100,
        )
        module = ReaderModule(student, table, settings=settings, distiller=distiller)
        return module.eval()

    return made


def _opinion(module: ReaderModule, batch):  # type: ignore[no-untyped-def]
    """Give what the teacher of a module says, as tensors by name."""
    distiller = module.distiller
    assert distiller is not None
    teacher = distiller.teacher
    rows = teacher.rows.rows(batch.rows, batch.arrays.ids.shape[1])
    return distiller.ask(batch, rows)


@pytest.mark.parametrize("pieces", [False, True])
def test_a_student_comes_to_say_what_its_teacher_says(  # type: ignore[no-untyped-def]
    module_of, teacher_run, batch_of, examples, word_tokenizer, piece_tokenizer, pieces
):
    run = teacher_run(piece_tokenizer if pieces else word_tokenizer)
    module, batch = module_of(run), batch_of(*examples)
    optimizer = module.configure_optimizers()["optimizer"]
    names = (STARTS, ENDS, LINKS, RELATIONS)
    seen = []
    for _ in range(60):
        losses = module.losses(batch)
        taught = torch.stack([losses[name] for name in names]).sum()
        optimizer.zero_grad()
        taught.backward()
        optimizer.step()
        seen.append([float(losses[name].detach()) for name in names])
    assert all(value > 0 for value in seen[0])
    assert sum(seen[-1]) < 0.4 * sum(seen[0])


def test_a_student_that_is_its_teacher_has_nothing_to_learn(  # type: ignore[no-untyped-def]
    module_of, teacher_run, batch_of, examples, word_tokenizer
):
    module = module_of(teacher_run(word_tokenizer), cache="")
    teacher = module.distiller.teacher
    batch = batch_of(*examples)
    rows = teacher.rows.rows(batch.rows, batch.arrays.ids.shape[1])
    arrays = [torch.as_tensor(getattr(rows.arrays, name)) for name in ("ids", "types", "mask")]
    places = [
        torch.as_tensor(getattr(rows.arrays, f"{n}_positions")) for n in ("entity", "relation")
    ]
    with torch.no_grad():
        words = teacher.model.embed(arrays[0], teacher.table)
        encoded = teacher.model.encode(words, *arrays[1:], *places)
        losses = module.distiller.losses(teacher.model, encoded, batch)
    assert set(losses) == {STARTS, ENDS, LINKS, RELATIONS}
    # What is kept is rounded to half precision.
    assert all(float(value) < 1e-3 for value in losses.values())


def test_words_without_a_label_are_learned_from_the_teacher_alone(  # type: ignore[no-untyped-def]
    module_of, teacher_run, batch_of, examples, word_tokenizer
):
    run = teacher_run(word_tokenizer)
    batch = batch_of(*examples)
    told = _opinion(module_of(run, spans=8, span_threshold=0.0), batch)
    # Rome, the eighth token, may be a mention: no label says so.
    assert batch.targets.starts[0, 7] == IGNORED
    assert told["start_mask"][0, 7]
    labelled = set(zip(batch.targets.rows.tolist(), batch.targets.first.tolist(), strict=True))
    found = list(zip(told["rows"].tolist(), told["first"].tolist(), strict=True))
    assert len(found) == len(set(found))
    assert (0, 7) in set(found) - labelled
    assert labelled <= set(found)
    none_found = _opinion(module_of(run, span_threshold=1.0), batch)
    assert (
        set(zip(none_found["rows"].tolist(), none_found["first"].tolist(), strict=True)) == labelled
    )


def test_with_labels_only_the_teacher_says_nothing_of_other_words(  # type: ignore[no-untyped-def]
    module_of, teacher_run, batch_of, examples, word_tokenizer
):
    run, batch = teacher_run(word_tokenizer), batch_of(*examples)
    everything = module_of(run, span_threshold=0.0).losses(batch)
    within = module_of(run, span_threshold=0.0, unlabelled=False).losses(batch)
    assert not torch.equal(within[STARTS], everything[STARTS])
    # The labels again, but no link is annotated and no start known: nothing is left to learn.
    targets = dataclasses.replace(
        batch.targets,
        starts=torch.full_like(batch.targets.starts, IGNORED),
        links=torch.full_like(batch.targets.links, IGNORED),
    )
    blind = dataclasses.replace(batch, targets=targets)
    module = module_of(run, unlabelled=False)
    encoded_losses = module.losses(blind)
    assert float(encoded_losses[STARTS].detach()) == 0.0
    assert float(encoded_losses[LINKS].detach()) == 0.0
    assert float(encoded_losses[ENDS].detach()) > 0.0


def test_relations_are_compared_where_they_are_asked_for(  # type: ignore[no-untyped-def]
    module_of, teacher_run, batch_of, examples, word_tokenizer
):
    module = module_of(teacher_run(word_tokenizer), span_threshold=1.0)
    told = _opinion(module, batch_of(*examples))
    rows = told["rows"][told["subjects"]]
    assert set(rows.tolist()) == {0}  # the second window has no relation candidates
    assert torch.equal(rows, told["rows"][told["objects"]])
    assert len(rows) == 3 * 2
    assert RELATIONS not in module.losses(batch_of(examples[1]))


def test_a_window_without_a_mention_teaches_its_starts(  # type: ignore[no-untyped-def]
    module_of, teacher_run, batch_of, examples, word_tokenizer
):
    empty = dataclasses.replace(examples[1], mentions=())
    module = module_of(teacher_run(word_tokenizer), span_threshold=1.0)
    losses = module.losses(batch_of(empty))
    assert set(losses) == {STARTS, "start"}
    losses[STARTS].backward()


def test_candidates_that_the_teacher_has_no_room_for_are_left_out(  # type: ignore[no-untyped-def]
    module_of, teacher_run, batch_of, examples, word_tokenizer
):
    batch = batch_of(*examples)
    module = module_of(teacher_run(word_tokenizer))
    teacher = module.distiller.teacher
    whole = _opinion(module, batch)["link_mask"]
    short = dataclasses.replace(teacher.rows, max_tokens=int(batch.arrays.mask[0].sum()) - 1)
    rows = short.rows(batch.rows, batch.arrays.ids.shape[1])
    less = module.distiller.ask(batch, rows)["link_mask"]
    assert less.shape[1] == whole.shape[1]
    assert (less <= whole)[: len(whole)].all()
    assert 0 < less.sum() < whole.sum()


def test_divergence_is_that_of_the_definition() -> None:
    draw = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(5, 4, generator=draw) for _ in range(2))
    mask = torch.tensor([[True, True, False, True]]).expand(5, 4)
    found = divergence(student, teacher, 2.0, mask)
    for row in range(5):
        ours, theirs = (
            np.exp(each[row][mask[row]].double().numpy() / 2) for each in (student, teacher)
        )
        ours, theirs = ours / ours.sum(), theirs / theirs.sum()
        expected = 4 * sum(q * math.log(q / p) for p, q in zip(ours, theirs, strict=True))
        assert float(found[row]) == pytest.approx(expected, abs=1e-5)
    assert float(divergence(student, teacher, 1.0, torch.zeros_like(mask)).abs().max()) == 0.0


def test_gradients_of_barred_classes_are_zero() -> None:
    student = torch.randn(2, 3, requires_grad=True)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    divergence(student, torch.randn(2, 3), 1.0, mask).sum().backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
    assert (student.grad[~mask] == 0).all()


def test_a_cache_changes_nothing_and_is_asked_instead_of_the_teacher(  # type: ignore[no-untyped-def]
    module_of, teacher_run, batch_of, examples, word_tokenizer, tmp_path
):
    run, batch = teacher_run(word_tokenizer), batch_of(*examples)
    plain = module_of(run).losses(batch)
    cache = tmp_path / "cache"
    filled = module_of(run, cache=str(cache)).losses(batch)
    files = list(cache.rglob("*.safetensors"))
    assert len(files) == 1
    module = module_of(run, cache=str(cache))
    teacher = module.distiller.teacher
    # A teacher that would now say something else, had it been asked.
    with torch.no_grad():
        teacher.model.ned_start_classifier[4].bias.add_(5.0)
    kept = module.losses(batch)
    for name in plain:
        assert torch.equal(plain[name], filled[name])
        assert torch.equal(plain[name], kept[name])
    module.losses(batch_of(examples[0]))
    assert len(list(cache.rglob("*.safetensors"))) == 2


def test_the_teacher_is_no_part_of_a_checkpoint(  # type: ignore[no-untyped-def]
    module_of, teacher_run, word_tokenizer
):
    module = module_of(teacher_run(word_tokenizer), hidden=1.0)
    teacher = module.distiller.teacher
    assert not any(each.requires_grad for each in teacher.model.parameters())
    assert not teacher.model.training
    names = [n for n in module.state_dict() if not n.startswith("model.")]
    assert names == [f"distiller.states.projections.{k}.weight" for k in range(2)]
    optimizer = module.configure_optimizers()["optimizer"]
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {id(p) for p in module.distiller.parameters()} <= trained


def test_a_teacher_with_fewer_markers_is_refused(module_of, teacher_run, word_tokenizer):  # type: ignore[no-untyped-def]
    run = teacher_run(word_tokenizer, n_entities=2)
    with pytest.raises(ConfigError, match="at most 2 entities and 4 relations, expected 6 and 4"):
        module_of(run)


def test_a_folder_without_a_reader_is_refused(module_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="has no reader, expected a bundle or a finished"):
        module_of(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 1.0, "cache": "x"}, "got a cache along with hidden"),
        ({"states_first": 5}, "states_first 5 without hidden"),
        ({"temperature": 0.0}, "temperature: got 0.0, expected a number more than 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(ReaderDistillation, settings, where="here")


@pytest.mark.parametrize("arranged", [PackedBert, lambda layers: CachedBackbone(layers, 1)])
def test_states_of_packed_rows_are_refused(layout, base, teacher_run, word_tokenizer, arranged):  # type: ignore[no-untyped-def]
    student = _student(layout)
    student.backbone = arranged(student.backbone)
    settings = ReaderDistillation(teacher=str(teacher_run(word_tokenizer)), hidden=1.0)
    with pytest.raises(ConfigError, match="along with packing"):
        open_reader_distiller(student, settings, layout=layout, tokenizer=word_tokenizer, base=base)
