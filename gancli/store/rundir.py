"""A run directory: what lies where, who writes in it, which states there are. Imports no torch."""

import contextlib
import fnmatch
import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from gancli.config import toml
from gancli.data.classes import ordered
from gancli.errors import CheckpointError, GancliError, UsageError, few
from gancli.files import atomic, lock
from gancli.files.atomic import parse_temp_name

LOCK = ".lock"
AFTER_CONFIG = (
    "config.toml",
    "metrics.jsonl",
    "log.jsonl",
    "report.html",
)  # written only beside a configuration of ours
EXPORTED = "model.safetensors"  # what model hubs call it
MARKS = ("config.toml", "ckpt.safetensors", LOCK, "metrics.jsonl", "state")  # of a run directory
STATE = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True)
class RunDirectory:
    """The names in a run directory."""

    path: Path
    made: bool = field(default=False, compare=False)  # by this process: it was not there before

    @property
    def checkpoint(self) -> Path:
        return self.path / "ckpt.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint that measured best, with `--eval-every`."""
        return self.path / "best.safetensors"

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files, with `--tensorboard`."""
        return self.path / "tensorboard"

    @property
    def log(self) -> Path:
        """What the run told beside its losses."""
        return self.path / "log.jsonl"

    @property
    def page(self) -> Path:
        """The run as a page for browsers."""
        return self.path / "report.html"

    def state(self, step: int) -> Path:
        return self.path / "state" / f"step-{step:08d}.safetensors"

    def samples(self, step: int) -> Path:
        return self.path / "samples" / f"step-{step:08d}.png"

    def states(self) -> list[Path]:
        """The saved states, newest first. Raises `GancliError` where they may not be seen: that is not to have none."""
        folder = self.path / "state"
        try:
            found = [(int(m[1]), p) for p in folder.iterdir() if (m := STATE.fullmatch(p.name))]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise GancliError(f"{folder}: cannot be listed ({error.strerror})") from None
        return [path for _, path in sorted(found, reverse=True)]

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep` states. One that cannot be removed (open elsewhere, on Windows) goes later."""
        for path in self.states()[keep:]:
            with contextlib.suppress(OSError):
                path.unlink()

    def sweep(self) -> None:
        """Remove the unfinished files of a writer that was killed. Only for the one that holds the directory."""
        for folder in (self.path, *self.folders):
            atomic.sweep(folder)

    def make_folders(self) -> None:
        """Make what files are written into, where it is missing. Raises `GancliError` where that is not possible."""
        try:
            for folder in self.folders:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GancliError(f"{folder}: cannot be made ({error.strerror})") from error

    @property
    def folders(self) -> tuple[Path, Path]:
        return self.path / "state", self.path / "samples"

    def discard_if_empty(self) -> None:
        """Remove the directory again if this process made it and no run began in it, of this process or of another."""
        if self.made:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    @property
    def abandoned(self) -> bool:
        """Whether nothing lies here but what a run leaves that was killed before it had saved anything."""
        names = (
            LOCK,
            f"{LOCK}.*",
            *(AFTER_CONFIG if self._config_is_ours() else ()),
            "state",
            "samples",
            "tensorboard",
        )
        folders = (
            (self.path, names),
            (self.path / "state", ()),
            (self.path / "samples", ("step-*.png",)),
            (self.tensorboard, ("events.out.tfevents.*",)),
        )
        return all(_holds_only(folder, patterns) for folder, patterns in folders)

    def _config_is_ours(self) -> bool:
        try:
            return self.config.read_bytes().startswith(toml.HEADING.encode())
        except OSError:
            return False

    @property
    def holds_run(self) -> bool:
        return self.config.exists()


def is_run(names: Collection[str]) -> bool:
    """Whether a folder with these names in it is one that a run writes to, or was: two of its marks at least, as one alone
    may be anybody's."""
    marks = set(MARKS) & set(names)
    return len(marks) > 1 and bool(marks & {"config.toml", "ckpt.safetensors", LOCK})


def runs_in(folder: Path) -> list[Path]:
    """The runs in a folder that is no run itself, such as a sweep's, by name as people count. None where it cannot be
    listed: reading it tells why."""
    try:
        names = [] if _holds_model(folder) else [entry.name for entry in os.scandir(folder) if entry.is_dir()]
        return [folder / name for name in ordered(names) if _holds_model(folder / name)]
    except OSError:
        return []


def _holds_model(folder: Path) -> bool:
    names = [name for name in (*MARKS, EXPORTED) if (folder / name).exists()]
    return is_run(names) or not {"ckpt.safetensors", EXPORTED}.isdisjoint(names)


def several(folder: Path) -> str:
    """`is a folder of 2 runs (000-seed=1, 001-seed=2)`, or `""` for what is none."""
    runs = runs_in(folder)
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return f"is a folder of {count} ({few([run.name for run in runs])})" if runs else ""


