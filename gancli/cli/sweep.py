"""`gan train` with several values of an option: the runs that they make, one after the other, or one of them."""

import functools
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from gancli import catalogue
from gancli.cli import console, explain, options, runs_table, train
from gancli.config import Field, RunConfig, fields_of, paths
from gancli.config.resolve import Layer
from gancli.config.several import shown, values_of
from gancli.engine import begin, sweep
from gancli.engine import run as running
from gancli.engine.begin import Outlook
from gancli.engine.choice import Choice
from gancli.engine.stop import Stop
from gancli.engine.sweep import Axis, Member
from gancli.errors import PartlyFailedError, StoppedError, UsageError, printable, shell_quoted
from gancli.store import overview, rundir
from gancli.store.rundir import RunDirectory

STOPPED = StoppedError.exit_code
Said = Callable[[str, dict[str, Any]], list[Layer]]


@dataclass(frozen=True)
class Asked:
    """A command line that asks for a sweep. `args`: its words."""

    args: list[str]
    choice: Choice
    axes: Sequence[Axis]


@dataclass(frozen=True)
class Planned:
    """A run of a sweep, and what it is made of."""

    member: Member
    path: Path
    variant: str
    layers: Sequence[Layer]
    outlook: Outlook


def command(args: list[str]) -> tuple[Any, list[str]]:
    """The Typer command for the words of a `gan train`, and those words: of a sweep with the first value of each option.
    Raises `UsageError`."""
    words = options.spelt_out(args, fields_of(RunConfig))
    shared = _axes(words, fields_of(RunConfig))
    choice = train.chosen_variant(_with_values(words, [(axis.field, axis.values[0]) for axis in shared]))
    axes = [*shared, *_axes(words, fields_of(catalogue.card(choice.variant).config_class))]
    if not axes:
        return train.command(choice), words
    first = _with_values(words, [(axis.field, axis.values[0]) for axis in axes])
    return train.command(choice, functools.partial(_run, Asked(words, choice, axes))), first


def _axes(args: Sequence[str], fields: Sequence[Field]) -> list[Axis]:
    found = ((field, _given(args, field)) for field in fields)
    return [Axis(f, values) for f, text in found if text is not None and (values := values_of(f, text)) is not None]


def _words_of(args: Sequence[str], field: Field) -> Iterator[tuple[int, int]]:
    """Where an option stands among the words of a command line, and how many of them it takes."""
    index = 0
    while index < len(args) and args[index] != "--":
        taken = 1
        if args[index] == field.long and index + 1 < len(args):
            taken = 2
            yield index, taken
        elif args[index].startswith(f"{field.long}="):
            yield index, taken
        index += taken


def _given(args: Sequence[str], field: Field) -> str | None:
    """What an option is given: the last time, where it is given more than once."""
    places = list(_words_of(args, field))
    if not places:
        return None
    index, taken = places[-1]
    return args[index + 1] if taken == 2 else args[index].partition("=")[2]


def _with_values(args: Sequence[str], values: Sequence[tuple[Field, Any]]) -> list[str]:
    """The command line with one value each for some options."""
    found = list(args)
    for field, value in values:
        for index, taken in reversed(list(_words_of(found, field))):
            found[index : index + taken] = [f"{field.long}={shown(value)}"]
    return found


def _run(wanted: Asked, _: Choice, ctx: typer.Context, given: dict[str, Any]) -> int:
    """Train the runs of a sweep that are not finished, or show them (`--dry-run`), or train one (`--only`). Gives the exit
    code."""
    resume, config, dry_run, only = (given.pop(name) for name in ("resume", "config", "dry_run", "only"))
    paths.check_standing()
    members = _members(wanted, resume, only)

    def said(variant: str, more: dict[str, Any]) -> list[Layer]:
        return train.given_layers(variant, ctx, {**given, **more}, config)

    layers = said(wanted.choice.variant, {})
    out = begin.last_value(layers, "out")
    place = _folder(out, only, resume) or Path("runs", f"{_usual_name(wanted, layers)}-NNN")

    def plan(folder: Path) -> list[Planned]:
        found = zip(members, sweep.places(folder, members), strict=True)
        chosen = [(member, path) for member, path in found if only in (None, member.index)]
        return [_planned(wanted, *each, resume, said) for each in chosen]

    planned = plan(place)
    if dry_run and only is None:
        _list(planned)
        return 0
    if out is None:
        place = rundir.numbered_folder(Path("runs"), _usual_name(wanted, layers))
        planned = plan(place)
    with Stop(begin.max_seconds(layers)) as stop:
        if dry_run:
            from gancli.cli import dry_run as dry

            dry.show(begin.begin(planned[0].variant, planned[0].layers, resume, dry_run=True))
            return 0
        if only is not None:
            code = _trained(planned[0], resume, stop)
            if code == STOPPED:
                _tell_again(wanted, place)
            return code
        return _all(wanted, planned, place, resume, stop)


def _members(wanted: Asked, resume: str | None, only: int | None) -> list[Member]:
    """The runs of the sweep. Raises `UsageError` for what a sweep cannot do."""
    members = sweep.members(wanted.axes)
    flags = " ".join(axis.field.flag for axis in wanted.axes)
    if resume not in (None, "auto"):
        raise UsageError(
            f"--resume {resume}: is one run, and several values of {flags} are a sweep; it goes on by --resume auto"
        )
    if only is not None and not 0 <= only < len(members):
        raise UsageError(f"--only {only}: the sweep has {len(members):,} runs, 0 to {len(members) - 1}")
    if only is None and _several_processes():
        raise UsageError(f"{flags}: a sweep by several processes makes one run at a time: give each with --only K")
    return members


