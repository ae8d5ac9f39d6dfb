"""Answers are kept once, in half precision, and a broken one is asked for again."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from relik_training.distill.teacher_cache import AnswerCache  # noqa: E402

CPU = torch.device("cpu")


def _answer() -> dict[str, "torch.Tensor"]:
    return {
        "numbers": torch.tensor([1 / 3, 1e9, -1e9]),
        "places": torch.tensor([1, 70000]),
        "mask": torch.tensor([True, False]),
        "nothing": torch.zeros((0, 4)),
    }


def _refuse() -> dict[str, "torch.Tensor"]:
    raise AssertionError("the answer was kept")


def test_a_kept_answer_is_the_one_that_was_given(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "cache")
    first = cache.get(b"question", _answer, CPU)
    again = AnswerCache(tmp_path / "cache").get(b"question", _refuse, CPU)
    never_kept = AnswerCache(None).get(b"question", _answer, CPU)
    for held in (again, never_kept):
        assert held.keys() == first.keys()
        assert all(torch.equal(held[name], first[name]) for name in first)
        assert all(held[name].dtype == first[name].dtype for name in first)
    assert first["numbers"][0] != 1 / 3
    assert first["numbers"].dtype == torch.float32
    assert torch.isfinite(first["numbers"]).all()
    assert first["places"].tolist() == [1, 70000]


def test_another_question_is_asked(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.get(b"question", _answer, CPU)
    other = cache.get(b"another", lambda: {"numbers": torch.ones(2)}, CPU)
    assert list(other) == ["numbers"]


def test_a_broken_answer_is_asked_for_again(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.get(b"question", _answer, CPU)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:40])
    assert cache.get(b"question", _answer, CPU)["places"].tolist() == [1, 70000]
    assert cache.get(b"question", _refuse, CPU)["places"].tolist() == [1, 70000]
    assert len(list(tmp_path.rglob("*"))) == 2
