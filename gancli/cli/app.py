"""The `gan` command: its subcommands, and how their errors become one line and an exit code."""

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import gancli
from gancli import catalogue
from gancli.cli import console
from gancli.errors import GancliError, UsageError, did_you_mean


class Group(TyperGroup):
    """Builds `train` from the variant that the command line names, so that only its options exist."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] == "train":
            from gancli.cli import train

            return "train", train.command(train.named_variant(args[1:])), args[1:]
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name == "train":
            from gancli.cli import train

            return train.command("vanilla")
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Train, sample, measure and explain generative adversarial networks.",
    epilog="Start with:  gan train  (digits in about a minute, no download)   ·   gan variants",
)


def _version(asked: bool) -> None:
    if asked:
        console.print_result(f"gan {gancli.__version__}")
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
    raise AssertionError("Group builds this command for the variant that is named")


def _register() -> None:
    from gancli.cli import cache, evaluate, inspect, sample, variants

    app.command("sample")(sample.sample)
    app.command("evaluate")(evaluate.evaluate)
    app.command("inspect")(inspect.inspect)
    app.command("variants")(variants.variants)
    app.command("cache")(cache.cache)


_register()


def main(argv: list[str] | None = None) -> int:
    """Run a command line and give its exit code. With GAN_DEBUG=1 errors are raised instead."""
    args = sys.argv[1:] if argv is None else argv
    debug = os.environ.get("GAN_DEBUG", "") not in ("", "0")
    try:
        code = typer.main.get_command(app).main(args=args, prog_name="gan", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        console.complain("interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: no second error at exit
        return 141
    except Exception as error:
        if debug:
            raise
        code, message = _explained(error, args)
        console.complain(message)
        return code


def _explained(error: Exception, args: list[str]) -> tuple[int, str]:
    """The exit code and the line for an error that ended a command."""
    if isinstance(error, GancliError):
        return error.exit_code, str(error)
    option = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and isinstance(option, str):
        return UsageError.exit_code, _unknown_option(option, getattr(error, "possibilities", None) or [], args)
    parameter, complaint = getattr(error, "param", None), str(getattr(error, "message", None) or "")
    if parameter is not None and complaint:
        return UsageError.exit_code, _bad_value(parameter, complaint, args)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # Typer's own usage errors
        return int(error.exit_code), str(error.format_message())
    if isinstance(error, MemoryError):
        return 1, "out of memory; try a smaller --batch-size or --image-size"
    return 1, f"unexpected {type(error).__name__}: {error} (GAN_DEBUG=1 shows where; please report it)"


def _unknown_option(option: str, near: list[str], args: list[str]) -> str:
    owners = [
        name
        for name in catalogue.names()
        if args[:1] == ["train"] and hasattr(catalogue.card(name).config_class, option.lstrip("-").replace("-", "_"))
    ]
    hint = f" (an option of {', '.join(owners)})" if owners else did_you_mean(option, near)
    return f"{option}: no such option{hint}"


def _bad_value(parameter: Any, complaint: str, args: list[str]) -> str:
    """A line for a value that Typer could not read: Typer's own leaves the value out."""
    flag = max(parameter.opts, key=len)
    given = next((a for flag_at, a in zip(args, [*args[1:], ""], strict=True) if flag_at in parameter.opts), "")
    given = given or next((a.partition("=")[2] for a in args if a.startswith(f"{flag}=")), "")
    for kind, noun in (("integer", "a whole number"), ("number", "a number"), ("boolean", "true or false")):
        if f"valid {kind}" in complaint:
            complaint = f"must be {noun}"
    return f"{flag} {given}: {complaint}"


def entry() -> NoReturn:
    """The console script."""
    sys.exit(main())
