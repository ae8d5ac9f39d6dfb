"""`relik serve`: verify a bundle, take the port, serve."""

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


def serve(  # each one is a flag
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 8000]")
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(
            help="Folder or name of a bundle or of a released ReLiK pipeline. [default: default]"
        ),
    ] = None,
    kb: Annotated[
        str | None, typer.Option(help="Knowledge index of entities in place of the bundle's own.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="What runs the models: auto, onnx, torch. [default: auto]")
    ] = None,
    max_batch_tokens: Annotated[
        int | None, typer.Option(help="Tokens of text in one call of a model.")
    ] = None,
    max_concurrent_requests: Annotated[
        int | None, typer.Option(help="Requests that may wait or run at once; more get 429.")
    ] = None,
    deadline_s: Annotated[
        float | None, typer.Option(help="Seconds after which a request gets 504.")
    ] = None,
    access_log: Annotated[
        bool | None, typer.Option("--access-log/--no-access-log", help="Log a line per request.")
    ] = None,
) -> None:
    """Serve annotations over HTTP.

    Every setting can also be given by environment variable, such as RELIK_PORT; so can the
    limits of a request, such as RELIK_MAX_DOCUMENTS. A flag wins.
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
    # Verified before the port is taken: a server that cannot serve is never reachable.
    found = find_pipeline(settings.bundle, kb=Path(settings.kb) if settings.kb else None)
    run(settings, lambda: open_served(found, backend=settings.backend), started=started)


def run(settings: Settings, open_model: Callable[[], Served], *, started: float) -> None:
    """Take the port and serve until the process is told to stop.

    Args:
        settings: Settings of the server.
        open_model: Opens the pipeline; called in a thread, once the server is live.
        started: Seconds of `time.monotonic` when the start began.

    Raises:
        ListenError: The port cannot be had.
        Exception: What `open_model` raised, after the server has stopped.
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
    # uvicorn drains on SIGTERM, then sends the signal again to whoever handled it before.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with contextlib.suppress(KeyboardInterrupt), listening:
        server.run(sockets=[listening])
    if failures:
        raise failures[0]


def listen(host: str, port: int) -> socket.socket:
    """Take the port.

    Args:
        host: Address, IPv4 or IPv6, or a name.
        port: Port; 0 takes a free one.

    Returns:
        A socket that is bound; uvicorn listens on it.

    Raises:
        ListenError: The port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ListenError(
            f"cannot listen on {host} port {port} ({error.strerror}): "
            "choose another with --host and --port, or stop what uses it"
        ) from error


def url_of(host: str, listening: socket.socket) -> str:
    """Return where a client on this machine reaches the server.

    Args:
        host: The address that was asked for.
        listening: The bound socket.

    Returns:
        The URL, without a slash at its end.
    """
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # read, not bound
    name = f"[{reachable}]" if ":" in reachable else reachable
    return f"http://{name}:{listening.getsockname()[1]}"


def curl_line(url: str) -> str:
    """Return a command that annotates a sentence.

    Args:
        url: Where the server is.

    Returns:
        One line for a POSIX shell.
    """
    body = json.dumps({"documents": [{"text": EXAMPLE["documents"][0]["text"]}]})
    return f"curl -s {url}/v1/annotate -H 'content-type: application/json' -d {shlex.quote(body)}"


def announce(console: Console, served: Served, *, url: str, seconds: float) -> None:
    """Say what is served, and where to go next.

    Args:
        console: Where to print.
        served: The pipeline.
        url: Where the server is.
        seconds: How long the start took.
    """
    stages = served.stages
    console.print(
        f"[bold green]ready[/] in {seconds:.1f} s: {escape(stages.model)}, knowledge base "
        f"{escape(stages.view.version)}, {served.n_entities:,} entities, "
        f"{served.n_relations:,} relations",
        highlight=False,
        emoji=False,
        soft_wrap=True,
    )
    console.print(f"docs   {url}/docs", highlight=False, emoji=False, soft_wrap=True)
    console.print(f"try    {escape(curl_line(url))}", highlight=False, emoji=False, soft_wrap=True)
