"""`gan train` with several values of an option: the runs that they make, one after the other, or one of them."""

import functools
import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gancli.cli import console, explain, runs, train
from gancli.cli.train import Request
from gancli.config import paths
from gancli.config.resolve import Layer
from gancli.config.run import TrainCommandConfig
from gancli.engine import begin, sweep
from gancli.engine import run as running
from gancli.engine.begin import Outlook
from gancli.engine.stop import Stop
from gancli.engine.sweep import Member
from gancli.errors import PartlyFailedError, StoppedError, UsageError, printable, shell_quoted
from gancli.store import rundir
from gancli.store.run_info import RunInfo
from gancli.store.rundir import RunDirectory

STOPPED = StoppedError.exit_code


@dataclass(frozen=True)
class Planned:
    """A run of a sweep, and what it is made of."""

    member: Member
    path: Path
    variant: str
    layers: Sequence[Layer]
    outlook: Outlook


def run(request: Request) -> int:
    """Train the runs of a sweep that are not finished, or show them (`--dry-run`), or train one (`--only`). Gives the exit
    code."""
    command = request.command
    members = _members(request)
    layers = request.layers(request.choice, request.values)
    out = begin.last_value(layers, "out")
    place = _folder(out, command) or Path("runs", f"{_usual_name(request, layers)}-NNN")

    def plan(folder: Path) -> list[Planned]:
        found = zip(members, sweep.places(folder, members), strict=True)
        return [_planned(request, *each) for each in found if command.only in (None, each[0].index)]

    planned = plan(place)
    if command.dry_run and command.only is None:
        _list(planned)
        return 0
    if out is None:
        place = rundir.numbered_folder(Path("runs"), _usual_name(request, layers))
        planned = plan(place)
    with Stop(begin.max_seconds(layers)) as stop:
        if command.dry_run:
            from gancli.cli import dry_run as dry

            dry.show(begin.begin(planned[0].variant, planned[0].layers, command.resume, dry_run=True))
            return 0
        if command.only is not None:
            code = _trained(planned[0], command.resume, stop)
            if code == STOPPED:
                _tell_again(request, place)
            return code
        return _all(request, planned, place, stop)


def _members(request: Request) -> list[Member]:
    """The runs of the sweep. Raises `UsageError` for what a sweep cannot do."""
    members = sweep.members(request.axes)
    flags = " ".join(axis.field.flag for axis in request.axes)
    resume, only = request.command.resume, request.command.only
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


def _usual_name(request: Request, layers: Sequence[Layer]) -> str:
    return begin.usual_name(request.choice.variant, begin.last_value(layers, "dataset") or "digits") + "-sweep"


def _folder(out: str | None, command: TrainCommandConfig) -> Path | None:
    """The folder of the sweep; None: one is to be numbered. Raises `UsageError` for a run's own."""
    if out is None:
        for name, value in (("--only", command.only), ("--resume", command.resume)):
            if value is not None:
                raise UsageError(f"{name} {value}: needs --out, the folder that the sweep's runs share")
        return None
    folder = paths.expanded(out, "--out")
    if folder.is_dir() and rundir.is_run([path.name for path in folder.iterdir()]):
        raise UsageError(f"--out {out}: is a run; the runs of a sweep lie in a folder of their own, give another")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {out}: is a file; choose another --out")
    return folder


def _planned(request: Request, member: Member, path: Path) -> Planned:
    """One run, as if it were the only one. Raises what that run would, before anything is trained or made, and `UsageError`
    where its variant is not the sweep's."""
    values = {**request.values, **member.values, "out": str(path)}
    choice = request.choose(values)
    if choice.variant != request.choice.variant:
        raise UsageError(
            f"--variant: would be {choice.variant} for {member.label}, and {request.choice.variant} for others; name one"
        )
    layers = request.layers(choice, values)
    outlook: Outlook = "new"
    if not _several_processes():  # of which the first looks, when it begins: another may have begun by now
        outlook = begin.outlook(choice.variant, layers, path, request.command.resume == "auto")
    return Planned(member, path, choice.variant, layers, outlook)


def _list(planned: Sequence[Planned]) -> None:
    """A line for each run: its number for `--only`, what it would do, where it lies."""
    for one in planned:
        console.print_result(f"{one.member.index:>4}  {one.outlook:<8}  {printable(str(one.path))}")


def _trained(one: Planned, resume: str | None, stop: Stop) -> int:
    start = functools.partial(begin.begin, one.variant, one.layers, resume, False)
    with running.joined() as ranks:
        return train.trained(running.prepared(one.variant, start, stop, ranks))


def _all(request: Request, planned: Sequence[Planned], folder: Path, stop: Stop) -> int:
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
        codes.append(0 if finished else _outcome(one, request.command.resume, stop))
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
        _tell_again(request, folder)
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
    there = [RunInfo(RunDirectory(path)) for path in places if path.is_dir()]
    out = console.console(sys.stderr)
    if there:
        out.print(runs.table(there, folder, out))


def _tell_again(request: Request, folder: Path) -> None:
    """The command that goes on with the whole sweep (or, with `--only`, with this run of it)."""
    more = [] if "out" in request.values else ["--out", str(folder)]
    more += [] if request.command.resume is not None else ["--resume", "auto"]
    console.say("to resume all of it:")
    console.say("  gan train " + " ".join(map(shell_quoted, [*request.words, *more])))
