"""The ablation takes what is not labelled for nothing, and leaves the rest alone."""

import pytest

pytest.importorskip("lightning")

from relik_training.reader.reader_windows import taken_as_whole


def test_some_becomes_all_and_none_stays() -> None:
    sources: tuple[dict[str, object], ...] = (
        {"path": "a"},
        {"path": "b", "mentions": "none", "relations": "some"},
        {"path": "c", "mentions": "all", "every": 3},
    )
    assert taken_as_whole(sources) == (
        {"path": "a", "mentions": "all"},
        {"path": "b", "mentions": "none", "relations": "all"},
        {"path": "c", "mentions": "all", "every": 3},
    )
    assert sources[0] == {"path": "a"}
