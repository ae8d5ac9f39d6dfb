"""Relations are drawn to windows that state them, and others stay where they are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik_training.reader.prototypes import FEWEST_WINDOWS, prototypes


def _unit(rows: list[list[float]]) -> np.ndarray:
    made = np.array(rows, dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_a_prototype_is_what_its_windows_have_and_others_have_not() -> None:
    born = _unit([[1, 1, 0]] * 12)
    plays = _unit([[1, 0, 1]] * 12)
    found = prototypes({"P19": born, "P54": plays})
    # What both have in common tells nothing.
    assert found["P19"][0] == pytest.approx(0, abs=1e-6)
    assert found["P19"][1] > 0 > found["P19"][2]
    np.testing.assert_allclose(found["P19"], -found["P54"], atol=1e-6)


def test_few_windows_draw_less_and_fewer_not_at_all() -> None:
    others = {f"P{n}": _unit([[0, 0, 1 + n]] * 20) for n in range(3)}
    many = prototypes({**others, "P9": _unit([[1, 0, 0]] * 20)})["P9"]
    few = prototypes({**others, "P9": _unit([[1, 0, 0]] * 5)})["P9"]
    np.testing.assert_allclose(few, many / 2, atol=1e-6)
    too_few = _unit([[1, 0, 0]] * (FEWEST_WINDOWS - 1))
    assert "P9" not in prototypes({**others, "P9": too_few})
    assert prototypes({"P9": too_few}) == {}


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_prototypes_are_short_and_cancel_out(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = {f"P{n}": _unit(rng.normal(size=(size, 8)).tolist()) for n, size in enumerate(sizes)}
    found = prototypes(vectors)
    assert set(found) == {key for key, own in vectors.items() if len(own) >= FEWEST_WINDOWS}
    assert all(np.linalg.norm(each) <= 2 + 1e-5 for each in found.values())
    if found and all(len(vectors[key]) >= 10 for key in found):
        np.testing.assert_allclose(sum(found.values()), 0, atol=1e-5)


def test_a_bundle_finds_relations_by_windows_that_state_them(tmp_path: Path) -> None:
    import shutil

    from relik.bundle import open_bundle
    from relik.kb import KnowledgeBase
    from relik.layout import LAYOUT
    from relik.retriever.encoder import open_encoder
    from relik.sources import DEFAULT
    from relik.types import Span
    from relik_training.data.examples import Example
    from relik_training.data.json_lines import write_jsonl
    from relik_training.data.statements import Mention
    from relik_training.reader.prototypes import draw_to_examples

    bundle = tmp_path / "bundle"
    source = open_bundle(DEFAULT).path
    for name in ("shared", LAYOUT.query_encoder, LAYOUT.relations):
        shutil.copytree(source / name, bundle / name)
    before = KnowledgeBase.open(bundle / LAYOUT.relations)
    records = [before.record(row) for row in range(len(before))]
    path = tmp_path / "relations.jsonl"
    write_jsonl(
        path,
        (
            {
                "id": each.entity_id,
                "name": each.name,
                "aliases": list(each.aliases),
                "description": each.description,
            }
            for each in records
        ),
    )
    two = tuple(Mention(span=Span(4 * n, 4 * n + 3), entity_id="") for n in range(2))
    examples = [
        Example(
            doc_id=f"{relation}-{n}",
            index=0,
            text=text,
            mentions=two,
            triples=((0, relation, 1),),
            unknown=(),
            relations="all",
        )
        for relation, text in (
            ("P641", "She is a French footballer who plays as a midfielder."),
            ("P19", "He was born in a small town in Norway."),
        )
        for n in range(12)
    ]
    assert draw_to_examples(bundle, examples, path, weight=0.7) == 2
    after = KnowledgeBase.open(bundle / LAYOUT.relations, verify=True)
    assert [after.record(row) for row in range(len(after))] == records
    rows = np.arange(len(after))
    old, new = (each.index.reconstruct(rows) for each in (before, after))
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), 1, atol=1e-5)
    # Those of the package are quantised; these are not.
    moved = {before.entity_id(int(row)) for row in rows if old[row] @ new[row] < 0.98}
    assert moved == {"P641", "P19"}
    [query] = open_encoder(bundle, "onnx").encode(["Ali Omari is an Afghan footballer."])
    row = before.row_of("P641")
    assert int((new @ query > (new @ query)[row]).sum()) < int(
        (old @ query > (old @ query)[row]).sum()
    )
