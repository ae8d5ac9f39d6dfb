"""The command `relik`: subcommands from entry points, errors as one line and an exit code.

It imports only the subcommand that runs, so `relik --help` imports none.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer

from relik import __version__
from relik.errors import BundleError, ConfigError, InputError, RelikError

GROUP = "relik.commands"

_SUMMARIES = {
    "annotate": "Link entities and find triples in texts, files or standard input.",
    "convert": "Turn a released ReLiK pipeline into a bundle.",
    "data": "Convert data sets from and to other formats, and split them.",
    "evaluate": "Evaluate a bundle on a file of gold documents.",
    "index": "Build, verify and inspect knowledge indexes.",
    "serve": "Serve annotations over HTTP.",
    "train": "Train a retriever or a reader.",
}
# Packages that a plain install lacks, and the extra that installs them.
_EXTRAS = {
    "torch": "gpu",
    "transformers": "gpu",
    "lightning": "train",
    "onnx": "train",
    "rdflib": "data",
    "spacy": "data",
}
_EXTRA_OF_COMMAND = {"train": "train", "index": "train", "convert": "upstream"}
_EXIT_CODES: tuple[tuple[type[RelikError], int], ...] = (
    (ConfigError, 2),
    (InputError, 2),
    (BundleError, 3),
    (RelikError, 1),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Args:
        argv: Arguments after the name of the program; None takes those of the process.

    Raises:
        SystemExit: Always: 0 done, 1 failed, 2 wrong usage, settings or input, 3 a bundle that
            cannot be used, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    asked = next((each for each in arguments if not each.startswith("-")), None)
    try:
        app = build_app(entry_points(group=GROUP), asked=asked)
        app(args=arguments, prog_name="relik")
    except RelikError as error:
        _fail(str(error), exit_code(error))
    except ModuleNotFoundError as error:
        if _top_name(error) not in _EXTRAS:
            raise
        _fail(_install_line(asked or "", error), 1)
    except KeyboardInterrupt:
        sys.exit(130)


def build_app(commands: Iterable[EntryPoint], *, asked: str | None) -> typer.Typer:
    """Build the application; import the subcommand `asked`, and only list the others."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        help="Link entities in text to a knowledge base and extract triples between them.",
    )
    app.callback()(_root_options)
    for command in sorted(commands, key=lambda each: each.name):
        if command.name == asked:
            _add_command(app, command)
        else:
            app.command(command.name, help=_summary(command))(_placeholder)
    return app


def exit_code(error: RelikError) -> int:
    """Return the exit code of an error: 2 for settings and input, 3 for bundles, 1 for the rest."""
    return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"relik {__version__}")
        raise typer.Exit


def _root_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Accept the options before a subcommand; `_print_version` handles the only one."""


def _add_command(app: typer.Typer, command: EntryPoint) -> None:
    try:
        loaded = command.load()
    except ModuleNotFoundError as error:
        if _top_name(error) == command.value.partition(".")[0]:
            raise
        settings = {"allow_extra_args": True, "ignore_unknown_options": True}
        line = _install_line(command.name, error)
        app.command(
            command.name,
            help=_summary(command),
            context_settings=settings,
            add_help_option=False,
        )(lambda: _fail(line, 1))
        return
    if isinstance(loaded, typer.Typer):
        app.add_typer(loaded, name=command.name, help=_summary(command))
    else:
        app.command(command.name)(loaded)


def _placeholder() -> None:
    """Stand in for a command that does not run, so that `--help` lists it."""


def _summary(command: EntryPoint) -> str:
    origin = command.dist.name if command.dist else command.module
    return _SUMMARIES.get(command.name, f"A command of {origin}.")


def _install_line(command: str, error: ModuleNotFoundError) -> str:
    missing = _top_name(error)
    extra = _EXTRA_OF_COMMAND.get(command) or _EXTRAS.get(missing)
    package = f"'relik-server[{extra}]'" if extra else "--force-reinstall relik-server"
    return (
        f"relik {command} needs the package {missing}, which is not installed: "
        f"run `pip install {package}`"
    )


def _top_name(error: ModuleNotFoundError) -> str:
    return (error.name or str(error)).partition(".")[0]


def _fail(message: str, code: int) -> None:
    typer.echo(f"relik: error: {' '.join(message.split())}", err=True)
    sys.exit(code)
