"""Measure `relik serve`: seconds until it is ready, and resident memory."""

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TEXT = "Marie Curie and her husband Pierre Curie won the Nobel Prize in Physics in 1903. "


def resident_mb(pid: int, field: str) -> float:
    """Read a memory field of a process.

    Args:
        field: VmRSS (now) or VmHWM (peak).

    Returns:
        Megabytes (10^6 bytes).
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def main() -> None:
    """Start a server, wait until it is ready, post a long request, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="default")
    arguments = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start_time = time.perf_counter()
    server = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("relik")),
            "serve",
            "--port",
            str(port),
            "--bundle",
            arguments.bundle,
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        while True:
            try:
                urllib.request.urlopen(f"{base}/readyz", timeout=1)  # noqa: S310  # our own server
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.perf_counter() - start_time > 60:
                    sys.exit("the server did not become ready")
                time.sleep(0.02)
        ready_s = time.perf_counter() - start_time
        idle = resident_mb(server.pid, "VmRSS")
        body = json.dumps({"documents": [{"id": str(i), "text": TEXT * 20} for i in range(32)]})
        request = urllib.request.Request(  # noqa: S310  # our own server
            f"{base}/v1/annotate", body.encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            json.load(answer)
        peak = resident_mb(server.pid, "VmHWM")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    print(
        json.dumps({"ready_s": round(ready_s, 2), "idle_mb": round(idle), "peak_mb": round(peak)})
    )


if __name__ == "__main__":
    main()
