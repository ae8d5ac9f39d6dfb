"""The bundle that ships, opened once."""

import pytest

from relik import Pipeline, open_bundle


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return open_bundle().pipeline("onnx")
