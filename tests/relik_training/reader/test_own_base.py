"""A reader that begins with a whole bundle, over knowledge and texts of its own."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("lightning")
pytest.importorskip("onnx")

from relik import Document, open_bundle
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.manifest import MANIFEST, read_manifest, verify_files, write_manifest
from relik_training.reader.own_base import standing
from relik_training.reader.reader_bundle import build_bundle
from relik_training.reader.reader_run import ReaderRun
from relik_training.reader.reader_start import backbone_of
from relik_training.recipes.recipe import (
    ReaderTraining,
    check_inputs,
    is_reader_recipe,
    read_reader_recipe,
    read_retriever_recipe,
)
from relik_training.retriever.retriever_run import RetrieverRun
from relik_training.run.trainer import train

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

OWN = [
    {"id": "c-1", "name": "Paris", "description": "a person"},
    {"id": "c-2", "name": "Rome", "aliases": ["Cairo"], "description": "the capital city"},
]
RELATIONS = [{"id": "knows", "name": "knows", "description": "friend of the person"}]


def _lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


_held: dict[str, Path] = {}


def _start(world: "World", factory: pytest.TempPathFactory) -> Path:
    """Make a whole bundle, once."""
    if "start" not in _held:
        retriever = read_retriever_recipe(world.retriever_recipe(out=str(world.root / "first")))
        train(RetrieverRun(config=retriever))
        RetrieverRun(config=retriever).end()
        base = world.root / "first" / "bundle"
        recipe = world.reader_recipe(base, out=str(world.root / "reader"), max_steps=2)
        reader = read_reader_recipe(recipe)
        run = train(ReaderRun(config=reader))
        build_bundle(reader)
        _held["start"] = Path(shutil.copytree(run, factory.mktemp("start") / "run")) / "bundle"
    return _held["start"]


@pytest.fixture
def config(world: "World", tmp_path_factory: pytest.TempPathFactory) -> ReaderTraining:
    """A recipe that names a whole bundle, knowledge and texts; no backbone and no base."""
    start = _start(world, tmp_path_factory)
    own = world.root / "own"
    _lines(own / "entities.jsonl", OWN)
    _lines(own / "relations.jsonl", RELATIONS)
    document = {
        "doc_id": "1",
        "text": "Paris knows Rome",
        "spans": [[0, 5, "c-1", "Paris"], [12, 16, "c-2", "Rome"]],
        "triples": [[0, "knows", 1]],
    }
    for name in ("train", "dev"):
        _lines(world.data / f"{name}.jsonl", [{**document, "doc_id": f"{name}-{n}"} for n in "ab"])
    recipe = world.reader_recipe(
        "",
        start=str(start),
        backbone="",
        knowledge=str(own),
        out=str(world.root / "run"),
        model="own",
        held_out_source="",
        titles="",
        max_steps=2,
    )
    assert is_reader_recipe(recipe)
    return read_reader_recipe(recipe)


def _version(bundle: Path) -> object:
    return read_manifest(bundle / LAYOUT.entities).fields["version"]


def test_a_bundle_is_trained_on_over_other_knowledge(config: ReaderTraining) -> None:
    check_inputs(config)
    run = train(ReaderRun(config=config))
    made = Path(str(build_bundle(config)["bundle"]))
    bundle, base, start = open_bundle(made), open_bundle(run / "base"), open_bundle(config.start)
    verify_files(made, bundle.manifest)
    assert bundle.config.model == bundle.manifest.fields["model"] == "own"
    assert bundle.encoder_fingerprint == base.encoder_fingerprint == start.encoder_fingerprint
    # The base is the bundle as it was, over the new knowledge.
    reader = f"{LAYOUT.reader}/{LAYOUT.weights}"
    assert (base.path / reader).read_bytes() == (start.path / reader).read_bytes()
    assert (made / reader).read_bytes() != (start.path / reader).read_bytes()
    assert _version(made) == _version(base.path) != _version(start.path)
    for opened in (bundle, base):
        pipeline = opened.pipeline("onnx")
        (annotation,) = pipeline.annotate([Document(doc_id="", text="Paris knows Rome")])
        assert {span.entity_id for span in annotation.spans} <= {"c-1", "c-2"}
        assert pipeline.relation("knows") is not None
        assert pipeline.entities.record(1).name == "Rome"
    # The words are those of the bundle, so the reader needs no table of its own.
    assert LAYOUT.reader_embeddings not in bundle.manifest.files


def test_relations_of_a_retrieved_reader_can_read_the_words_between_too(
    config: ReaderTraining,
) -> None:
    from relik.types import AnnotateOptions

    config = replace(config, between=True)
    train(ReaderRun(config=config))
    bundle = open_bundle(str(build_bundle(config)["bundle"]))
    about = json.loads((bundle.path / LAYOUT.reader / LAYOUT.config).read_text(encoding="utf-8"))
    assert about["heads"]["between"]
    options = AnnotateOptions(threshold=0.0, relation_threshold=0.0, nil=True)
    documents = [Document(doc_id="", text="Paris who lives here knows Rome")]
    found = [bundle.pipeline(b).annotate(documents, options=options)[0] for b in ("onnx", "torch")]
    assert found[0].triples
    scores = [[triple.score for triple in each.triples] for each in found]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_a_run_over_knowledge_of_its_own_can_teach(config: ReaderTraining) -> None:
    from relik_training.distill.teacher import open_reader_teacher

    run = train(ReaderRun(config=config))
    student = open_bundle(config.start)
    taught = open_reader_teacher(run, tokenizer=student.tokenizer(), base=student.path)
    assert taught.table.shape == (len(student.tokenizer().get_vocab()), 32)


def test_the_bundle_finds_relations_by_its_windows_where_asked(config: ReaderTraining) -> None:
    import numpy as np

    from relik.kb import KnowledgeBase

    _lines(Path(config.knowledge) / "relations.jsonl", [*RELATIONS, {"id": "left", "name": "left"}])
    rows = []
    for n in range(10):
        relation, verb = ("knows", "knows") if n % 2 else ("left", "has left")
        text = f"Paris {verb} Rome"
        spans = [[0, 5, "c-1", "Paris"], [len(text) - 4, len(text), "c-2", "Rome"]]
        triples = [[0, relation, 1]]
        rows.append({"doc_id": f"{n}", "text": text, "spans": spans, "triples": triples})
    _lines(Path(config.data) / "train.jsonl", rows)
    run = train(ReaderRun(config=config))
    vectors = {}
    for weight in (0.0, 0.7):
        made = Path(str(build_bundle(replace(config, prototype_weight=weight))["bundle"]))
        bundle = open_bundle(made)
        verify_files(made, bundle.manifest)
        assert bundle.pipeline("onnx").relation("left") is not None
        kb = KnowledgeBase.open(made / LAYOUT.relations, verify=True)
        vectors[weight] = kb.index.reconstruct(np.arange(len(kb)))
    assert not np.allclose(vectors[0.0], vectors[0.7], atol=1e-3)
    base = KnowledgeBase.open(run / "base" / LAYOUT.relations)
    np.testing.assert_array_equal(base.index.reconstruct(np.arange(len(base))), vectors[0.0])


def test_a_threshold_that_was_chosen_otherwise_is_kept(config: ReaderTraining) -> None:
    train(ReaderRun(config=config))
    asked = replace(config.calibration, span_threshold=0.3, triple_threshold=0.45)
    assert asked.sources
    made = build_bundle(replace(config, calibration=asked))
    reader = open_bundle(str(made["bundle"])).config.reader
    assert (reader.threshold, reader.relation_threshold) == (0.3, 0.45)


def test_new_knowledge_needs_no_training(config: ReaderTraining) -> None:
    run = train(ReaderRun(config=config))
    made = Path(str(build_bundle(config)["bundle"]))
    weights = (made / LAYOUT.reader / LAYOUT.weights).read_bytes()
    before = (run / "base" / MANIFEST).read_bytes()
    build_bundle(config)
    assert (run / "base" / MANIFEST).read_bytes() == before
    more = [*OWN, {"id": "c-3", "name": "Oslo"}]
    _lines(Path(config.knowledge) / "entities.jsonl", more)
    build_bundle(config)
    assert "c-3" in open_bundle(made).pipeline("onnx").entities
    assert (made / LAYOUT.reader / LAYOUT.weights).read_bytes() == weights


def test_only_records_that_are_new_are_encoded(
    config: ReaderTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from relik.bundle import Bundle
    from relik.kb import KnowledgeBase
    from relik.types import FloatArray

    def vectors(base: str) -> FloatArray:
        kb = KnowledgeBase.open(Path(base) / LAYOUT.entities, verify=True)
        return kb.index.reconstruct(np.arange(len(kb)))

    encoded: list[str] = []
    opened = Bundle.encoder

    class Counting:
        def __init__(self, bundle: Bundle) -> None:
            self._encoder = opened(bundle, records=True)
            self.dim = self._encoder.dim

        def encode(self, texts: list[str]) -> FloatArray:
            encoded.extend(texts)
            return self._encoder.encode(texts)

    before = vectors(standing(config).base)
    monkeypatch.setattr(Bundle, "encoder", lambda self, *_, **__: Counting(self))
    more = [*OWN[:1], {"id": "c-3", "name": "Oslo"}, *OWN[1:]]
    _lines(Path(config.knowledge) / "entities.jsonl", more)
    after = vectors(standing(config).base)
    assert encoded[0] == "Oslo"
    assert not any("Rome" in text for text in encoded)
    np.testing.assert_array_equal(after[[0, 2]], before)


def test_a_base_that_is_damaged_is_made_anew(config: ReaderTraining) -> None:
    base = Path(standing(config).base)
    vectors = base / LAYOUT.entities / "vectors.faiss"
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[: len(whole) // 2])
    _lines(Path(config.knowledge) / "entities.jsonl", [*OWN, {"id": "c-3", "name": "Oslo"}])
    assert "c-3" in open_bundle(standing(config).base).pipeline("onnx").entities


def test_a_base_that_stands_is_not_made_for_a_plan(config: ReaderTraining, tmp_path: Path) -> None:
    from relik_training.reader.own_base import standing_already

    assert standing_already(config) == config
    assert ReaderRun(config=config).aside(tmp_path).config.base == ""
    made = standing(config).base
    assert ReaderRun(config=config).aside(tmp_path).config.base == made
    assert Path(ReaderRun(config=config).aside(tmp_path).config.out).parent == tmp_path
    named = replace(config, base="elsewhere")
    assert standing_already(named) == named
    _lines(Path(config.knowledge) / "entities.jsonl", [*OWN, {"id": "c-3", "name": "Oslo"}])
    assert standing_already(config) == config


def test_candidates_of_one_text_are_not_those_of_another(config: ReaderTraining) -> None:

    config = standing(config)

    def kept() -> int:
        run = ReaderRun(config=config).open()
        run.ready(run.examples)
        return len(list(Path(config.out).glob("candidates-*")))

    assert kept() == kept() == 1
    path = Path(config.data) / "train.jsonl"
    path.write_text(path.read_text("utf-8").replace("knows", "needs"), "utf-8")
    assert kept() == 2


def test_training_begins_where_the_bundle_ended(config: ReaderTraining) -> None:
    import torch

    from relik.backends.tensors import TensorFile

    model = ReaderRun(config=config).open().module.model
    held = TensorFile.open(Path(config.start) / LAYOUT.reader / LAYOUT.weights).weights()
    for name, value in model.state_dict().items():
        if name in held:
            torch.testing.assert_close(value, torch.from_numpy(held[name].copy()))
    assert {name for name in model.state_dict() if name not in held} <= {
        "backbone.embeddings.word_embeddings.weight",
        "backbone.embeddings.position_ids",
    }


def test_markers_that_were_never_trained_are_moved_to_the_others(config: ReaderTraining) -> None:
    import torch

    from relik.backends.tensors import TensorFile
    from relik.backends.word_embeddings import MARKERS

    assert config.n_relations > 1
    held = TensorFile.open(Path(config.start) / LAYOUT.reader / LAYOUT.weights).weights()[MARKERS]
    started = replace(config, trained_relations=1)
    markers = dict(ReaderRun(config=started).open().module.model.named_parameters())[
        MARKERS
    ].detach()
    expected = torch.from_numpy(held.copy())
    first = len(expected) - config.n_relations
    expected[first + 1 :] += expected[first]
    torch.testing.assert_close(markers, expected)


def test_what_cannot_be_begun_with_is_refused(config: ReaderTraining, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="add backbone"):
        backbone_of(str(Path(config.start).parent), hidden_dropout=0.0)
    bare = tmp_path / "bare"
    shutil.copytree(config.start, bare)
    shutil.rmtree(bare / LAYOUT.query_encoder)
    for name in (LAYOUT.entities, LAYOUT.relations):
        shutil.rmtree(bare / name)
    write_manifest(bare, kind="bundle", fields={})
    with pytest.raises(ConfigError, match="has no query encoder"):
        standing(replace(config, start=str(bare)))
    (Path(config.knowledge) / "relations.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"relations\.jsonl: is missing"):
        check_inputs(config)


def test_a_recipe_that_begins_with_nothing_needs_backbone_and_base(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('data = "d"\nknowledge = "k"\nsources = []\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="got no 'backbone'"):
        read_reader_recipe(recipe)
