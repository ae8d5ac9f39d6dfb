"""What stands between two spans: the maximum of its tokens, whatever the length and the order."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from relik.models.head_sizes import HeadConfig  # noqa: E402
from relik.models.reader_module import Between, _range_maxima  # noqa: E402 - needs torch

D, WIDTH = 6, 4


@pytest.fixture(scope="module")
def between() -> Between:
    torch.manual_seed(1)
    return Between(HeadConfig(hidden_size=D, linears_hidden_size=WIDTH)).eval()


def _read(head: Between, hidden: object, *pairs: tuple[int, tuple[int, int], tuple[int, int]]):
    rows, subjects, objects = zip(*pairs, strict=True)
    with torch.no_grad():
        return head(hidden, *(torch.tensor(part) for part in (rows, subjects, objects)))


def _hidden(n_rows: int, n_tokens: int, seed: int = 0):
    return torch.randn(n_rows, n_tokens, D, generator=torch.Generator().manual_seed(seed))


@given(st.data(), st.integers(1, 512), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_two_look_ups_give_the_maximum_of_any_range(data: st.DataObject, n: int, seed: int) -> None:
    begin = data.draw(st.integers(0, n - 1))
    length = data.draw(st.integers(1, n - begin))
    tokens = _hidden(2, n, seed)
    one = [torch.tensor([value]) for value in (1, begin, length)]
    found = _range_maxima(tokens, *one)
    assert torch.equal(found[0], tokens[1, begin : begin + length].max(dim=0).values)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 200), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_only_the_tokens_between_count(long: int, other: int, gap: int, seed: int) -> None:
    torch.manual_seed(1)
    head = Between(HeadConfig(hidden_size=D, linears_hidden_size=WIDTH)).eval()
    first, second = (1, 1 + long), (2 + long + gap, 2 + long + gap + other)
    hidden = _hidden(1, second[1] + 3, seed)
    changed = hidden.clone()
    changed[:, : first[1] + 1] += 7.0
    changed[:, second[0] :] -= 7.0
    for pair in ((0, first, second), (0, second, first)):
        assert torch.equal(_read(head, hidden, pair), _read(head, changed, pair))
    inside = hidden.clone()
    inside[:, first[1] + 1] += 50.0 * head.dense.weight.detach()[:WIDTH].sum(dim=0)
    assert not torch.equal(
        _read(head, hidden, (0, first, second)), _read(head, inside, (0, first, second))
    )


def test_the_order_of_subject_and_object_counts(between: Between) -> None:
    hidden = _hidden(1, 12)
    there, back = _read(between, hidden, (0, (1, 2), (6, 7)), (0, (6, 7), (1, 2)))
    assert not torch.allclose(there, back)


@pytest.mark.parametrize("spans", [((1, 2), (3, 4)), ((1, 4), (3, 6)), ((2, 2), (2, 2))])
def test_spans_that_touch_or_overlap_have_nothing_between(
    between: Between, spans: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    one, other = (_read(between, _hidden(1, 9, seed), (0, *spans)) for seed in (0, 1))
    assert torch.equal(one, other)
    assert torch.equal(one[0], between.LayerNorm.bias)


def test_neither_neighbours_nor_padding_change_a_pair(between: Between) -> None:
    hidden = _hidden(3, 20)
    pair = ((2, 3), (9, 11))
    alone = _read(between, hidden[1:2, :14], (0, *pair))
    together = _read(between, hidden, (0, *pair), (1, *pair), (2, (1, 1), (18, 19)))
    torch.testing.assert_close(together[1], alone[0])


@pytest.mark.parametrize("n_tokens", [3, 40, 512])
def test_a_graph_reads_the_same(tmp_path: Path, n_tokens: int) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from safetensors.numpy import save_file

    from relik.backends.tensors import TensorFile
    from relik_index.graphs.graph import Graph
    from relik_index.graphs.heads import add_between

    torch.manual_seed(3)
    head = Between(HeadConfig(hidden_size=D, linears_hidden_size=WIDTH)).eval()
    weights = {f"re_between.{k}": v.numpy() for k, v in head.state_dict().items()}
    save_file(weights, tmp_path / "model.safetensors")
    graph = Graph(TensorFile.open(tmp_path / "model.safetensors"))
    graph.node("Identity", [add_between(graph, width=WIDTH, eps=1e-12)], output="out")
    kinds = onnx.TensorProto
    names = {"rows": "s", "starts": "s", "ends": "s", "subjects": "p", "objects": "p"}
    graph.save(
        tmp_path / "between.onnx",
        inputs={
            "hidden": (kinds.FLOAT, ["batch", "tokens", D]),
            **{name: (kinds.INT64, [axis]) for name, axis in names.items()},
        },
        outputs={"out": (kinds.FLOAT, ["pairs", WIDTH])},
    )
    hidden = _hidden(2, n_tokens)
    rng = np.random.default_rng(n_tokens)
    rows = np.repeat([0, 1], 12)
    starts = rng.integers(0, n_tokens, 24)
    ends = np.minimum(starts + rng.integers(0, 4, 24), n_tokens - 1)
    starts[:2], ends[:2] = [0, n_tokens - 1], [0, n_tokens - 1]
    subjects, objects = (part.ravel() for part in np.meshgrid(np.arange(12), np.arange(12)))
    subjects, objects = (np.concatenate([part, part + 12]) for part in (subjects, objects))
    session = runtime.InferenceSession(str(tmp_path / "between.onnx"))
    feed = {"rows": rows, "starts": starts, "ends": ends, "subjects": subjects, "objects": objects}
    (found,) = session.run(None, {"hidden": hidden.numpy(), **feed})
    spans = np.stack([starts, ends], axis=1)
    pairs = zip(rows[subjects], spans[subjects], spans[objects], strict=True)
    expected = _read(
        head, hidden, *((int(r), tuple(map(int, s)), tuple(map(int, o))) for r, s, o in pairs)
    )
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
