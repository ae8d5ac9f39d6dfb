"""The contrastive loss scores each positive against the negatives of its window alone."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from tokenizers import Tokenizer  # noqa: E402

from relik.types import Span  # noqa: E402
from relik_training.examples import Example, Mention  # noqa: E402
from relik_training.records import Records  # noqa: E402
from relik_training.retriever import contrastive_loss  # noqa: E402
from relik_training.retriever_data import RetrieverData, RetrieverSampling, pad  # noqa: E402

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


def test_padding_is_on_the_right_and_masked() -> None:
    tokens = pad([[5, 6, 7], [8]])
    assert tokens.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert tokens.mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def _data(word_tokenizer: Tokenizer) -> RetrieverData:
    entities = Records(
        [
            {"id": "Q1", "name": "Ada", "description": "a person"},
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
    sampling = RetrieverSampling(
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
        sampling=sampling,
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