def _several_processes() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _usual_name(wanted: Asked, layers: Sequence[Layer]) -> str:
    return begin.usual_name(wanted.choice.variant, begin.last_value(layers, "dataset") or "digits") + "-sweep"


def _folder(out: str | None, only: int | None, resume: str | None) -> Path | None:
    """The folder of the sweep; None: one is to be numbered. Raises `UsageError` for a run's own."""
    if out is None:
        for flag in (f"--only {only}" if only is not None else "", f"--resume {resume}" if resume else ""):
            if flag:
                raise UsageError(f"{flag}: needs --out, the folder that the sweep's runs share")
        return None
    folder = paths.expanded(out, "--out")
    if folder.is_dir() and rundir.is_run([path.name for path in folder.iterdir()]):
        raise UsageError(f"--out {out}: is a run; the runs of a sweep lie in a folder of their own, give another")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {out}: is a file; choose another --out")
    return folder


def _planned(wanted: Asked, member: Member, path: Path, resume: str | None, said: Said) -> Planned:
    """One run, as if it were the only one. `said`: the layers of the command line with some values in it. Raises what that
    run would, before anything is trained or made."""
    choice = _chosen(wanted, member, path)
    layers = said(choice.variant, {**member.values, "out": str(path)})
    layers = [*([choice.layer] if choice.layer else []), *layers]
    outlook: Outlook = "new"
    if not _several_processes():  # of which the first looks, when it begins: another may have begun by now
        outlook = begin.outlook(choice.variant, layers, path, resume == "auto")
    return Planned(member, path, choice.variant, layers, outlook)


def _chosen(wanted: Asked, member: Member, path: Path) -> Choice:
    """The variant of one run, as if it were the only one. Raises `UsageError` where that is not the sweep's."""
    values = [(axis.field, member.values[axis.field.name]) for axis in wanted.axes]
    choice = train.chosen_variant([*_with_values(wanted.args, values), f"--out={path}"])
    if choice.variant != wanted.choice.variant:
        raise UsageError(
            f"--variant: would be {choice.variant} for {member.label}, and {wanted.choice.variant} for others; name one"
        )
    return choice


def _list(planned: Sequence[Planned]) -> None:
    """A line for each run: its number for `--only`, what it would do, where it lies."""
    for one in planned:
        console.print_result(f"{one.member.index:>4}  {one.outlook:<8}  {printable(str(one.path))}")


def _trained(one: Planned, resume: str | None, stop: Stop) -> int:
    start = functools.partial(begin.begin, one.variant, one.layers, resume, False)
    with running.joined() as ranks:
        return train.trained(running.prepared(one.variant, start, stop, ranks))


def _all(wanted: Asked, planned: Sequence[Planned], folder: Path, resume: str | None, stop: Stop) -> int:
    """One run after the other. One that fails is told, and the others go on."""
    progress = begin.last_value(planned[0].layers, "progress")
    tell = console.say if progress != "none" else lambda _: None
    codes: list[int] = []
    for number, one in enumerate(planned, 1):
        if stop.reason is not None:
            codes.append(STOPPED)
            break
        finished = one.outlook == "finished"
        tell(f"run {number} of {len(planned)}: {one.member.label}{', finished before' if finished else ''}: {one.path}")
        if finished and progress != "json":
            train.tell_where(str(RunDirectory(one.path).checkpoint))
        codes.append(0 if finished else _outcome(one, resume, stop))
        gc.collect()  # networks, graphs and the data of this run, before the next one's
        if codes[-1] == STOPPED:
            break
    there = [one.path for one in planned if RunDirectory(one.path).metrics.exists()]
    if len(there) > 1 and begin.last_value(planned[0].layers, "report") is not False:
        from gancli.page import files  # only here: no sweep shall begin later for its page

        if note := files.write_sweep_page(folder, there):
            console.say(f"warning: {note}")
        elif progress != "none":
            console.say(f"report: {folder / 'report.html'}")
    if progress != "none":
        _show([one.path for one in planned], folder)
    if codes[-1] == STOPPED:
        done = sum(code == 0 for code in codes)
        console.say(f"stopped by {stop.reason or 'a signal'} with {done} of {len(planned)} runs done")
        _tell_again(wanted, folder)
    return _code(codes)


def _outcome(one: Planned, resume: str | None, stop: Stop) -> int:
    """The exit code of a run, whose error is told in a line of its own."""
    try:
        return _trained(one, resume, stop)
    except Exception as error:
        if os.environ.get("GAN_DEBUG", "") not in ("", "0"):
            raise
        code, message = explain.explained(error, ["train"])
        console.complain(f"{one.member.label}: {message}")
        return code


def _code(codes: Sequence[int]) -> int:
    """75 where the sweep was stopped; 0 where all runs are done; where some are not, 4 if they all diverged, else 3; what
    all of them ended with, if none is done."""
    failed = {code for code in codes if code}
    if STOPPED in failed:
        return STOPPED
    if len(failed) == 1 and (failed == {4} or 0 not in codes):
        return next(iter(failed))
    return PartlyFailedError.exit_code if failed else 0


def _show(places: Sequence[Path], folder: Path) -> None:
    """The table of `gan runs`, of these."""
    there = [overview.overview(RunDirectory(path)) for path in places if path.is_dir()]
    out = console.console(sys.stderr)
    if there:
        out.print(runs_table.table(there, folder, out))


def _tell_again(wanted: Asked, folder: Path) -> None:
    """The command that goes on with the whole sweep (or, with `--only`, with this run of it)."""
    more = [] if train.value_of(wanted.args, "--out", "-o") is not None else ["--out", str(folder)]
    more += [] if train.value_of(wanted.args, "--resume") is not None else ["--resume", "auto"]
    console.say("all of it goes on with:")
    console.say("  gan train " + " ".join(map(shell_quoted, [*wanted.args, *more])))
