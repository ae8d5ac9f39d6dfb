"""`relik serve`: verify a bundle, bind the port, and serve until a signal stops the process."""

import contextlib
import json
import logging
import math
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from rich.console import Console
from rich.markup import escape

from relik.find_pipeline import find_pipeline
from relik_serve.api.schemas import EXAMPLE
from relik_serve.app import create_app
from relik_serve.batching.model import open_served
from relik_serve.batching.pipeline_steps import Served
from relik_serve.errors import ListenError
from relik_serve.settings import Settings, read_settings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 for any free one. [default: 8000]")
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(
            help="Folder or name of a bundle or of a released ReLiK pipeline. [default: default]"
        ),
    ] = None,
    kb: Annotated[
        str | None, typer.Option(help="Knowledge index of entities, instead of the bundle's.")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="Backend of the models: auto, onnx or torch. [default: auto]"),
    ] = None,
    max_batch_tokens: Annotated[
        int | None, typer.Option(help="Maximum tokens of text in one batch. [default: 4096]")
    ] = None,
    max_concurrent_requests: Annotated[
        int | None,
        typer.Option(
            help="Maximum requests that wait or run at once; more get status 429. [default: 128]"
        ),
    ] = None,
    deadline_s: Annotated[
        float | None, typer.Option(help="Seconds until a request gets status 504. [default: 60]")
    ] = None,
    access_log: Annotated[
        bool | None, typer.Option("--access-log/--no-access-log", help="Log a line per request.")
    ] = None,
) -> None:
    """Serve annotations over HTTP.

    Each setting also has an environment variable, such as RELIK_PORT, and so have the limits of
    a request, such as RELIK_MAX_DOCUMENTS. A flag takes precedence over a variable.
    """
    started = time.monotonic()
    flags: dict[str, object] = {
        "host": host,
        "port": port,
        "bundle": bundle,
        "kb": kb,
        "backend": backend,
        "max_batch_tokens": max_batch_tokens,
        "max_concurrent_requests": max_concurrent_requests,
        "deadline_s": deadline_s,
        "access_log": access_log,
    }
    settings = read_settings(flags)
    # Verified before the port is bound: a server that cannot serve is never reachable.
    found = find_pipeline(settings.bundle, kb=Path(settings.kb) if settings.kb else None)
    run(settings, lambda: open_served(found, backend=settings.backend), started=started)


def run(settings: Settings, open_model: Callable[[], Served], *, started: float) -> None:
    """Bind the port and serve until a signal stops the process.

    Args:
        open_model: Opens the pipeline; called in a thread, once the server is live.
        started: Seconds of `time.monotonic` at which the command started.

    Raises:
        ListenError: The port cannot be bound.
        Exception: The error of `open_model`, after the server has stopped.
    """
    console = Console(stderr=True)
    listening = listen(settings.host, settings.port)
    url = url_of(settings.host, listening)
    failures: list[Exception] = []

    def on_ready(served: Served) -> None:
        announce(console, served, url=url, seconds=time.monotonic() - started)

    def on_failure(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(settings, open_model, on_ready=on_ready, on_failure=on_failure)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("uvicorn.access").setLevel(logging.INFO)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=settings.access_log,
            timeout_graceful_shutdown=math.ceil(settings.drain_s),
        )
    )
    # uvicorn drains on SIGTERM, then raises the signal again for the handler that was set before.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with contextlib.suppress(KeyboardInterrupt), listening:
        server.run(sockets=[listening])
    if failures:
        raise failures[0]


def listen(host: str, port: int) -> socket.socket:
    """Bind a port.

    Args:
        host: IPv4 or IPv6 address, or a host name.
        port: 0 for any free one.

    Raises:
        ListenError: The port is in use, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ListenError(
            f"cannot listen on {host} port {port} ({error.strerror}): "
            "choose another with --host and --port, or stop the process that uses it"
        ) from error


def url_of(host: str, listening: socket.socket) -> str:
    """Return the URL for a client on this machine, without a slash at its end."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # read, not bound
    name = f"[{reachable}]" if ":" in reachable else reachable
    return f"http://{name}:{listening.getsockname()[1]}"


def curl_line(url: str) -> str:
    """Return a command of one line for a POSIX shell that annotates a sentence."""
    body = json.dumps({"documents": [{"text": EXAMPLE["documents"][0]["text"]}]})
    return f"curl -s {url}/v1/annotate -H 'content-type: application/json' -d {shlex.quote(body)}"


def announce(console: Console, served: Served, *, url: str, seconds: float) -> None:
    """Print the model, the knowledge base, the URL of the documentation and an example."""
    stages = served.stages
    for line in (
        f"[bold green]ready[/] in {seconds:.1f} s: {escape(stages.model)}, knowledge base "
        f"{escape(stages.view.version)}, {served.n_entities:,} entities, "
        f"{served.n_relations:,} relations",
        f"docs   {url}/docs",
        f"try    {escape(curl_line(url))}",
    ):
        console.print(line, highlight=False, emoji=False, soft_wrap=True)
