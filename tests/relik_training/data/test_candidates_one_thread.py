"""Processes that share cores."""

import os

import pytest

from relik_training.data.candidates import one_thread_each


def test_the_environment_is_as_before_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with one_thread_each():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert dict(os.environ) == before
    with pytest.raises(KeyError), one_thread_each():
        raise KeyError
    assert dict(os.environ) == before
