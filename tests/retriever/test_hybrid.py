"""Dense and lexical candidates on one scale: order, ties, limits, and no word of the neighbours."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from relik.config import FusionWeights, RetrieverConfig
from relik.kb import KnowledgeBase
from relik.retriever.hybrid import HybridRetriever, WindowFeatures
from relik.testing import HashEncoder
from relik.types import Candidate, FloatArray, Span, Window
from relik_index import build_index

RECORDS: list[dict[str, object]] = [
    {"id": "Q9", "name": "Paris", "description": "capital of France", "surfaces": {"Paris": 50}},
    {"id": "Q2", "name": "Paris", "description": "town in Texas", "surfaces": {"Paris": 2}},
    {"id": "Q7", "name": "Ada Lovelace", "partials": ["Lovelace"]},
    *({"id": f"R{k}", "name": f"Record {k}"} for k in range(12)),
]
ZERO = FusionWeights(
    **dict.fromkeys(
        ("dense_weight", "exact_weight", "prior_weight", "partial_weight", "nested_weight"), 0.0
    ),
    known_weight=0.0,
    popularity_weight=0.0,
    bias=0.0,
    rival_weight=0.0,
    leader_weight=0.0,
)


class OverBase:
    """A retriever over one knowledge base."""

    def __init__(self, retriever: HybridRetriever, kb: KnowledgeBase) -> None:
        self._retriever, self._kb = retriever, kb
        self.encode = retriever.encode

    def retrieve(self, windows: list[Window], *, top_k: int) -> list[tuple[Candidate, ...]]:
        vectors = self._retriever.encode(windows)
        return self._retriever.retrieve_encoded(windows, vectors, self._kb, top_k=top_k)

    def features(
        self, windows: list[Window], vectors: FloatArray, *, top_k: int
    ) -> list[WindowFeatures]:
        return self._retriever.features(windows, vectors, self._kb, top_k=top_k)


Make = Callable[..., OverBase]


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Tokenizer) -> KnowledgeBase:
    folder = tmp_path_factory.mktemp("kb")
    return _built(folder, RECORDS, tiny_tokenizer)


def _built(
    folder: Path, records: Sequence[Mapping[str, object]], tokenizer: Tokenizer
) -> KnowledgeBase:
    source = folder / "kb.jsonl"
    source.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    build_index(source, folder / "index", encoder=HashEncoder(16), tokenizer=tokenizer)
    return KnowledgeBase.open(folder / "index")


@pytest.fixture(scope="module")
def make(kb: KnowledgeBase) -> Make:
    def made(fusion: FusionWeights | None = None, *, lexical: bool = True) -> OverBase:
        config = RetrieverConfig(fusion=fusion or FusionWeights())
        return OverBase(HybridRetriever(HashEncoder(16), config, lexical=lexical), kb)

    return made


def _windows(*texts: str) -> list[Window]:
    return [
        Window(doc_id=str(k), index=0, span=Span(0, max(1, len(text))), text=text)
        for k, text in enumerate(texts)
    ]


def _check(found: tuple[Candidate, ...], top_k: int) -> None:
    assert len(found) == min(top_k, len(RECORDS))
    assert [candidate.rank for candidate in found] == list(range(len(found)))
    keys = [(-candidate.score, candidate.entity_id) for candidate in found]
    assert keys == sorted(keys)
    assert len({candidate.entity_id for candidate in found}) == len(found)
    assert all(0 <= candidate.score <= 1 for candidate in found)


def test_what_is_named_comes_first_and_says_so(make: Make) -> None:
    (found,) = make().retrieve(_windows("She met Ada Lovelace"), top_k=4)
    _check(found, 4)
    assert (found[0].entity_id, found[0].source) == ("Q7", "lexical")
    assert {candidate.source for candidate in found[1:]} == {"dense"}


def test_the_common_meaning_of_a_name_comes_before_the_rare_one(make: Make) -> None:
    config = FusionWeights(dense_weight=0.0)
    (found,) = make(config).retrieve(_windows("in Paris"), top_k=2)
    assert [candidate.entity_id for candidate in found] == ["Q9", "Q2"]


def test_a_named_record_is_found_however_far_its_vector(make: Make) -> None:
    (found,) = make().retrieve(_windows("Paris"), top_k=1)
    (ids,) = ({c.entity_id for c in f} for f in make().retrieve(_windows("Paris"), top_k=15))
    assert found[0].source == "lexical"
    assert {"Q9", "Q2"} <= ids


def test_without_names_only_vectors_count(make: Make) -> None:
    (found,) = make(lexical=False).retrieve(_windows("Paris"), top_k=15)
    _check(found, 15)
    assert {candidate.source for candidate in found} == {"dense"}


def test_namesakes_make_room_for_another_name(tmp_path: Path, tiny_tokenizer: Tokenizer) -> None:
    bearers = [{"id": f"L{k}", "name": "Lee", "surfaces": {"Lee": 90 - k}} for k in range(8)]
    rare: dict[str, object] = {"id": "Q1", "name": "Ann", "partials": ["Bob"]}
    kb = _built(tmp_path, [*bearers, rare], tiny_tokenizer)
    settings = {"dense_weight": 0.0, "prior_weight": 0.1, "partial_weight": -3.0}

    def found(**more: float) -> list[str]:
        config = RetrieverConfig(fusion=FusionWeights(**settings, **more))
        retriever = OverBase(HybridRetriever(HashEncoder(16), config), kb)
        return [c.entity_id for c in retriever.retrieve(_windows("Lee and Bob"), top_k=4)[0]]

    assert "Q1" not in found()
    assert found(rival_weight=6.0)[:2] == ["L0", "Q1"]
    assert found(leader_weight=1.0)[0] == "L0"


def test_what_is_called_by_its_whole_name_leads(make: Make) -> None:
    scores = []
    for weight in (0.0, 2.0):
        config = replace(ZERO, leader_weight=weight, prior_weight=1.0)
        (found,) = make(config).retrieve(_windows("in Paris"), top_k=15)
        scores.append({candidate.entity_id: candidate.score for candidate in found})
    assert scores[1]["Q9"] > scores[0]["Q9"]
    assert scores[1]["Q2"] == scores[0]["Q2"]


@pytest.mark.parametrize("top_k", [1, 3, 14, 99])
def test_ties_are_broken_by_id_even_at_the_border(make: Make, top_k: int) -> None:
    (found,) = make(ZERO).retrieve(_windows("Paris and Ada Lovelace"), top_k=top_k)
    proposed = {c.entity_id for f in make(ZERO).retrieve(_windows(""), top_k=15) for c in f}
    assert {candidate.score for candidate in found} == {0.5}
    ids = [candidate.entity_id for candidate in found]
    assert ids == sorted(ids)
    if top_k >= 14:
        assert ids == sorted(proposed)[:top_k]


def test_the_border_does_not_ask_the_row(tmp_path: Path, tiny_tokenizer: Tokenizer) -> None:
    records = [{"id": name, "name": "Same"} for name in "dcba"]
    kb = _built(tmp_path, records, tiny_tokenizer)
    retriever = OverBase(HybridRetriever(HashEncoder(16), RetrieverConfig()), kb)
    (found,) = retriever.retrieve(_windows("Same"), top_k=2)
    assert [candidate.entity_id for candidate in found] == ["a", "b"]


def test_no_weight_is_too_large(make: Make) -> None:
    for weight in (1e6, -1e6):
        config = FusionWeights(dense_weight=weight, bias=weight)
        (found,) = make(config).retrieve(_windows("Paris"), top_k=9)
        _check(found, 9)


def test_nothing_is_asked_where_nothing_is_wanted(make: Make) -> None:
    assert make().retrieve([], top_k=5) == []


def test_features_are_those_of_the_settings(make: Make, kb: KnowledgeBase) -> None:
    retriever = make()
    windows = _windows("Lovelace")
    (found,) = retriever.features(windows, retriever.encode(windows), top_k=15)
    rows, features = found.rows, found.values
    assert len(found.names) == len(rows)
    assert dict(zip(rows.tolist(), found.names, strict=True))[2] == "lovelace"
    assert rows.tolist() == sorted(rows.tolist())
    assert features.shape == (len(rows), 7)
    assert features.dtype == np.float32
    cosine, named, prior, partial, nested, known, _ = features[rows.tolist().index(2)]
    vectors = kb.index.reconstruct(rows)
    np.testing.assert_allclose(features[:, 0], vectors @ retriever.encode(windows)[0], atol=1e-5)
    assert (named, prior, partial, nested, known) == (1, 0, 1, 0, 0)
    assert -1 <= cosine <= 1
    assert not features[rows != 2, 1:6].any()
    np.testing.assert_allclose(features[rows.tolist().index(0), 6], np.log1p(50))


@given(
    texts=st.lists(
        st.lists(st.sampled_from(["Paris", "Ada", "Lovelace", "Record", "3"]), max_size=5).map(
            " ".join
        ),
        max_size=5,
    ),
    top_k=st.integers(1, 20),
)
def test_the_candidates_of_a_window_do_not_depend_on_its_batch(
    make: Make, texts: list[str], top_k: int
) -> None:
    windows = _windows(*texts)
    together = make().retrieve(windows, top_k=top_k)
    for window, found in zip(windows, together, strict=True):
        _check(found, top_k)
        (alone,) = make().retrieve([window], top_k=top_k)
        assert [c.entity_id for c in alone] == [c.entity_id for c in found]
        np.testing.assert_allclose([c.score for c in alone], [c.score for c in found], atol=1e-5)
