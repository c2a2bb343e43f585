"""The `gan` command: its subcommands, and the exit codes and messages of errors."""

import importlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NoReturn

import typer

from gancli import catalogue
from gancli.cli import console, explain, help_page, streams
from gancli.errors import ReaderGoneError, StdoutError
from gancli.process import __version__
from gancli.report.reporter import abandon, number_of_columns

INTERRUPTED = 130  # exit code of Ctrl-C in shells
COMPLETING = "_GAN_COMPLETE"  # set when the shell asks for completions


class Group(help_page.Group):
    """Imports a subcommand's module when the command is used."""

    pages: ClassVar[Mapping[str, str]] = {
        "train": "Train a variant on a dataset, into a run directory.",
        "sample": "Generate images from a checkpoint, or enlarge images. A seed always gives the same image.",
        "evaluate": "Measure the quality of generated images, compared with that of real images. Needs no download.",
        "export": "Export a model to ONNX, to torch.export, or to a folder for a model hub.",
        "demo": "Show models on a page in the browser: generate images, move between them, enlarge a photograph.",
        "inspect": "Describe a checkpoint or run directory, without loading its tensors (unless --verify).",
        "report": "Show runs as one page: curves, samples over the run, metrics, options. Each run writes its own, "
        "report.html.",
        "variants": "List the variants and the pretrained models; or show one variant with its options and paper.",
        "new": "Write the file of a small variant, which trains as it is, to start your own from.",
        "check": "Check whether a variant keeps to the contract: its updates, its precision, resuming, capturing; on small "
        "images of `digits`. The exit code is 1 if it does not.",
        "runs": "List the runs in a folder: progress, status, latest losses and best metric.",
        "datasets": "List the named datasets: images, classes, and what is in the data root.",
        "cache": "List the decoded datasets in the data root, or remove them. They are made again when needed.\n\n"
        "GAN_CACHE_SIZE (such as 20G; by default a quarter of the disk) limits their size: the entry that was not used "
        "for the longest time is removed first, but none that was used within a day.",
        "env": "Describe gan, its packages, the machine and the paths, for a bug report.",
    }

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in self.pages:
            return None
        module = importlib.import_module(f"gancli.cli.{'train_command' if cmd_name == 'train' else cmd_name}")
        if cmd_name == "train":
            return module.command(catalogue.built_in())
        return help_page.built(cmd_name, getattr(module, cmd_name), self.pages[cmd_name])


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    suggest_commands=False,  # help_page.Group does
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Train, sample, evaluate and inspect generative adversarial networks.",
    epilog="Start with `gan sample digits` (a pretrained model), `gan train` (digits in about a minute, no download) "
    "or `gan variants`.",
)


def _version(requested: bool) -> None:
    if requested:
        console.print_result(f"gan {__version__}")
        raise typer.Exit


@app.callback()
def _gan(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


def main(argv: list[str] | None = None) -> int:
    """Run a command line and return its exit code. With GAN_DEBUG=1 errors are raised instead."""
    args = sys.argv[1:] if argv is None else argv
    streams.make_readable(sys.stdout)
    streams.make_readable(sys.stderr)
    try:
        code = _run(args)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except (ReaderGoneError, BrokenPipeError):
        abandon(sys.stdout)
        return ReaderGoneError.exit_code
    except Exception as error:
        if isinstance(error, StdoutError):
            abandon(sys.stdout)  # else Python would report it again at exit
        if os.environ.get("GAN_DEBUG", "") not in ("", "0"):
            raise
        code, message = explain.explained(error, args)
        if message:
            console.print_error(message)
        return code
    if code == INTERRUPTED:
        console.print_error("interrupted")
    return code


def _run(args: list[str]) -> int:
    """Run a command and return its exit code. Typer converts Ctrl-C itself."""
    try:
        code = typer.main.get_command(app).main(args=args, prog_name="gan", standalone_mode=False)
    except SystemExit as end:  # of Tab completion
        code = end.code
    except Exception:
        if COMPLETING not in os.environ:
            raise
        code = 1  # nothing to complete, and a message would disturb the command line
    return code if isinstance(code, int) else 0


def entry() -> NoReturn:
    """Run the console script."""
    streams.fix_standard_streams()
    for name in ("COLUMNS", "TERMINAL_WIDTH"):  # Rich and Typer take any value for the width
        if number_of_columns(os.environ.get(name, "")) is None:
            os.environ.pop(name, None)
    code = main()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while Python exits: no traceback
    sys.exit(code)
