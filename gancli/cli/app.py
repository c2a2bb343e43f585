"""The `gan` command: its subcommands, and how their errors become one line and an exit code."""

import ast
import inspect
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from gancli.cli import console, explain, help_page, streams
from gancli.errors import ReaderGoneError, StdoutError
from gancli.process import __version__
from gancli.report.reporter import abandon, number_of_columns

INTERRUPTED = 130  # by Ctrl-C, as shells say it
COMPLETING = "_GAN_COMPLETE"  # the shell asks for completions


class Group(help_page.Group):
    """Builds `train` where it is needed: it has the options of all variants."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name == "train":
            from gancli import catalogue
            from gancli.cli import train_command

            return train_command.command(catalogue.names())
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    suggest_commands=False,  # explain.py does
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Train, sample, measure and explain generative adversarial networks.",
    epilog="Start with `gan sample digits` (a pretrained model), `gan train` (digits in about a minute, no download) "
    "or `gan variants`.",
)


def _version(asked: bool) -> None:
    if asked:
        console.print_result(f"gan {__version__}")
        raise typer.Exit


@app.callback()
def _gan(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


@app.command("train")
def _train() -> None:
    """Train a variant on a data set into a run directory."""
    raise AssertionError("Group builds this command")


def _register() -> None:
    from gancli.cli import cache, evaluate, export, report, runs, sample, variants
    from gancli.cli import inspect as inspecting

    for name, command in (
        ("sample", sample.sample),
        ("evaluate", evaluate.evaluate),
        ("export", export.export),
        ("inspect", inspecting.inspect),
        ("report", report.report),
        ("variants", variants.variants),
        ("runs", runs.runs),
        ("cache", cache.cache),
    ):
        app.command(name, cls=help_page.Command, help=_described(command))(command)


def _described(command: Callable[..., object]) -> str:
    """A command's docstring, also where Python was told to leave docstrings out (`-OO`): it is what help shows."""
    if command.__doc__ is None:
        (function,) = ast.parse(inspect.cleandoc(inspect.getsource(command))).body
        assert isinstance(function, ast.FunctionDef)
        return ast.get_docstring(function) or ""
    return inspect.cleandoc(command.__doc__)


_register()


def main(argv: list[str] | None = None) -> int:
    """Run a command line and give its exit code. With GAN_DEBUG=1 errors are raised instead."""
    args = sys.argv[1:] if argv is None else argv
    debug = os.environ.get("GAN_DEBUG", "") not in ("", "0")
    streams.make_readable(sys.stdout)
    streams.make_readable(sys.stderr)
    try:
        code = _invoked(args)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except (ReaderGoneError, BrokenPipeError):
        abandon(sys.stdout)
        return ReaderGoneError.exit_code
    except Exception as error:
        if isinstance(error, StdoutError):
            abandon(sys.stdout)  # before anything else is raised: Python would complain at exit, too
        if debug:
            raise
        code, message = explain.explained(error, args)
        if message:
            console.complain(message)
        return code
    if code == INTERRUPTED:
        console.complain("interrupted")
    return code


def _invoked(args: list[str]) -> int:
    """The exit code that a command gives. Typer makes one of Ctrl-C itself."""
    try:
        code = typer.main.get_command(app).main(args=args, prog_name="gan", standalone_mode=False)
    except SystemExit as end:  # of Tab completion
        code = end.code
    except Exception:
        if COMPLETING not in os.environ:
            raise
        code = 1  # the shell asked in a way that Typer does not know: nothing to complete, and no place for a line
    return code if isinstance(code, int) else 0


def entry() -> NoReturn:
    """The console script."""
    streams.settle()
    for name in ("COLUMNS", "TERMINAL_WIDTH"):  # as some schedulers export them: Rich and Typer take any for the width
        if number_of_columns(os.environ.get(name, "")) is None:
            os.environ.pop(name, None)
    code = main()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while Python ends: no traceback
    sys.exit(code)