def model_file(path: Path) -> Path:
    """The checkpoint that a path stands for: itself, or that of a run directory, or of a folder that `gan export` made."""
    if not path.is_dir():
        return path
    own, exported = RunDirectory(path).checkpoint, path / EXPORTED
    with contextlib.suppress(OSError):  # reading it tells why
        if exported.exists() and not own.exists():
            return exported
    return own


def model_in(path: Path) -> Path:
    """The same, known to be there if `path` is a directory. Raises `CheckpointError`."""
    file = model_file(path)
    with contextlib.suppress(OSError):  # reading it tells why
        if path.is_dir() and not file.exists():
            raise CheckpointError(f"{path}: holds no checkpoint")
    return file


def weights_file(path: Path) -> Path:
    """What a run that starts from `path` reads: itself, or of a run directory the newest state, else its checkpoint. Raises
    `UsageError` where there is none of that."""
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return path
    except FileNotFoundError:
        raise UsageError(f"--init-from {path}: is not there") from None
    except OSError as error:
        raise UsageError(f"--init-from {path}: cannot be read ({error.strerror})") from None
    if folder := several(path):
        raise UsageError(f"--init-from {path}: {folder}; give one of them")
    directory = RunDirectory(path)
    if not (found := [*directory.states(), *filter(Path.exists, [model_file(path)])]):
        raise UsageError(f"--init-from {path}: holds no model, neither state/step-….safetensors nor ckpt.safetensors")
    return found[0]


def numbered(parent: Path, stem: str) -> RunDirectory:
    """Make the run directory `parent/stem-NNN` with the first free number. Raises `GancliError` where it cannot be made."""
    return replace(prepared(numbered_folder(parent, stem)), made=True)


def numbered_folder(parent: Path, stem: str) -> Path:
    """The same for a folder that is to be empty."""
    taken = [int(p.name[len(stem) + 1 :]) for p in parent.glob(f"{stem}-*") if p.name[len(stem) + 1 :].isdecimal()]
    number = max(taken, default=0) + 1
    while True:
        path = parent / f"{stem}-{number:03d}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            return path
        except FileExistsError:
            number += 1  # another run of the same moment took it
        except OSError as error:
            raise GancliError(f"{path}: cannot be made ({error.strerror}); choose a place with --out") from error


def prepared(path: Path) -> RunDirectory:
    """`path`, made where it is missing. Raises `GancliError` if it cannot be written to."""
    try:
        made = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        atomic.check_writable(path)
    except OSError as error:
        raise GancliError(f"--out {path}: cannot be written to ({error.strerror})") from error
    return RunDirectory(path, made)


def check_new(path: Path, again: bool) -> None:
    """Raises `UsageError` if something lies at `path` that a new run would overwrite. `again`: what a run leaves that was
    killed before it had saved anything is no hindrance."""
    try:
        if path.exists() and (found := _hindrance(path, again)):
            raise UsageError(f"--out {path}: {found}")
    except OSError as error:
        raise GancliError(f"--out {path}: cannot be read ({error.strerror})") from error


def _hindrance(path: Path, again: bool) -> str:
    """What lies at `path` that must not be overwritten, and the ways out; `""` if nothing does."""
    directory = RunDirectory(path)
    if not path.is_dir():
        return "is a file; choose another --out"
    if not any(path.iterdir()):
        return ""
    if directory.states():
        return "holds a run; go on with it by --resume auto, or choose another --out"
    if directory.abandoned:
        return (
            ""
            if again
            else "holds a run that had saved nothing yet; --resume auto starts it anew, or choose another --out"
        )
    if directory.checkpoint.exists() or directory.best.exists():
        return "holds a trained model, but no state to go on from; choose another --out, or move the model away"
    if folder := several(path):
        return f"{folder}; give the options of that sweep to resume it, or choose another --out"
    return "is not empty, and holds no run; choose another --out"


def _holds_only(folder: Path, patterns: tuple[str, ...]) -> bool:
    """Whether all names in a folder (none, where there is no folder) are of these patterns, or of unfinished files."""
    names = [entry.name for entry in folder.iterdir() if not parse_temp_name(entry.name)] if folder.is_dir() else []
    return all(any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) for name in names)


@contextlib.contextmanager
def locked(directory: RunDirectory) -> Iterator[tuple[str, ...]]:
    """Hold the directory, and its folders, for one writer; gives what to warn of. Only that writer removes them again, where
    no run began in them. Raises `GancliError` with the other's host and pid if there is one."""
    try:
        with lock.exclusive(directory.path / LOCK) as note:
            directory.sweep()
            directory.make_folders()
            try:
                yield (note,) if note else ()
            finally:
                if not directory.holds_run:
                    for folder in directory.folders:
                        with contextlib.suppress(OSError):  # holds something: it stays
                            folder.rmdir()
    finally:
        directory.discard_if_empty()


def holder(directory: RunDirectory) -> lock.Holder | None:
    """Return which process writes in the directory, or None."""
    return lock.holder(directory.path / LOCK)
