"""Load test of a server: throughput and latency with many concurrent clients."""

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
    """Figures of a load test.

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
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def measure(
    command: Sequence[str], *, port: int, folder: Path, texts: Sequence[str], requests: int
) -> Load:
    """Start a server, warm it up, load it, and stop it.

    Args:
        command: Starts the server on the port.
        folder: Working directory of the server.
        texts: Texts of the requests, one each, in turn.
        requests: Number of requests.
    """
    start_time = time.perf_counter()
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
        started = time.perf_counter() - start_time
        for text in texts[:2]:
            _request(port, text)
        start_time = time.perf_counter()
        with ThreadPoolExecutor(N_CLIENTS) as clients:
            queries = [texts[k % len(texts)] for k in range(requests)]
            answers = list(clients.map(lambda text: _request(port, text), queries))
        seconds = time.perf_counter() - start_time
    finally:
        server.terminate()
        server.wait(timeout=60)
    times = np.array([seconds for seconds, _ in answers])
    return Load(
        requests_per_s=round(len(answers) / seconds, 2),
        p50_s=round(float(np.quantile(times, 0.5)), 3),
        p95_s=round(float(np.quantile(times, 0.95)), 3),
        failed=sum(status != 200 for _, status in answers),
        start_s=round(started, 2),
    )


def _request(port: int, text: str) -> tuple[float, int]:
    start_time = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_S)
    try:
        connection.request("GET", f"/api/relik?{urllib.parse.urlencode({'text': text})}")
        answer = connection.getresponse()
        answer.read()
        return time.perf_counter() - start_time, answer.status
    finally:
        connection.close()


def _wait(port: int, text: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(
                f"the server ended with code {server.returncode} before its first answer, expected "
                "it to run: start it by hand to see its log"
            )
        try:
            if _request(port, text)[1] == http.client.OK:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"got no answer of the server in {START_S:.0f} s: start it by hand to see why")
