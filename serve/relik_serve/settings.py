"""Settings of the server: flags, then RELIK_* environment variables, then defaults.

No other module of the server reads the environment.
"""

import dataclasses
import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from relik.errors import ConfigError

PREFIX = "RELIK_"
BACKENDS = ("auto", "onnx", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the server.

    Args:
        port: 0..65535; 0 for any free one.
        bundle: Folder or name of a bundle, or of a released ReLiK pipeline.
        kb: Folder of a knowledge index of entities; empty for the bundle's.
        backend: "onnx", "torch", or "auto": torch if there is a GPU, else onnx.
        max_batch_tokens: Tokens of text in one batch. Larger batches are faster until the device
            is full, and make a single request wait longer.
        max_concurrent_requests: Requests that wait or run at once; more get status 429.
        max_documents: Documents in one request.
        max_document_characters: Code points of one document.
        max_request_characters: Code points of all documents of one request.
        max_body_bytes: Bytes of one request body.
        deadline_s: Seconds until a request gets status 504.
        drain_s: Seconds for running requests to end when the server stops.
        threads: Threads that split and merge documents, besides the two that run models.
        access_log: Log a line per request.

    Raises:
        ConfigError: A value is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    bundle: str = "default"
    kb: str = ""
    backend: str = "auto"
    max_batch_tokens: int = 4096
    max_concurrent_requests: int = 128
    max_documents: int = 64
    max_document_characters: int = 1_000_000
    max_request_characters: int = 4_000_000
    max_body_bytes: int = 32 * 1024 * 1024
    deadline_s: float = 60.0
    drain_s: float = 30.0
    threads: int = 2
    access_log: bool = False

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            similar = difflib.get_close_matches(self.backend, BACKENDS, n=1)
            hint = f"did you mean {similar[0]!r}?" if similar else "use one of them"
            raise ConfigError(
                f"backend: got {self.backend!r}, expected one of {', '.join(BACKENDS)}: {hint}"
            )
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port: got {self.port}, expected 0..65535: choose another")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "port" or isinstance(value, str | bool):
                continue
            if not 0 < value < math.inf:
                raise ConfigError(
                    f"{field.name}: got {value}, expected a number above 0: give another"
                )


def read_settings(
    flags: Mapping[str, object], *, environ: Mapping[str, str] | None = None
) -> Settings:
    """Build the settings; a flag takes precedence over a RELIK_* variable.

    Args:
        flags: Values by name of field; None for a flag that was not given.
        environ: Environment variables; None for those of the process.

    Raises:
        ConfigError: A variable or a flag has a wrong value.
    """
    environ = os.environ if environ is None else environ
    chosen: dict[str, object] = {}
    for field in dataclasses.fields(Settings):
        variable = PREFIX + field.name.upper()
        if flags.get(field.name) is not None:
            chosen[field.name] = flags[field.name]
        elif variable in environ:
            chosen[field.name] = _parsed(environ[variable], field.default, variable)
    return Settings(**chosen)  # type: ignore[arg-type]  # each value has the type of its field


def _parsed(text: str, default: object, variable: str) -> object:
    if isinstance(default, bool):
        known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text.lower() not in known:
            raise ConfigError(f"{variable}: got {text!r}, expected true or false: correct it")
        return known[text.lower()]
    if isinstance(default, int | float):
        kind = type(default)
        try:
            return kind(text)
        except ValueError as error:
            wanted = "a whole number" if kind is int else "a number"
            raise ConfigError(f"{variable}: got {text!r}, expected {wanted}: correct it") from error
    return text
