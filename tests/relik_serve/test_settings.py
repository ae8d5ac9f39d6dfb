import pytest

from relik.errors import ConfigError
from relik_serve.settings import Settings, read_settings


def test_a_flag_wins_over_a_variable_and_a_variable_over_a_default():
    environ = {"RELIK_PORT": "9000", "RELIK_HOST": "0.0.0.0", "OTHER": "x"}

    settings = read_settings({"port": 9001, "host": None}, environ=environ)

    assert settings == Settings(port=9001, host="0.0.0.0")


def test_variables_are_read_by_the_type_of_their_field():
    environ = {"RELIK_DEADLINE_S": "1.5", "RELIK_ACCESS_LOG": "True", "RELIK_BUNDLE": "./mine"}

    settings = read_settings({}, environ=environ)

    assert settings == Settings(deadline_s=1.5, access_log=True, bundle="./mine")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RELIK_PORT", "http"),
        ("RELIK_PORT", "70000"),
        ("RELIK_ACCESS_LOG", "maybe"),
        ("RELIK_DEADLINE_S", "nan"),
        ("RELIK_DEADLINE_S", "0"),
        ("RELIK_MAX_DOCUMENTS", "-1"),
        ("RELIK_BACKEND", "onx"),
    ],
)
def test_a_wrong_value_is_refused_by_name(variable, value):
    with pytest.raises(ConfigError, match=f"(?i){variable.removeprefix('RELIK_')}") as caught:
        read_settings({}, environ={variable: value})
    assert value in str(caught.value)


def test_a_misspelt_backend_is_told_the_nearest_one():
    with pytest.raises(ConfigError, match="did you mean 'onnx'"):
        Settings(backend="onx")
