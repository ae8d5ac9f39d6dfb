import re
import shlex
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from relik.cli import main
from relik_serve.cli import curl_line, listen, url_of
from relik_serve.errors import ListenError

SERVER = """
import time
from relik.errors import BundleCorruptError
from relik.testing import FakePipeline
from relik_serve.cli import run
from relik_serve.settings import Settings
from relik_serve.batching.pipeline_steps import Served

def open_model():
    if {fails}:
        raise BundleCorruptError("reader.onnx: truncated")
    return Served(stages=FakePipeline(), n_entities=1234, n_relations=1)

try:
    run(Settings(port=0), open_model, started=time.monotonic())
except BundleCorruptError as error:
    raise SystemExit(3)
"""


def started_server(*, fails):
    return subprocess.Popen(
        [sys.executable, "-c", SERVER.format(fails=fails)], stderr=subprocess.PIPE, text=True
    )


def test_the_server_says_where_it_is_and_its_curl_line_works_and_sigterm_ends_it_well():
    with started_server(fails=False) as process:
        try:
            ready, docs, curl = (process.stderr.readline() for _ in range(3))
            assert "fake" in ready
            assert "1,234 entities" in ready
            assert httpx.get(docs.split()[1]).status_code == 200
            command = shlex.split(curl)
            assert command[:3] == ["try", "curl", "-s"]
            assert command[4::2] == ["-H", "-d"]
            name, _, value = command[5].partition(": ")
            answer = httpx.post(command[3], headers={name: value}, content=command[7])
            assert answer.json()["documents"][0]["spans"][0]["text"] == "Marie"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_a_model_that_cannot_be_opened_ends_the_server():
    with started_server(fails=True) as process:
        assert process.wait(10) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--backend", "onx"], 2, "did you mean 'onnx'"),
        (["--port", "99999"], 2, "expected 0..65535"),
        (["--bundle", "./no/such/folder"], 3, "no/such/folder"),
    ],
)
def test_a_wrong_start_is_one_line_and_its_exit_code(capsys, arguments, code, message):
    with pytest.raises(SystemExit) as caught:
        main(["serve", *arguments])

    assert caught.value.code == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_port_in_use_is_told_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"port {port} .*--port"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("0.0.0.0", r"http://127\.0\.0\.1:\d+"), ("127.0.0.1", r"http://127\.0\.0\.1:\d+")],
)
def test_the_url_is_one_that_a_client_here_can_reach(host, expected):
    with listen(host, 0) as listening:
        assert re.fullmatch(expected, url_of(host, listening))


def test_the_curl_line_survives_the_shell():
    command = shlex.split(curl_line("http://localhost:1"))
    assert command[-1].startswith('{"documents": [{"text": "Marie Curie')
