"""`gan train` with several values of an option: a sweep of runs, one after the other."""

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gancli.cli import console, dry_run, explain, runs, train
from gancli.cli.train import Request
from gancli.config import paths
from gancli.config.resolve import Layer
from gancli.config.run import TrainCommandConfig
from gancli.engine import startup, sweep
from gancli.engine.choice import choose
from gancli.engine.run import several_processes
from gancli.engine.startup import Forecast
from gancli.engine.stop import Stop
from gancli.engine.sweep import Member
from gancli.errors import PartlyFailedError, StoppedError, UsageError, shell_quoted
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
    forecast: Forecast


def run(request: Request) -> int:
    """Train the runs of a sweep that are not finished, or list them (`--dry-run`), or train one (`--only`). Returns the exit
    code."""
    command, layers = request.command, request.layers
    members = _members(request)
    out, dataset = startup.value_of(layers, "out"), startup.value_of(layers, "dataset") or "digits"
    default_name = f"{startup.default_name(request.choice.variant, dataset)}-sweep"
    folder = Path("runs", f"{default_name}-NNN") if out is None else paths.expanded(out, "--out")
    _check_folder(out, folder, command)
    planned = _plan(request, members, folder)
    if command.dry_run and command.only is None:
        for one in planned:
            console.print_result(f"{one.member.index:>4}  {one.forecast:<8}  {printable(str(one.path))}")
        return 0
    if out is None:
        folder = run_directory.make_numbered_folder(Path("runs"), default_name)
        planned = _plan(request, members, folder)
    with Stop(startup.max_seconds(layers)) as stop:
        if command.only is None:
            return _train_all(request, planned, folder, stop)
        (one,) = planned
        if command.dry_run:
            dry_run.show(startup.resolve_start(one.variant, one.layers, command.resume, dry_run=True))
            return 0
        code = train.train(one.variant, one.layers, command.resume, stop)
        if code == STOPPED:
            _print_resume_command(request, folder)
        return code


def _members(request: Request) -> list[Member]:
    """Return the runs of the sweep. Raises `UsageError` for options that a sweep does not support."""
    members = sweep.members(request.axes)
    flags = " ".join(axis.field.flag for axis in request.axes)
    resume, only = request.command.resume, request.command.only
    if resume not in (None, "auto"):
        raise UsageError(
            f"--resume {resume}: names one run, but several values of {flags} are a sweep; resume it with --resume auto"
        )
    if only is not None and not 0 <= only < len(members):
        raise UsageError(f"--only {only}: the sweep has {len(members):,} runs, 0 to {len(members) - 1}")
    if only is None and several_processes():
        raise UsageError(f"{flags}: several processes train one run of a sweep at a time; select it with --only K")
    return members


def _check_folder(out: str | None, folder: Path, command: TrainCommandConfig) -> None:
    """Raises `UsageError` if `--out` is missing but needed, or is a file or the directory of a run."""
    for name, value in (("--only", command.only), ("--resume", command.resume)):
        if out is None and value is not None:
            raise UsageError(f"{name} {value}: needs --out, the folder of the sweep")
    if folder.is_dir() and run_directory.is_run([path.name for path in folder.iterdir()]):
        raise UsageError(f"--out {out}: is a run directory; give another folder for the sweep")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {out}: is a file; choose another --out")


def _plan(request: Request, members: Sequence[Member], folder: Path) -> list[Planned]:
    """Return the runs in the folder of a sweep, or the one of `--only`."""
    found = zip(members, sweep.run_paths(folder, members), strict=True)
    return [_planned(request, member, path) for member, path in found if request.command.only in (None, member.index)]


