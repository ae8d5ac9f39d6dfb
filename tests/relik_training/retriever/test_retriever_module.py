"""The contrastive loss scores each positive against the negatives of its window alone."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from tokenizers import Tokenizer  # noqa: E402

from relik.types import Span  # noqa: E402
from relik_training.data.examples import Example  # noqa: E402
from relik_training.data.knowledge_records import Records  # noqa: E402
from relik_training.data.statements import Mention  # noqa: E402
from relik_training.recipes.recipe import RetrieverTraining  # noqa: E402
from relik_training.retriever.retriever_data import (  # noqa: E402
    RetrieverBatch,
    RetrieverData,
    pad,
)
from relik_training.retriever.retriever_module import Objective, contrastive_loss, matryoshka_loss  # noqa: E402

SCORES = torch.tensor([[2.0, 1.0, 0.0], [0.5, 3.0, -1.0]])
POSITIVE = torch.tensor([[True, False, False], [False, True, False]])
NONE = torch.zeros_like(POSITIVE)


def _nll(positive: float, *negatives: float) -> float:
    values = torch.tensor([positive, *negatives])
    return float(torch.logsumexp(values, 0) - positive)


def test_the_loss_of_one_positive_a_window_is_cross_entropy() -> None:
    expected = torch.nn.functional.cross_entropy(SCORES, torch.tensor([0, 1]))
    assert contrastive_loss(SCORES, POSITIVE, NONE) == pytest.approx(float(expected), abs=1e-6)


def test_a_positive_does_not_compete_with_another_of_its_window() -> None:
    positive = torch.tensor([[True, True, False], [False, True, False]])
    terms = [_nll(2.0, 0.0), _nll(1.0, 0.0), _nll(3.0, 0.5, -1.0)]
    found = float(contrastive_loss(SCORES, positive, NONE))
    assert found == pytest.approx(sum(terms) / 3, abs=1e-6)


def test_what_may_be_right_is_no_negative() -> None:
    ignored = torch.tensor([[False, True, False], [False, False, False]])
    terms = [_nll(2.0, 0.0), _nll(3.0, 0.5, -1.0)]
    found = float(contrastive_loss(SCORES, POSITIVE, ignored))
    assert found == pytest.approx(sum(terms) / 2, abs=1e-6)


def test_without_a_positive_or_a_negative_the_loss_is_zero_and_has_finite_gradients() -> None:
    scores = SCORES.clone().requires_grad_()
    everything = torch.ones_like(POSITIVE)
    for positive in (NONE, everything):
        loss = contrastive_loss(scores, positive, NONE)
        loss.backward()
        assert float(loss.detach()) == 0
        assert torch.isfinite(scores.grad).all()


def _vectors(count: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, 8, generator=draw), dim=1)


def test_the_matryoshka_loss_is_the_mean_over_beginnings_of_unit_length() -> None:
    windows, passages = _vectors(2, 1), _vectors(3, 2)
    tokens = pad([[1]])
    batch = RetrieverBatch(tokens, tokens, POSITIVE, NONE, step=0)

    def loss(*dims: int) -> float:
        objective = Objective(temperature=0.5, matryoshka=dims)
        return float(matryoshka_loss(windows, passages, batch, objective))

    def of_beginning(dim: int) -> float:
        cosines = torch.nn.functional.cosine_similarity(
            windows[:, None, :dim], passages[None, :, :dim], dim=2
        )
        return float(contrastive_loss(cosines / 0.5, POSITIVE, NONE))

    assert loss() == pytest.approx(of_beginning(8), abs=1e-5)
    assert loss(8) == pytest.approx(loss(), abs=1e-6)
    expected = (of_beginning(8) + of_beginning(4) + of_beginning(2)) / 3
    assert loss(2, 4) == pytest.approx(expected, abs=1e-5)
    assert loss(2, 4) != pytest.approx(loss(), abs=1e-3)


def test_padding_is_on_the_right_and_masked() -> None:
    tokens = pad([[5, 6, 7], [8]])
    assert tokens.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert tokens.mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def _data(word_tokenizer: Tokenizer, **settings: float) -> RetrieverData:
    entities = Records(
        [
            {"id": "Q1", "name": "Ada", "aliases": ["Fay"], "description": "a person"},
            {"id": "Q2", "name": "Ada", "description": "the capital"},
            {"id": "Q3", "name": "Rome", "description": "the city"},
        ]
    )
    relations = Records([{"id": "P1", "name": "born in"}, {"id": "P2", "name": "knows"}])
    linked = Example(
        doc_id="a",
        index=0,
        text="Ada met Bob",
        mentions=(Mention(span=Span(0, 3), entity_id="Q1"),),
        triples=(),
        unknown=(),
        relations="none",
    )
    related = Example(
        doc_id="b",
        index=0,
        text="Bob was born in Rome",
        mentions=(
            Mention(span=Span(0, 3), entity_id=""),
            Mention(span=Span(16, 20), entity_id=None),
        ),
        triples=((0, "P1", 1),),
        unknown=(),
        relations="all",
    )
    sampling = RetrieverTraining(
        data="",
        backbone="",
        sources=(),
        max_tokens=4,
        passage_tokens=8,
        hard_negatives=2,
        name_dropout=0.0,
        relation_negatives=2,
        seed=1,
    )
    return RetrieverData(
        [linked, related],
        knowledge=(entities, relations),
        tokenizer=word_tokenizer,
        sampling=replace(sampling, **settings),  # type: ignore[arg-type]
    )


def test_a_batch_has_the_positives_and_the_namesakes_of_its_windows(
    word_tokenizer: Tokenizer,
) -> None:
    data = _data(word_tokenizer)
    assert data.positives == [[0], [3]]
    assert data.namesakes == [[1], []]
    batch = data.batch([0, 1], 0)
    # Passages are Q1, its namesake Q2, the relation that holds, and one that does not.
    assert batch.positive.tolist() == [[True, False, False, False], [False, False, True, False]]
    # The first window has no labels of relations, the second none of entities.
    assert batch.ignored.tolist() == [[False, False, True, True], [True, True, False, False]]
    assert batch.windows.ids.shape == (2, 4)


def test_relations_that_do_not_hold_are_drawn_where_one_does(word_tokenizer: Tokenizer) -> None:
    data = _data(word_tokenizer)
    related = data.batch([1], 0)
    assert related.passages.ids.shape[0] > int(related.positive.sum())
    assert not related.ignored[0][-1]
    linked = data.batch([0], 0)
    both = data.batch([0, 1], 0)
    # A window without relation labels says nothing of relations, drawn or not.
    assert both.ignored[0].any()
    assert linked.passages.ids.shape[0] < both.passages.ids.shape[0]


def test_the_batch_of_a_step_is_always_the_same(word_tokenizer: Tokenizer) -> None:
    first, second = (_data(word_tokenizer).batch([1, 0], 7) for _ in range(2))
    assert torch.equal(first.passages.ids, second.passages.ids)
    assert torch.equal(first.positive, second.positive)


def _texts(data: RetrieverData, tokenizer: Tokenizer, steps: int) -> set[str]:
    return {
        tokenizer.decode([each for each in ids.tolist() if each > 3])
        for step in range(steps)
        for ids in data.batch([0], step).passages.ids[:1]
    }


def test_a_record_is_told_by_name_by_alias_or_by_what_it_is(word_tokenizer: Tokenizer) -> None:
    def told(**settings: float) -> set[str]:
        return _texts(_data(word_tokenizer, **settings), word_tokenizer, 40)

    assert told() == {"ada a person"}
    assert told(alias_rate=1.0) == {"fay a person"}
    assert told(name_dropout=1.0, alias_rate=1.0) == {"a person"}
    assert told(name_dropout=0.3, alias_rate=0.5) == {"ada a person", "fay a person", "a person"}


def test_a_short_text_ends_in_one_separator(word_tokenizer: Tokenizer) -> None:
    data = _data(word_tokenizer)
    separator = word_tokenizer.token_to_id("[SEP]")
    for ids in (*data.windows, *data.records([0, 1, 2])):
        assert ids.count(separator) == 1
        assert ids[-1] == separator
    assert all(len(ids) <= 4 for ids in data.windows)


def test_what_is_named_without_a_link_is_spared_where_asked_for(word_tokenizer: Tokenizer) -> None:
    entities = Records([{"id": "Q1", "name": "Ada"}, {"id": "Q3", "name": "Rome"}])
    windows = [
        Example(
            doc_id=text,
            index=0,
            text=text,
            mentions=(Mention(span=Span(0, len(name)), entity_id=link),),
            triples=(),
            unknown=(),
            relations="none",
        )
        for text, name, link in (("Ada met Rome", "Ada", "Q1"), ("Rome", "Rome", "Q3"))
    ]

    def ignored(*, spare_named: bool) -> list[list[bool]]:
        sampling = RetrieverTraining(
            data="",
            backbone="",
            sources=(),
            max_tokens=9,
            passage_tokens=9,
            hard_negatives=0,
            name_dropout=0.0,
            relation_negatives=0,
            seed=1,
            spare_named=spare_named,
        )
        data = RetrieverData(
            windows,
            knowledge=(entities, Records([])),
            tokenizer=word_tokenizer,
            sampling=sampling,
        )
        found: list[list[bool]] = data.batch([0, 1], 0).ignored.tolist()
        return found

    assert ignored(spare_named=False) == [[False, False], [False, False]]
    assert ignored(spare_named=True) == [[False, True], [False, False]]
