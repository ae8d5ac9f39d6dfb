import pytest
from tokenizers import Tokenizer

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from relik.types import Entity, Span  # noqa: E402 - needs torch
from relik_training.data.examples import Example  # noqa: E402
from relik_training.data.statements import Mention  # noqa: E402
from relik_training.recipes.relation_settings import RelationSampling  # noqa: E402
from relik_training.relations.relation_data import (  # noqa: E402
    RelatedPair,
    RelationData,
    at_most,
    pairs_of,
)

BORN = Entity(
    entity_id="P19", name="place of birth", aliases=("born in",), description="where a person was"
)
KNOWS = Entity(entity_id="P7", name="knows", description="friend of the person")


def pair(text: str, relation: str, *others: str) -> RelatedPair:
    return RelatedPair(doc_id="d", text=text, relation=relation, others=frozenset(others))


def data(
    tokenizer: Tokenizer, pairs: list[RelatedPair], *, other_words: float = 0.0
) -> RelationData:
    sampling = RelationSampling(other_words=other_words, max_tokens=8, relation_tokens=6)
    return RelationData(pairs, relations=[BORN, KNOWS], tokenizer=tokenizer, sampling=sampling)


def test_a_pair_is_told_with_its_text_and_with_what_may_hold_too() -> None:
    spans = (Span(0, 3), Span(8, 11), Span(16, 20))
    example = Example(
        doc_id="d",
        index=0,
        text="Ada met Bob near Oslo",
        mentions=tuple(Mention(span=span, entity_id="") for span in spans),
        triples=((0, "P7", 1), (0, "P8", 1), (1, "P9", 0)),
        doubtful=frozenset({(0, "P10", 1), (0, "P11", 2)}),
        unknown=(),
        relations="all",
        repeat=3,
    )
    first, second, third = pairs_of([example])
    assert first.text == "Ada , Bob . Ada met Bob near Oslo"
    assert third.text == "Bob , Ada . Ada met Bob near Oslo"
    assert (first.relation, first.others, first.repeat) == ("P7", {"P8", "P10"}, 3)
    assert (second.relation, second.others) == ("P8", {"P7", "P10"})
    assert third.others == set()


def test_relations_are_evened_out_by_a_sample_of_each() -> None:
    pairs = [pair(str(at), "P7" if at % 5 else "P19") for at in range(50)]
    kept = at_most(pairs, 12, seed=1)
    assert [one for one in pairs if one in kept] == kept
    assert [sum(one.relation == key for one in kept) for key in ("P7", "P19")] == [12, 10]
    assert at_most(pairs, 12, seed=1) == kept != at_most(pairs, 12, seed=2)
    assert at_most(pairs, 0, seed=1) == pairs


def test_a_batch_has_the_relations_of_its_pairs_and_what_is_doubtful_is_ignored(
    word_tokenizer: Tokenizer,
) -> None:
    pairs = [pair("Ada , Oslo . born", "P19"), pair("Ada , Bob . met", "P7", "P19")]
    batch = data(word_tokenizer, pairs).batch([0, 1], 0)
    assert batch.positive.tolist() == [[True, False], [False, True]]
    assert batch.ignored.tolist() == [[False, False], [True, False]]
    assert batch.windows.ids.shape[0] == batch.passages.ids.shape[0] == 2
    alone = data(word_tokenizer, pairs).batch([1], 0)
    assert alone.positive.tolist() == [[True]]


def test_texts_are_cut_and_keep_their_separator(word_tokenizer: Tokenizer) -> None:
    batch = data(word_tokenizer, [pair("Ada " * 30, "P19")]).batch([0], 0)
    assert batch.windows.ids.shape == (1, 8)
    assert batch.windows.ids[0, -1] == word_tokenizer.token_to_id("[SEP]")
    assert batch.passages.ids.shape == (1, 6)


def test_a_relation_is_told_in_other_words_as_often_as_asked(word_tokenizer: Tokenizer) -> None:
    pairs = [pair("Ada", "P19")]

    def told(other_words: float) -> set[int]:
        made = data(word_tokenizer, pairs, other_words=other_words)
        return {int(made.batch([0], step).passages.mask.sum()) for step in range(30)}

    assert told(0.0) == {6}
    # The name alone has three words; an alias with its description is cut as the whole is.
    assert told(1.0) == {5, 6}


def test_batches_depend_on_the_step_alone(word_tokenizer: Tokenizer) -> None:
    pairs = [pair("Ada", "P19"), pair("Bob", "P7")]
    first, second = (data(word_tokenizer, pairs, other_words=0.5) for _ in range(2))
    second.batch([0], 3)
    for step in range(5):
        one, two = first.batch([0, 1], step), second.batch([0, 1], step)
        assert torch.equal(one.passages.ids, two.passages.ids)


def test_pairs_of_relations_without_a_record_are_left_out(word_tokenizer: Tokenizer) -> None:
    made = data(word_tokenizer, [pair("Ada", "P99"), pair("Bob", "P7")])
    assert len(made.lengths) == len(made.repeats) == 1