def _planned(request: Request, member: Member, path: Path) -> Planned:
    """Return one run of a sweep. Raises the errors of that run before anything is written, and `UsageError` if its variant
    differs from that of the others."""
    values = {**request.values, **member.values, "out": str(path)}
    choice = choose(values, request.table, request.command.config, request.command.resume)
    if choice.variant != request.choice.variant:
        raise UsageError(
            f"--variant: {member.label} needs {choice.variant}, the others {request.choice.variant}; give --variant"
        )
    layers = request.layers_of(choice, values)
    forecast: Forecast = "new"
    if not several_processes():  # else the first process checks when it starts
        forecast = startup.forecast(choice.variant, layers, path, request.command.resume == "auto")
    return Planned(member, path, choice.variant, layers, forecast)


def _train_all(request: Request, planned: Sequence[Planned], folder: Path, stop: Stop) -> int:
    """Train one run after the other; the error of one is printed, and the others continue."""
    progress = startup.value_of(planned[0].layers, "progress")
    codes: list[int] = []
    for number, one in enumerate(planned, 1):
        if stop.reason is not None:
            codes.append(STOPPED)
            break
        finished = one.forecast == "finished"
        if progress != "none":
            before = ", finished before" if finished else ""
            console.print_message(f"run {number} of {len(planned)}: {one.member.label}{before}: {one.path}")
        if finished and progress != "json":
            train.print_checkpoint(str(RunDirectory(one.path).checkpoint))
        codes.append(0 if finished else _train_one(one, request.command.resume, stop))
        gc.collect()  # free networks, graphs and data of this run
        if codes[-1] == STOPPED:
            break
    if startup.value_of(planned[0].layers, "report") is not False:
        _write_page(planned, folder, show_path=progress != "none")
    if progress != "none":
        _print_table([one.path for one in planned], folder)
    if codes[-1] == STOPPED:
        done = sum(code == 0 for code in codes)
        console.print_message(f"stopped by {stop.reason or 'a signal'} with {done} of {len(planned)} runs done")
        _print_resume_command(request, folder)
    return _exit_code(codes)


def _train_one(one: Planned, resume: str | None, stop: Stop) -> int:
    """Train one run and return its exit code; an error is printed."""
    try:
        return train.train(one.variant, one.layers, resume, stop)
    except Exception as error:
        if os.environ.get("GAN_DEBUG", "") not in ("", "0"):
            raise
        code, message = explain.explained(error, ["train"])
        console.print_error(f"{one.member.label}: {message}")
        return code


def _exit_code(codes: Sequence[int]) -> int:
    """Return the exit code of a sweep: 75 if it was stopped, 0 if all runs are done, 4 if all that failed diverged, else 3;
    if all failed with one code, that code."""
    failed = {code for code in codes if code}
    if STOPPED in failed:
        return STOPPED
    if len(failed) == 1 and (failed == {4} or 0 not in codes):
        return next(iter(failed))
    return PartlyFailedError.exit_code if failed else 0


def _write_page(planned: Sequence[Planned], folder: Path, show_path: bool) -> None:
    """Write the page of all runs that have metrics, if there are several."""
    started = [one.path for one in planned if RunDirectory(one.path).metrics.exists()]
    if len(started) < 2:
        return
    from gancli.page import files  # imported late, for a quick start

    if note := files.write_sweep_page(folder, started):
        console.print_message(f"warning: {note}")
    elif show_path:
        console.print_message(f"report: {folder / 'report.html'}")


def _print_table(run_paths: Sequence[Path], folder: Path) -> None:
    """Print the table of `gan runs` for these runs on stderr."""
    found = [RunInfo(RunDirectory(path)) for path in run_paths if path.is_dir()]
    out = console.console(sys.stderr)
    if found:
        out.print(runs.table(found, folder, out))


def _print_resume_command(request: Request, folder: Path) -> None:
    """Print the command that resumes the sweep (with `--only`, this run of it)."""
    more = [] if "out" in request.values else ["--out", str(folder)]
    more += [] if request.command.resume is not None else ["--resume", "auto"]
    console.print_message("to resume:")
    console.print_message("  gan train " + " ".join(map(shell_quoted, [*request.arguments, *more])))
