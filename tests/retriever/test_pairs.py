from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from relik.errors import BundleError, InputError
from relik.kb import KnowledgeBase
from relik.retriever.pairs import CONTEXT, PairRelater, pair_text
from relik.types import Document, FloatArray, MentionPair, Span
from relik_index import build_index

WORDS = ("born", "knows", "capital")


class WordEncoder:
    """Counts three words; texts with none of them point nowhere in particular."""

    dim = 3

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Encode texts: float32, (n_texts, 3), L2-normalised."""
        counts = np.array([[t.count(w) + 0.1 for w in WORDS] for t in texts], dtype=np.float32)
        counts = counts.reshape(-1, 3)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture
def relations(tmp_path: Path) -> KnowledgeBase:
    return index(tmp_path, WordEncoder())


def index(folder: Path, encoder: WordEncoder | None) -> KnowledgeBase:
    source = folder / "relations.jsonl"
    source.write_text("".join(f'{{"id": "P{i}", "name": "{w}"}}\n' for i, w in enumerate(WORDS)))
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    build_index(source, folder / "index", encoder=encoder, tokenizer=tokenizer)
    return KnowledgeBase.open(folder / "index")


def asked(text: str) -> tuple[Document, list[MentionPair]]:
    pair = MentionPair(subject=Span(0, 3), object=Span(len(text) - 3, len(text)))
    return Document(doc_id="d", text=text), [pair]


def test_the_relation_that_is_nearest_to_the_text_comes_first(relations: KnowledgeBase) -> None:
    documents, pairs = zip(asked("Ada knows Bob"), asked("Ada born in Ely"), strict=True)
    found = PairRelater(WordEncoder(), relations).relate(documents, pairs)
    assert [ranked[0].entity_id for (ranked,) in found] == ["P1", "P0"]
    for (ranked,) in found:
        assert {each.entity_id for each in ranked} == {"P0", "P1", "P2"}
        assert [each.rank for each in ranked] == [0, 1, 2]
        assert sum(each.score for each in ranked) == pytest.approx(1.0)


def test_only_the_relations_that_are_given_can_hold(relations: KnowledgeBase) -> None:
    document, pairs = asked("Ada knows Bob")
    relater = PairRelater(WordEncoder(), relations)
    for given_ids in (["P2", "P0"], ["P0", "P2", "P0"]):
        ((ranked,),) = relater.relate([document], [pairs], relations=given_ids)
        # Both are as far away: ties are in the order of their ids.
        assert [each.entity_id for each in ranked] == ["P0", "P2"]
        assert [each.score for each in ranked] == pytest.approx([0.5, 0.5])


def test_an_answer_depends_on_its_pair_alone(relations: KnowledgeBase) -> None:
    relater = PairRelater(WordEncoder(), relations)
    rows = [asked("Ada knows Bob"), asked("Ada born in Ely"), asked("Ada near Ely")]
    together = relater.relate([d for d, _ in rows], [p for _, p in rows])
    alone = [relater.relate([d], [p])[0] for d, p in rows]
    assert together == alone


def test_documents_without_pairs_have_no_answers(relations: KnowledgeBase) -> None:
    document, pairs = asked("Ada knows Bob")
    relater = PairRelater(WordEncoder(), relations)
    empty, full = relater.relate([document, document], [[], pairs])
    assert (empty, len(full)) == ([], 1)
    assert relater.relate([], []) == []


def test_what_cannot_be_asked_is_refused(relations: KnowledgeBase, tmp_path: Path) -> None:
    document, pairs = asked("Ada knows Bob")
    relater = PairRelater(WordEncoder(), relations)
    with pytest.raises(InputError, match="'P9', expected ids of the 3 relations"):
        relater.relate([document], [pairs], relations=["P1", "P9"])
    with pytest.raises(InputError, match="pairs of 1 documents, expected 2"):
        relater.relate([document, document], [pairs])
    behind = MentionPair(subject=Span(0, 3), object=Span(10, 99))
    with pytest.raises(InputError, match="within the 13 characters"):
        relater.relate([document], [[behind]])
    (tmp_path / "none").mkdir()
    with pytest.raises(BundleError, match="relations without vectors"):
        PairRelater(WordEncoder(), index(tmp_path / "none", None))


def test_subject_and_object_are_told_apart() -> None:
    document = Document(doc_id="d", text="Ada met Bob")
    one, other = Span(0, 3), Span(8, 11)
    there = pair_text(document, MentionPair(subject=one, object=other))
    back = pair_text(document, MentionPair(subject=other, object=one))
    assert (there, back) == ("Ada , Bob . Ada met Bob", "Bob , Ada . Ada met Bob")


def test_of_a_long_text_the_words_around_the_pair_are_read() -> None:
    text = "far " * 500 + "Ada met Bob" + " off" * 500
    pair = MentionPair(subject=Span(2000, 2003), object=Span(2008, 2011))
    read = pair_text(Document(doc_id="d", text=text), pair)
    assert "Ada met Bob" in read
    assert len(read) < 3 * CONTEXT
    assert set(read.split()) == {"Ada", "met", "Bob", ",", ".", "far", "off"}


@given(
    st.text(min_size=2, max_size=1500),
    st.lists(st.integers(0, 1499), min_size=4, max_size=4, unique=True),
)
def test_both_mentions_stand_in_the_text_of_any_pair(text: str, places: list[int]) -> None:
    ends = sorted(place % len(text) for place in places)
    one, other = Span(ends[0], ends[1] + 1), Span(ends[2], ends[3] + 1)
    read = pair_text(Document(doc_id="d", text=text), MentionPair(subject=one, object=other))
    around = read.split(" . ", 1)[-1]
    for span in (one, other):
        mention = text[span.start : span.end]
        assert mention in read
        assert mention.strip() in around
