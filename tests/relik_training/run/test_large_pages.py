"""Large pages are asked for before torch takes memory, unless the environment says otherwise."""

import json
import os
import subprocess
import sys

import pytest

_PROGRAM = """
import json, os
from typer.testing import CliRunner
from relik_training.cli import app
CliRunner().invoke(app, ["plan", "--config", "nowhere.toml"])
print(json.dumps(os.environ.get("THP_MEM_ALLOC_ENABLE")))
"""


@pytest.mark.parametrize(("said", "wanted"), [(None, "1"), ("0", "0")])
def test_a_command_asks_before_torch_is_there(said: str | None, wanted: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    if said is not None:
        environment["THP_MEM_ALLOC_ENABLE"] = said
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert json.loads(done.stdout) == wanted
