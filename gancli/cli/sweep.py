"""`gan train` with several values of an option: a sweep of runs, one after the other."""

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
from gancli.engine import run as running
from gancli.engine import startup, sweep
from gancli.engine.startup import Forecast
from gancli.engine.stop import Stop
from gancli.engine.sweep import Member
from gancli.errors import PartlyFailedError, StoppedError, UsageError, shell_quoted
from gancli.machine import launch
from gancli.store import run_directory
from gancli.store.run_directory import RunDirectory
from gancli.store.run_info import RunInfo
from gancli.text import printable

STOPPED = StoppedError.exit_code


@dataclass(frozen=True)
class Planned:
    """A run of a sweep, ready to start."""

    member: Member
    path: Path
    variant: str
    layers: Sequence[Layer]
    outlook: Forecast


def run(request: Request) -> int:
    """Train the runs of a sweep that are not finished, or list them (`--dry-run`), or train one (`--only`). Returns the exit
    code."""
    command, layers = request.command, request.layers(request.choice, request.values)
    members = _members(request)
    out = startup.value_of(layers, "out")
    default_name = (
        startup.default_name(request.choice.variant, startup.value_of(layers, "dataset") or "digits") + "-sweep"
    )
    folder = _folder(out, command) or Path("runs", f"{default_name}-NNN")
    planned = _plan(request, members, folder)
    if command.dry_run and command.only is None:
        for one in planned:
            console.print_result(f"{one.member.index:>4}  {one.outlook:<8}  {printable(str(one.path))}")
        return 0
    if out is None:
        folder = run_directory.make_numbered_folder(Path("runs"), default_name)
        planned = _plan(request, members, folder)
    with Stop(startup.max_seconds(layers)) as stop:
        if command.dry_run:
            from gancli.cli import dry_run as dry

            dry.show(startup.resolve_start(planned[0].variant, planned[0].layers, command.resume, dry_run=True))
            return 0
        if command.only is None:
            return _train_all(request, planned, folder, stop)
        code = _train(planned[0], request, folder, stop)
        if code == STOPPED:
            _print_resume_command(request, folder)
        return code


def _plan(request: Request, members: Sequence[Member], folder: Path) -> list[Planned]:
    """The runs in the folder of a sweep, or the one of `--only`."""
    found = zip(members, sweep.run_paths(folder, members), strict=True)
    return [_planned(request, member, path) for member, path in found if request.command.only in (None, member.index)]


def _members(request: Request) -> list[Member]:
    """The runs of the sweep. Raises `UsageError` for what a sweep cannot do."""
    members = sweep.members(request.axes)
    flags = " ".join(axis.field.flag for axis in request.axes)
    resume, only = request.command.resume, request.command.only
    if resume not in (None, "auto"):
        raise UsageError(
            f"--resume {resume}: names one run, but several values of {flags} are a sweep; resume it with --resume auto"
        )
    if only is not None and not 0 <= only < len(members):
        raise UsageError(f"--only {only}: the sweep has {len(members):,} runs, 0 to {len(members) - 1}")
    if only is None and _several_processes():
        raise UsageError(f"{flags}: several processes train one run of a sweep at a time; select it with --only K")
    return members


def _several_processes() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _folder(out: str | None, command: TrainCommandConfig) -> Path | None:
    """The folder of the sweep; None if it gets a number. Raises `UsageError` for the directory of a run."""
    if out is None:
        for name, value in (("--only", command.only), ("--resume", command.resume)):
            if value is not None:
                raise UsageError(f"{name} {value}: needs --out, the folder of the sweep")
        return None
    folder = paths.expanded(out, "--out")
    if folder.is_dir() and run_directory.is_run([path.name for path in folder.iterdir()]):
        raise UsageError(f"--out {out}: is a run directory; give another folder for the sweep")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {out}: is a file; choose another --out")
    return folder


