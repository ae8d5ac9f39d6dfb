"""Starts a server, sends it requests from many clients at once, and reports rate and latency."""

import http.client
import os
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

N_CLIENTS = 16
START_S, REQUEST_S = 120.0, 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What was measured of a server.

    Args:
        requests_per_s: Answers per second over all clients.
        p50_s: Median seconds of a request.
        p95_s: 95th percentile.
        failed: Requests without an answer of status 200.
        start_s: Seconds from the start of the process to its first answer.
    """

    requests_per_s: float
    p50_s: float
    p95_s: float
    failed: int
    start_s: float


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def measure(
    command: Sequence[str], *, port: int, folder: Path, texts: Sequence[str], requests: int
) -> Load:
    """Start a server, warm it, load it, stop it.

    Args:
        command: Starts it on the port.
        port: Its port on this machine.
        folder: Working directory of the server.
        texts: What to ask, one a request, in turn.
        requests: Requests in all.

    Returns:
        What was measured.
    """
    begun = time.perf_counter()
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port, texts[0], server)
        started = time.perf_counter() - begun
        for text in texts[:2]:
            _ask(port, text)
        begun = time.perf_counter()
        with ThreadPoolExecutor(N_CLIENTS) as clients:
            asked = [texts[k % len(texts)] for k in range(requests)]
            answers = list(clients.map(lambda text: _ask(port, text), asked))
        seconds = time.perf_counter() - begun
    finally:
        server.terminate()
        server.wait(timeout=60)
    times = np.array([taken for taken, _ in answers])
    return Load(
        requests_per_s=round(len(answers) / seconds, 2),
        p50_s=round(float(np.quantile(times, 0.5)), 3),
        p95_s=round(float(np.quantile(times, 0.95)), 3),
        failed=sum(status != 200 for _, status in answers),
        start_s=round(started, 2),
    )


def _ask(port: int, text: str) -> tuple[float, int]:
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_S)
    try:
        connection.request("GET", f"/api/relik?{urllib.parse.urlencode({'text': text})}")
        answer = connection.getresponse()
        answer.read()
        return time.perf_counter() - begun, answer.status
    finally:
        connection.close()


def _wait(port: int, text: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode} before it answered")
        try:
            if _ask(port, text)[1] == http.client.OK:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"the server did not answer in {START_S:.0f} s")
