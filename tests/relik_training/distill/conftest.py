"""Batches of a small world, and teachers with the same words and with others."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from relik.config import RetrieverConfig
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.reader.inputs import MarkerLayout
from relik.retriever.window_retriever import WindowRetriever
from relik.testing import HashEncoder
from relik.types import Span
from relik_index import BuildOptions, build_index
from relik_training.data.candidates import CandidateSource
from relik_training.data.examples import Example
from relik_training.data.statements import Mention

TEXT = "Ada and Bob met Fay in Rome"
MENTIONS = (
    Mention(span=Span(0, 3), entity_id="Q1"),
    Mention(span=Span(8, 11), entity_id=None),
    Mention(span=Span(16, 19), entity_id=""),
)
N_ENTITIES, N_RELATIONS = 6, 4
HIDDEN = 48


@pytest.fixture(scope="session")
def piece_tokenizer(word_tokenizer: Tokenizer) -> Tokenizer:
    """Cuts the words of the world into single letters, with numbers of its own."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[CLS]", "[SEP]", "[PAD]", "[UNK]", ".", ",", *letters, *(f"##{x}" for x in letters)]
    made = Tokenizer(models.WordPiece({w: k for k, w in enumerate(words)}, unk_token="[UNK]"))
    about = json.loads(made.to_str())
    known = json.loads(word_tokenizer.to_str())
    about |= {name: known[name] for name in ("normalizer", "pre_tokenizer")}
    return Tokenizer.from_str(json.dumps(about))


def _index(folder: Path, tokenizer: Tokenizer, rows: str) -> KnowledgeBase:
    folder.parent.mkdir(exist_ok=True)
    lines = folder.parent / f"{folder.name}.jsonl"
    lines.write_text(rows)
    build_index(
        lines,
        folder,
        encoder=HashEncoder(16),
        tokenizer=tokenizer,
        options=BuildOptions(),
    )
    return KnowledgeBase.open(folder)


@pytest.fixture
def base(tmp_path: Path, word_tokenizer: Tokenizer) -> Path:
    """A base bundle, as far as a teacher reads it."""
    folder = tmp_path / "base"
    names = ("Ada", "Paris", "Rome", "Oslo")
    rows = (f'{{"id": "Q{at}", "name": "{n}"}}\n' for at, n in enumerate(names, start=1))
    _index(folder / "entities", word_tokenizer, "".join(rows))
    relations = '{"id": "P1", "name": "met"}\n{"id": "P2", "name": "born in"}\n'
    _index(folder / "relations", word_tokenizer, relations)
    (folder / "shared").mkdir()
    word_tokenizer.save(str(folder / "shared" / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def layout(word_tokenizer: Tokenizer) -> MarkerLayout:
    return MarkerLayout.of(word_tokenizer, n_entities=N_ENTITIES, n_relations=N_RELATIONS)


@pytest.fixture
def batch_of(base: Path, word_tokenizer: Tokenizer, layout: MarkerLayout):  # type: ignore[no-untyped-def]
    """Makes the batch of some examples."""
    pytest.importorskip("torch")
    from relik_training.reader.reader_data import ReaderData
    from relik_training.recipes.reader_settings import ReaderSampling

    encoder = HashEncoder(16)
    entities, relations = (KnowledgeBase.open(base / n) for n in ("entities", "relations"))

    def made(*examples: Example, **sampling: object):  # type: ignore[no-untyped-def]
        calm = {"gold_drop": 0.0, "gold_insert": 1.0, "shuffle": 0.0, "case_noise": 0.0}
        data = ReaderData(
            examples,
            tokenizer=word_tokenizer,
            layout=layout,
            source=CandidateSource(
                view=KnowledgeView(entities=entities, relations=relations),
                retriever=WindowRetriever(encoder, RetrieverConfig()),
            ),
            sampling=ReaderSampling(**{**calm, "max_tokens": 60, **sampling}),  # type: ignore[arg-type]
        )
        return data.batch(range(len(examples)), 0)

    return made


@pytest.fixture
def examples() -> list[Example]:
    first = Example(
        doc_id="a",
        index=0,
        text=TEXT,
        mentions=MENTIONS,
        triples=((0, "P1", 1),),
        unknown=(Span(23, 27),),
        relations="some",
    )
    text = "later ADA lived in Paris , the capital city"
    second = dataclasses.replace(
        first,
        doc_id="b",
        text=text,
        mentions=(Mention(span=Span(6, 9), entity_id="Q1"),),
        triples=(),
        unknown=(),
        relations="none",
    )
    return [first, second]


@pytest.fixture
def teacher_run(base: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a finished run of a random reader that reads with some tokenizer."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("lightning")
    from transformers import BertConfig, BertModel

    from relik.backends.word_embeddings import quantise_table
    from relik.models.reader_module import HeadConfig, ReaderModel
    from relik_training.run.trainer import write_weights

    def made(tokenizer: Tokenizer, *, positions: int = 200, n_entities: int = N_ENTITIES) -> Path:
        run, own = tmp_path / "teacher", tmp_path / "teacher-base"
        run.mkdir()
        (own / "shared").mkdir(parents=True)
        tokenizer.save(str(own / "shared" / "tokenizer.json"))
        torch.manual_seed(8)
        config = BertConfig(
            vocab_size=1,
            hidden_size=HIDDEN,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=positions,
            type_vocab_size=4,
        )
        heads = {"hidden_size": HIDDEN, "linears_hidden_size": 16, "layer_norm_eps": 1e-12}
        model = ReaderModel(
            BertModel(config, add_pooling_layer=False),
            HeadConfig(**heads),  # type: ignore[arg-type]
            n_markers=1 + n_entities + N_RELATIONS,
        )
        for parameter in model.parameters():
            # Of random small weights all logits are alike.
            torch.nn.init.normal_(parameter, std=0.3)
        about = {
            "kind": "reader",
            "backbone": config.to_diff_dict(),
            "heads": heads,
            "markers": {"n_entities": n_entities, "n_relations": N_RELATIONS},
        }
        write_weights(model, run, about)
        (run / "resolved.json").write_text(json.dumps({"base": str(own)}))
        table = np.random.default_rng(1).normal(size=(tokenizer.get_vocab_size(), HIDDEN))
        weight, scale = quantise_table(table.astype(np.float32))
        from safetensors.numpy import save_file

        save_file({"weight": weight, "scale": scale}, run / "word_embeddings.safetensors")
        return run

    return made