def _planned(request: Request, member: Member, path: Path) -> Planned:
    """One run of a sweep. Raises the errors of that run before anything is written, and `UsageError` if its variant differs
    from that of the others."""
    values = {**request.values, **member.values, "out": str(path)}
    choice = request.choose(values)
    if choice.variant != request.choice.variant:
        raise UsageError(
            f"--variant: {member.label} needs {choice.variant}, the others {request.choice.variant}; give --variant"
        )
    layers = request.layers(choice, values)
    outlook: Forecast = "new"
    if not _several_processes():  # else the first process checks when it starts
        outlook = startup.forecast(choice.variant, layers, path, request.command.resume == "auto")
    return Planned(member, path, choice.variant, layers, outlook)


def _train(one: Planned, request: Request, folder: Path, stop: Stop) -> int:
    command = request.command
    start = functools.partial(startup.resolve_start, one.variant, one.layers, command.resume, False)
    count = launch.resolve_count(command.processes, startup.value_of(one.layers, "device"))
    words = [*request.words, "--out", str(folder), "--only", str(one.member.index)]
    with launch.launched(count, words), running.joined() as ranks:
        return train.trained(running.prepared(one.variant, start, stop, ranks))


def _train_all(request: Request, planned: Sequence[Planned], folder: Path, stop: Stop) -> int:
    """Train one run after the other; the error of one is printed, and the others continue."""
    progress = startup.value_of(planned[0].layers, "progress")
    tell = console.print_message if progress != "none" else lambda _: None
    codes: list[int] = []
    for number, one in enumerate(planned, 1):
        if stop.reason is not None:
            codes.append(STOPPED)
            break
        finished = one.outlook == "finished"
        tell(f"run {number} of {len(planned)}: {one.member.label}{', finished before' if finished else ''}: {one.path}")
        if finished and progress != "json":
            train.print_checkpoint(str(RunDirectory(one.path).checkpoint))
        codes.append(0 if finished else _outcome(one, request, folder, stop))
        gc.collect()  # free networks, graphs and data of this run
        if codes[-1] == STOPPED:
            break
    there = [one.path for one in planned if RunDirectory(one.path).metrics.exists()]
    if len(there) > 1 and startup.value_of(planned[0].layers, "report") is not False:
        from gancli.page import files  # imported late, for a quick start

        if note := files.write_sweep_page(folder, there):
            console.print_message(f"warning: {note}")
        elif progress != "none":
            console.print_message(f"report: {folder / 'report.html'}")
    if progress != "none":
        _print_table([one.path for one in planned], folder)
    if codes[-1] == STOPPED:
        done = sum(code == 0 for code in codes)
        console.print_message(f"stopped by {stop.reason or 'a signal'} with {done} of {len(planned)} runs done")
        _print_resume_command(request, folder)
    return _code(codes)


def _outcome(one: Planned, request: Request, folder: Path, stop: Stop) -> int:
    """Train one run and return its exit code; an error is printed."""
    try:
        return _train(one, request, folder, stop)
    except Exception as error:
        if os.environ.get("GAN_DEBUG", "") not in ("", "0"):
            raise
        code, message = explain.explained(error, ["train"])
        console.print_error(f"{one.member.label}: {message}")
        return code


def _code(codes: Sequence[int]) -> int:
    """The exit code of a sweep: 75 if it was stopped, 0 if all runs are done, 4 if all that failed diverged, else 3; if all
    failed with one code, that code."""
    failed = {code for code in codes if code}
    if STOPPED in failed:
        return STOPPED
    if len(failed) == 1 and (failed == {4} or 0 not in codes):
        return next(iter(failed))
    return PartlyFailedError.exit_code if failed else 0


def _print_table(places: Sequence[Path], folder: Path) -> None:
    """Print the table of `gan runs` for these runs on stderr."""
    found = [RunInfo(RunDirectory(path)) for path in places if path.is_dir()]
    out = console.console(sys.stderr)
    if found:
        out.print(runs.table(found, folder, out))


def _print_resume_command(request: Request, folder: Path) -> None:
    """Print the command that resumes the sweep (with `--only`, this run of it)."""
    more = [] if "out" in request.values else ["--out", str(folder)]
    more += [] if request.command.resume is not None else ["--resume", "auto"]
    console.print_message("to resume:")
    console.print_message("  gan train " + " ".join(map(shell_quoted, [*request.words, *more])))
