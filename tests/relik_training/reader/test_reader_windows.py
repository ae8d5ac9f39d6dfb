"""The ablation takes what is not labelled for nothing, and leaves the rest alone."""

import pytest

pytest.importorskip("lightning")

from relik_training.reader.reader_windows import taken_as_whole
from relik_training.recipes.source_config import SourceConfig


def test_some_becomes_all_and_none_stays() -> None:
    sources = (
        SourceConfig(path="a"),
        SourceConfig(path="b", mentions="none", relations="some"),
        SourceConfig(path="c", mentions="all", every=3),
    )
    assert taken_as_whole(sources) == (
        SourceConfig(path="a", mentions="all"),
        SourceConfig(path="b", mentions="none", relations="all"),
        SourceConfig(path="c", mentions="all", every=3),
    )
