"""Labels of the reader stand on the tokens that they mean."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

torch = pytest.importorskip("torch")

from relik.config import RetrieverConfig  # noqa: E402
from relik.kb import KnowledgeBase  # noqa: E402
from relik.kb.view import KnowledgeView  # noqa: E402
from relik.reader.inputs import MarkerLayout  # noqa: E402
from relik.retriever.window_retriever import WindowRetriever  # noqa: E402
from relik.testing import HashEncoder  # noqa: E402
from relik.types import Span  # noqa: E402
from relik_index import BuildOptions, build_index  # noqa: E402
from relik_training.data.candidates import CandidateSource  # noqa: E402
from relik_training.data.examples import Example  # noqa: E402
from relik_training.data.statements import Mention  # noqa: E402
from relik_training.reader.reader_data import ReaderBatch, ReaderData  # noqa: E402
from relik_training.reader.reader_targets import IGNORED, NIL_CLASS  # noqa: E402
from relik_training.recipes.reader_settings import ReaderSampling  # noqa: E402

TEXT = "Ada and Bob met Fay in Rome"
# Ada is linked, Bob is nobody known, Fay's link is untold, Rome may be a mention.
MENTIONS = (
    Mention(span=Span(0, 3), entity_id="Q1"),
    Mention(span=Span(8, 11), entity_id=None),
    Mention(span=Span(16, 19), entity_id=""),
)


def _example(**changes: object) -> Example:
    values: dict[str, object] = {
        "doc_id": "d",
        "index": 0,
        "text": TEXT,
        "mentions": MENTIONS,
        "triples": ((0, "P1", 1),),
        "unknown": (Span(23, 27),),
        "relations": "some",
    }
    return Example(**{**values, **changes})  # type: ignore[arg-type]


def _index(folder: Path, tokenizer: Tokenizer, rows: str) -> KnowledgeBase:
    folder.mkdir()
    (folder / "rows.jsonl").write_text(rows)
    build_index(
        folder / "rows.jsonl",
        folder / "index",
        encoder=HashEncoder(16),
        tokenizer=tokenizer,
        options=BuildOptions(),
    )
    return KnowledgeBase.open(folder / "index")


@pytest.fixture
def data(tmp_path: Path, word_tokenizer: Tokenizer):  # type: ignore[no-untyped-def]
    encoder = HashEncoder(16)
    names = ("Ada", "Paris", "Rome")
    entities = _index(
        tmp_path / "entities",
        word_tokenizer,
        "".join(f'{{"id": "Q{at}", "name": "{n}"}}\n' for at, n in enumerate(names, start=1)),
    )
    relations = _index(
        tmp_path / "relations",
        word_tokenizer,
        '{"id": "P1", "name": "met"}\n{"id": "P2", "name": "born in"}\n',
    )

    def made(*examples: Example, **sampling: object) -> ReaderBatch:
        calm = {"gold_drop": 0.0, "gold_insert": 1.0, "shuffle": 0.0, "case_noise": 0.0}
        built = ReaderData(
            examples,
            tokenizer=word_tokenizer,
            layout=MarkerLayout.of(word_tokenizer, n_entities=10, n_relations=4),
            source=CandidateSource(
                view=KnowledgeView(entities=entities, relations=relations),
                retriever=WindowRetriever(encoder, RetrieverConfig()),
            ),
            sampling=ReaderSampling(**{**calm, "max_tokens": 60, **sampling}),  # type: ignore[arg-type]
        )
        return built.batch(range(len(examples)), 0)

    return made


def test_starts_stand_on_the_first_tokens_of_mentions(data) -> None:  # type: ignore[no-untyped-def]
    starts = data(_example()).targets.starts[0]
    # [CLS] Ada and Bob met Fay in Rome: Rome may be a mention, so it is neither.
    assert starts[:8].tolist() == [IGNORED, 1, 0, 1, 0, 1, 0, IGNORED]
    assert set(starts[8:].tolist()) == {IGNORED}


def test_spans_have_their_tokens_and_their_links(data) -> None:  # type: ignore[no-untyped-def]
    batch = data(_example())
    targets = batch.targets
    assert targets.first.tolist() == targets.last.tolist() == [1, 3, 5]
    classes = targets.links.tolist()
    assert classes[0] > NIL_CLASS
    assert classes[1:] == [NIL_CLASS, IGNORED]
    marker = int(batch.arrays.entity_positions[0, classes[0]])
    # Behind the marker of that class stand the tokens of the record.
    ada = batch.arrays.ids[0, 1]
    assert ada in batch.arrays.ids[0, marker : marker + 3]


def test_a_link_whose_candidate_is_dropped_is_nil(data) -> None:  # type: ignore[no-untyped-def]
    assert data(_example(), gold_drop=1.0).targets.links[0] == NIL_CLASS


def test_a_pair_carries_its_relations_and_an_unlabelled_one_little_weight(data) -> None:  # type: ignore[no-untyped-def]
    targets = data(_example(), unlabelled_weight=0.25).targets
    pairs = list(zip(targets.subjects.tolist(), targets.objects.tolist(), strict=True))
    assert pairs == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert targets.relations.sum(dim=1).tolist() == [1, 0, 0, 0, 0, 0]
    assert targets.weights.max(dim=1).values.tolist() == [1.0, *[0.25] * 5]
    sure = data(_example(relations="all")).targets
    assert set(sure.weights.flatten().tolist()) == {1.0}


def test_nothing_holds_between_a_mention_and_a_wrong_span(data) -> None:  # type: ignore[no-untyped-def]
    kinds = ("all", "none", "all")
    examples = [_example(relations=kind, unknown=()) for kind in kinds]
    targets = data(*examples, wrong_spans=6, wrong_pairs=0.5).targets
    plain = data(*examples, wrong_spans=6).targets
    n_spans, n_pairs = len(plain.rows), len(plain.subjects)
    assert len(targets.wrong)
    assert len(targets.subjects) > n_pairs
    # Pairs of mentions come first, as they are without.
    for name in ("subjects", "objects", "relations", "weights"):
        assert getattr(targets, name)[:n_pairs].tolist() == getattr(plain, name).tolist()
    # Where anything may be a mention, no span is known to be none.
    assert not len(data(_example(relations="all"), wrong_spans=6, wrong_pairs=0.5).targets.wrong)
    rows = targets.rows.tolist() + targets.wrong[:, 0].tolist()
    for subject, obj in zip(targets.subjects.tolist(), targets.objects.tolist(), strict=True):
        assert rows[subject] == rows[obj]
    for pair in range(n_pairs, len(targets.subjects)):
        subject, obj = int(targets.subjects[pair]), int(targets.objects[pair])
        assert max(subject, obj) >= n_spans > min(subject, obj)
        assert targets.relations[pair].sum() == 0
        known = examples[rows[subject]].relations == "all"
        assert targets.weights[pair].max() == (0.5 if known else 0.0)


def test_a_doubtful_pair_has_no_weight_for_its_relation(data) -> None:  # type: ignore[no-untyped-def]
    example = _example(doubtful=frozenset({(1, "P1", 0)}), relations="all")
    targets = data(example).targets
    pairs = list(zip(targets.subjects.tolist(), targets.objects.tolist(), strict=True))
    weights = targets.weights[pairs.index((1, 0))].tolist()
    assert sorted(weights) == [0.0, 1.0]
    assert targets.weights[pairs.index((0, 1))].tolist() == [1.0, 1.0]


def test_windows_without_relation_labels_have_no_pairs(data) -> None:  # type: ignore[no-untyped-def]
    batch = data(_example(relations="none"), _example())
    spans_of_first = int((batch.targets.rows == 0).sum())
    assert batch.targets.subjects.min() >= spans_of_first


def test_a_mention_inside_a_word_says_nothing_of_that_word(data) -> None:  # type: ignore[no-untyped-def]
    inside = (Mention(span=Span(0, 2), entity_id="Q1"),)
    batch = data(_example(mentions=inside, triples=(), unknown=()))
    assert batch.targets.starts[0, 1] == IGNORED
    assert len(batch.targets.rows) == 0


def test_the_batch_of_a_step_is_always_the_same(data) -> None:  # type: ignore[no-untyped-def]
    noisy = {"gold_drop": 0.5, "shuffle": 0.5, "case_noise": 0.3}
    first, second = (data(_example(), _example(), **noisy) for _ in range(2))
    assert np.array_equal(first.arrays.ids, second.arrays.ids)
    assert np.array_equal(first.arrays.types, second.arrays.types)
    assert torch.equal(first.targets.links, second.targets.links)


def test_mistyped_words_keep_their_labels_and_their_candidates(data) -> None:  # type: ignore[no-untyped-def]
    mentions = (Mention(span=Span(9, 14), entity_id="Q2"),)
    example = _example(text="Ada left Paris", mentions=mentions, triples=(), unknown=())
    noisy = {"typos": 1.0, "typo_words": 1.0}
    clean, typed = data(example), data(example, **noisy)
    assert not np.array_equal(clean.arrays.ids[0, 1:4], typed.arrays.ids[0, 1:4])
    assert np.array_equal(clean.arrays.ids[0, 4:], typed.arrays.ids[0, 4:])
    assert torch.equal(clean.targets.starts, typed.targets.starts)
    assert torch.equal(clean.targets.links, typed.targets.links)
    assert np.array_equal(typed.arrays.ids, data(example, **noisy).arrays.ids)
