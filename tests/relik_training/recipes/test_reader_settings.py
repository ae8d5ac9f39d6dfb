"""A recipe says what the bundle's settings are, and leaves alone what was fitted."""

import pytest

from relik.config import FusionWeights, PipelineConfig, RetrieverConfig, WindowConfig
from relik.errors import ConfigError
from relik_training.recipes.reader_settings import Serving


def test_serving_settings_take_the_place_of_those_of_the_base() -> None:
    base = PipelineConfig(
        model="tiny",
        windows=WindowConfig(size=8, stride=4),
        retriever=RetrieverConfig(entity_top_k=5, fusion=FusionWeights(dense_weight=3.5)),
    )
    serving = Serving(
        windows=WindowConfig(size=64, stride=32),
        entity_top_k=20,
        relation_top_k=10,
        prior_weight=0.3,
        max_spans=7,
    )
    made = serving.applied_to(base)
    assert made.windows == WindowConfig(size=64, stride=32)
    assert (made.retriever.entity_top_k, made.retriever.relation_top_k) == (20, 10)
    assert made.retriever.fusion.dense_weight == 3.5
    assert (made.rules.prior_weight, made.reader.max_spans) == (0.3, 7)
    assert made.model == "tiny"


def test_what_no_bundle_can_have_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match="relations_per_pair"):
        Serving(relations_per_pair=-1)
