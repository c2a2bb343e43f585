"""Run directories: the files in one, its lock, its saved states, and how a new one is made. Imports no torch."""

import contextlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from gancli.config import toml
from gancli.data.names import natural_order
from gancli.errors import CheckpointError, GancliError, UsageError, os_problem
from gancli.files import atomic, lock
from gancli.files.atomic import parse_temp_name
from gancli.text import counted, few

LOCK = ".lock"
UNSAVED = (
    LOCK,
    f"{LOCK}.*",
    "state",
    "samples",
    "samples/step-*.png",
    "tensorboard",
    "tensorboard/events.out.tfevents.*",
)
"""What a run that was killed before its first state leaves; and these, if `config.toml` was written by gan:"""
UNSAVED_WITH_CONFIG = ("config.toml", "metrics.jsonl", "log.jsonl", "report.html")
EXPORTED = "model.safetensors"  # the name that model hubs use
MARKS = ("config.toml", "ckpt.safetensors", LOCK, "metrics.jsonl", "state")
STATE = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True)
class RunDirectory:
    """The paths in a run directory. `made`: whether this process made the directory."""

    path: Path
    made: bool = field(default=False, compare=False)

    @property
    def checkpoint(self) -> Path:
        return self.path / "ckpt.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint with the best metric, with `--eval-every`."""
        return self.path / "best.safetensors"

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's event files, with `--tensorboard`."""
        return self.path / "tensorboard"

    @property
    def log(self) -> Path:
        """The start, the end and the warnings of the run."""
        return self.path / "log.jsonl"

    @property
    def page(self) -> Path:
        """The report page."""
        return self.path / "report.html"

    @property
    def folders(self) -> tuple[Path, Path]:
        return self.path / "state", self.path / "samples"

    def state(self, step: int) -> Path:
        return self.path / "state" / f"step-{step:08d}.safetensors"

    def samples(self, step: int) -> Path:
        return self.path / "samples" / f"step-{step:08d}.png"

    @property
    def holds_run(self) -> bool:
        return self.config.exists()

    def states(self) -> list[Path]:
        """Return the saved states, newest first. Raises `GancliError` if their folder cannot be listed."""
        folder = self.path / "state"
        try:
            found = [(int(m[1]), p) for p in folder.iterdir() if (m := STATE.fullmatch(p.name))]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise GancliError(os_problem(folder, "listed", error)) from None
        return [path for _, path in sorted(found, reverse=True)]

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep` states. One that cannot be removed now (open elsewhere, on Windows) is removed
        later."""
        for path in self.states()[keep:]:
            with contextlib.suppress(OSError):
                path.unlink()

    def make_folders(self) -> None:
        """Make the folders of states and samples where they are missing. Raises `GancliError`."""
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise GancliError(os_problem(folder, "made", error)) from error

    def discard_if_empty(self) -> None:
        """Remove the directory if this process made it and it is empty."""
        if self.made:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    @property
    def abandoned(self) -> bool:
        """Whether the directory contains nothing but the files of a run that was killed before its first state."""
        try:
            ours = self.config.read_bytes().startswith(toml.HEADING.encode())
        except OSError:
            ours = False
        patterns = (*UNSAVED, *(UNSAVED_WITH_CONFIG if ours else ()))
        names = (p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if not parse_temp_name(p.name))
        return all(any(fnmatchcase(name, pattern) for pattern in patterns) for name in names)


def is_run(names: Collection[str]) -> bool:
    """Return whether a folder with these names in it is a run directory: it has two of the marks, as other programs may use
    one of them."""
    marks = set(MARKS) & set(names)
    return len(marks) > 1 and bool(marks & {"config.toml", "ckpt.safetensors", LOCK})


def runs_in(folder: Path) -> list[Path]:
    """Return the runs in a folder that is not a run itself, such as a sweep's, in natural order; none, if the folder cannot
    be listed: reading it reports why."""
    try:
        names = [] if holds_model(folder) else [entry.name for entry in os.scandir(folder) if entry.is_dir()]
        return [folder / name for name in natural_order(names) if holds_model(folder / name)]
    except OSError:
        return []


def holds_model(folder: Path) -> bool:
    """Return whether a folder is a run directory, or contains a checkpoint. Raises `OSError`."""
    names = [name for name in (*MARKS, EXPORTED) if (folder / name).exists()]
    return is_run(names) or not {"ckpt.safetensors", EXPORTED}.isdisjoint(names)


def describe_runs(folder: Path) -> str:
    """Return `is a folder of 2 runs (000-seed=1, 001-seed=2)`, or `""` if it contains none."""
    runs = runs_in(folder)
    return f"is a folder of {counted(len(runs), 'run')} ({few([run.name for run in runs])})" if runs else ""


def model_file(path: Path) -> Path:
    """Return the checkpoint at a path: the file itself, or that of a run directory or of a folder of `gan export`."""
    if not path.is_dir():
        return path
    own, exported = RunDirectory(path).checkpoint, path / EXPORTED
    with contextlib.suppress(OSError):  # reading the file reports why
        if exported.exists() and not own.exists():
            return exported
    return own


def require_model_file(path: Path) -> Path:
    """Return the same file. Raises `CheckpointError` if `path` is a directory without one."""
    file = model_file(path)
    with contextlib.suppress(OSError):  # reading the file reports why
        if path.is_dir() and not file.exists():
            raise CheckpointError(f"{path}: contains no checkpoint")
    return file


def weights_file(path: Path) -> Path:
    """Return the file that `--init-from` reads: `path` itself, or the newest state of a run directory, else its checkpoint.
    Raises `UsageError` if there is none."""
    flag = f"--init-from {path}"
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return path
    except FileNotFoundError:
        raise UsageError(f"{flag}: no such file or directory") from None
    except OSError as error:
        raise UsageError(os_problem(flag, "read", error)) from None
    if folder := describe_runs(path):
        raise UsageError(f"{flag}: {folder}; give one of them")
    if not (found := [*RunDirectory(path).states(), *filter(Path.exists, [model_file(path)])]):
        raise UsageError(f"{flag}: contains no model, neither state/step-….safetensors nor ckpt.safetensors")
    return found[0]


def make_numbered_run(parent: Path, stem: str) -> RunDirectory:
    """Make the run directory `parent/stem-NNN` with the next free number. Raises `GancliError`."""
    return RunDirectory(make_numbered_folder(parent, stem), made=True)


def make_numbered_folder(parent: Path, stem: str) -> Path:
    """Make the folder `parent/stem-NNN` with the next free number. Raises `GancliError`."""
    taken = [int(p.name[len(stem) + 1 :]) for p in parent.glob(f"{stem}-*") if p.name[len(stem) + 1 :].isdecimal()]
    number = max(taken, default=0) + 1
    while True:
        path = parent / f"{stem}-{number:03d}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            return path
        except FileExistsError:
            number += 1  # a concurrent run took it
        except OSError as error:
            raise GancliError(f"{os_problem(path, 'made', error)}; choose another place with --out") from error


def make_writable(path: Path) -> RunDirectory:
    """Make `path` if it is missing. Raises `GancliError` if it is not writable."""
    try:
        made = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        atomic.check_writable(path)
    except OSError as error:
        raise GancliError(os_problem(f"--out {path}", "written to", error)) from error
    return RunDirectory(path, made)


def check_new(path: Path, again: bool) -> None:
    """Raise `UsageError` if `path` contains anything that a new run would overwrite. `again`: accept the files of a run that
    was killed before its first state."""
    try:
        if path.exists() and (problem := _obstacle(path, again)):
            raise UsageError(f"--out {path}: {problem}")
    except OSError as error:
        raise GancliError(os_problem(f"--out {path}", "read", error)) from error


def _obstacle(path: Path, again: bool) -> str:
    """Return what at `path` must not be overwritten, and what to do; `""` if there is nothing."""
    directory = RunDirectory(path)
    if not path.is_dir():
        return "is a file; choose another --out"
    if directory.states():
        return "contains a run; resume it with --resume auto, or choose another --out"
    if directory.checkpoint.exists() or directory.best.exists():
        return "contains a trained model, but no state to resume from; choose another --out, or move the model away"
    if not any(path.iterdir()) or (again and directory.abandoned):
        return ""
    if directory.abandoned:
        return "contains a run without a saved state; restart it with --resume auto, or choose another --out"
    if folder := describe_runs(path):
        return f"{folder}; give the options of that sweep to resume it, or choose another --out"
    return "is not empty, and contains no run; choose another --out"


@contextlib.contextmanager
def locked(directory: RunDirectory) -> Iterator[tuple[str, ...]]:
    """Lock the directory for one writer, remove temporary files of killed writers, and make its folders; yields warnings. If
    no run began, the folders are removed again. Raises `GancliError` that names the other writer if there is one."""
    try:
        with lock.exclusive(directory.path / LOCK) as warning:
            for folder in (directory.path, *directory.folders):
                atomic.sweep(folder)
            directory.make_folders()
            try:
                yield (warning,) if warning else ()
            finally:
                if not directory.holds_run:
                    for folder in directory.folders:
                        with contextlib.suppress(OSError):  # not empty: it stays
                            folder.rmdir()
    finally:
        directory.discard_if_empty()


def holder(directory: RunDirectory) -> lock.Holder | None:
    """Return the process that writes in the directory, or None."""
    return lock.holder(directory.path / LOCK)
