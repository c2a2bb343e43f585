"""Surroundings that are disks: what they cannot do, who owns what, what is gone or full, what lies in folders."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.reliability.cells import PLAIN, Cell
from tests.reliability.faults import ImpossibleError
from tests.reliability.places import Place
from tests.reliability.streams import Streams

OLD_S, NEW_S = -(10**8), 4 * 10**9  # 1966 and 2096
FAILED = {1, 2}  # 2 where it is told with the option
ALL_READERS = {"run": FAILED, "sr": FAILED, "half": FAILED}
SMALL_DISK = replace(
    PLAIN, half="disk/half", out="disk/out", grid="disk/g.png", drawn="disk/drawn", array="disk/a.npz", big="disk/big",
    enlarged="disk/e.png", hub="disk/hub", page="disk/page.html",
)  # fmt: skip
RUNS = ("run", "half", "sr")
NO_LOCKS = ("ENOSYS", "ENOLCK", "EOPNOTSUPP")
DENIED = r"[Pp]ermission denied|cannot be (read|written|opened|made)|may not|not readable"


def _modes(mode: int, *patterns: str) -> Callable[[Cell], contextlib.AbstractContextManager[None]]:
    """Set the mode of what lies in the cell by these patterns, `{run}/*` and the like."""

    @contextlib.contextmanager
    def arranged(cell: Cell) -> Iterator[None]:
        paths = [path for pattern in patterns for path in _found(cell, pattern)]
        for path in sorted(paths, reverse=True):  # what lies in a folder before the folder
            path.chmod(mode)
        yield

    return arranged


def _found(cell: Cell, pattern: str) -> Iterable[Path]:
    whole = Path(pattern.format(**cell.paths()))
    fixed = [part for part in whole.parts if "*" not in part]
    root = Path(*fixed)
    rest = whole.relative_to(root).as_posix()
    return [root] if rest == "." else sorted(root.glob(rest))


@contextlib.contextmanager
def _owned_by_root(cell: Cell) -> Iterator[None]:
    """Everything is the other user's but the cache."""
    if os.geteuid() != 0:
        raise ImpossibleError("only root gives files away")
    for folder, _, files in os.walk(cell.base):
        if not folder.startswith(str(cell.data)):
            for path in (folder, *(os.path.join(folder, name) for name in files)):  # noqa: PTH118
                os.lchown(path, 65534, 65534)
    for parent in cell.base.parents:
        if parent.stat().st_mode & 0o5 != 0o5:
            parent.chmod(parent.stat().st_mode | 0o5)
    yield


@contextlib.contextmanager
def _private_cache(cell: Cell) -> Iterator[None]:
    (cell.data / "cache").chmod(0o700)
    with _owned_by_root(cell):
        yield


@contextlib.contextmanager
def _data_is_a_file(cell: Cell) -> Iterator[None]:
    shutil.rmtree(cell.data)
    cell.data.write_text("no folder")
    yield


@contextlib.contextmanager
def _odd_files(cell: Cell) -> Iterator[None]:
    """What lies in folders and is no file."""
    for folder in (cell.path("pics") / cell.names.classes[0], cell.path("low"), cell.path("photos")):
        os.mkfifo(folder / "pipe.png")
        (folder / "nowhere.png").symlink_to("nowhere")
        (folder / "loop.png").symlink_to("loop.png")
        (folder / "folder.png").mkdir()
        with socket.socket(socket.AF_UNIX) as bound, contextlib.chdir(folder):
            bound.bind("socket.png")
    yield


@contextlib.contextmanager
def _two_cases(cell: Cell) -> Iterator[None]:
    for name in ("X.png", "x.png"):
        shutil.copy(cell.path("low") / "second.png", cell.path("low") / name)
    yield


@contextlib.contextmanager
def _read_only_mount(cell: Cell) -> Iterator[None]:
    with _mounted(cell.work, "--bind", str(cell.work)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(cell.work)], check=True, capture_output=True)
        yield


@contextlib.contextmanager
def _full_disk(cell: Cell) -> Iterator[None]:
    """`disk` is a real one with no room left: what lay there lies on it."""
    place, aside = cell.work / "disk", cell.work / "aside"
    place.rename(aside)
    place.mkdir()
    try:
        with _mounted(place, "-t", "tmpfs", "-o", "size=1m", "none"):
            shutil.copytree(aside, place, dirs_exist_ok=True)
            shutil.rmtree(aside)
            with (place / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            yield
            shutil.copytree(place, aside)
            (aside / "filler").unlink()
    finally:
        if aside.exists():
            place.rmdir()
            aside.rename(place)


@contextlib.contextmanager
def _mounted(place: Path, *how: str) -> Iterator[None]:
    made = subprocess.run(["mount", *how, str(place)], capture_output=True)
    if made.returncode != 0:
        raise ImpossibleError(f"nothing can be mounted here ({made.stderr.decode().strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def _times(seconds: int) -> Callable[[Cell], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def arranged(cell: Cell) -> Iterator[None]:
        for folder, _, files in os.walk(cell.work):
            for path in (folder, *(os.path.join(folder, name) for name in files)):  # noqa: PTH118
                os.utime(path, (seconds, seconds))
        yield

    return arranged


def _file_systems() -> list[Place]:
    eio = {"trains": {1}, "pipe": {0}, "folder": {0, 1}, "enlarge all": {0, 1, 3}, "makes": {1}, "evaluate": {0, 1}}
    two = Place(
        "a disk on which A.png is a.png", arranged=_two_cases, same_bytes=False, codes={"enlarge all": {0, 2, 3}}
    )
    return [
        *(Place(f"no locks ({code})", (f"locks:{code}",), short=code == "ENOSYS") for code in NO_LOCKS),
        Place("directories cannot be synced (EINVAL)", ("fsync:EINVAL:directories",), short=True),
        Place("directories cannot be synced (EACCES)", ("fsync:EACCES:directories",)),
        Place("nothing can be synced (EINVAL)", ("fsync:EINVAL",)),
        Place("syncing fails (EIO)", ("fsync:EIO",), codes=eio),
        Place("no hard links", ("links",)),
        Place("no renaming over a file (EEXIST)", ("over:EEXIST",), codes={"trains": {0, 1, 75}, "evaluate": {0, 1}}),
        Place("no renaming over a file (EPERM)", ("over:EPERM",), codes={"trains": {0, 1, 75}, "evaluate": {0, 1}}),
        replace(two, faults=("caseless:{big}", "caseless:{drawn}", "caseless:{out}", "caseless:{half}")),
        Place("files of 2096", arranged=_times(NEW_S)),
        Place("files of 1966", arranged=_times(OLD_S)),
        Place("one process id in two containers", ("pid:7", "slow:20"), only=frozenset({"train"}), event="twin"),
        Place("another run in the directory", only=frozenset({"resume"}), event="rival", rival=True, truth="another run",
              codes={"resume": {1}}),
    ]  # fmt: skip


def _rights() -> list[Place]:
    bits = ("bits",)
    read_only = {"pipe": {0}, "makes": {1}, "evaluate": {0}}
    none = {"dry run": {0, 1, 2}, "pics": FAILED, "half": FAILED, "low": FAILED, "photos": FAILED}
    kept, unseen = {"cache clear": {1, 3}}, {"cache clear": {0, 1, 2, 3}, "cache": {0, 1, 2}, "evaluate": {0, 2}}
    models = ("{run}/ckpt.safetensors", "{sr}/ckpt.safetensors", "{half}/state/*", "{half}/ckpt.safetensors")
    some = ("{pics}/a/0.png", "{low}/0.png", "{photos}/0.png")
    return [
        Place("read-only runs", bits, arranged=_modes(0o555, *(f"{{{r}}}{end}" for r in RUNS for end in ("", "/*/"))),
              codes={"resume": {1}}, truth=DENIED, short=True),
        Place("read-only files in runs", bits, codes={"resume": {0, 1}, "evaluate": {0}}, truth=DENIED,
              arranged=_modes(0o444, *(f"{{{r}}}/*.*" for r in RUNS))),
        Place("a directory without the right to write", bits, arranged=_modes(0o555, "{work}"), truth=DENIED,
              codes={"resume": {0}, **read_only}),
        Place("a read-only disk", arranged=_read_only_mount, codes=read_only, truth=f"Read-only file system|{DENIED}"),
        Place("unreadable models", bits, arranged=_modes(0, *models), truth=DENIED, short=True,
              codes={"report": {0}, "runs": {0}, **ALL_READERS}),
        Place("unreadable config.toml", bits, arranged=_modes(0, "{half}/config.toml", "{run}/config.toml"),
              codes={"resume": FAILED}, truth=DENIED),
        Place("unreadable metrics.jsonl", bits, arranged=_modes(0, *(f"{{{r}}}/metrics.jsonl" for r in RUNS)),
              codes={"resume": {0, 1}, "inspect": {0, 1}, "inspect json": {0, 1}, "evaluate": {0, 1}, "export": {1}},
              truth=DENIED),
        Place("unreadable pictures", bits, arranged=_modes(0, *some), truth=DENIED,
              codes={"dry run": {0, 1, 2}, "pics": FAILED, "enlarge all": {3}, "low": FAILED, "photos": FAILED}, short=True),
        Place("unreadable folders", bits, arranged=_modes(0, "{run}", "{half}", "{sr}", "{pics}", "{low}", "{photos}"),
              codes={**none, "run": FAILED, "sr": FAILED}, truth=DENIED, short=True),
        Place("folders that cannot be listed", bits, arranged=_modes(0o111, "{pics}", "{low}", "{photos}", "{half}/state"),
              codes={"enlarge": {0}, **none}, truth=DENIED),
        Place("a cache that another user owns", ("user:65534",), arranged=_owned_by_root, codes=kept, truth=DENIED,
              short=True),
        Place("a cache that another user keeps private", ("user:65534",), arranged=_private_cache, codes=kept | unseen,
              truth=DENIED),
        Place("a read-only data root", bits, arranged=_modes(0o555, "{data}", "{data}/*"), codes=kept, truth=DENIED),
        Place("a read-only HOME", bits, {"GAN_DATA": None}, arranged=_modes(0o555, "{home}")),
        Place("an unreadable data root", bits, arranged=_modes(0, "{data}"), codes=kept | unseen, truth=DENIED),
        Place("a data root that is a file", arranged=_data_is_a_file, truth="[Nn]o(t a)? (directory|folder)|is a file",
              codes={"dry run": {0, 1, 2}, "trains": {0, 1, 2, 75}, "cache": {0, 1, 2}}),
        Place("a data root without parents", environment={"GAN_DATA": "{tmp}/a/b/c"}),
    ]  # fmt: skip


def _losses() -> list[Place]:
    all_of_them = tuple(f"away:{{{role}}}" for role in ("run", "half", "sr", "pics", "low", "photos"))
    lost = {"dry run": {0, 1, 2}, **ALL_READERS, "pics": FAILED}
    outputs = tuple(
        f"away:{{{role}}}:EIO" for role in ("out", "grid", "drawn", "array", "big", "enlarged", "hub", "page")
    )
    full = {"resume": {1}, "trains": {1}, "pipe": {0}, "makes": {1}}
    little = {"trains": {1}, "pipe": {0}, "enlarge all": {1, 3}, "makes": {1}, "evaluate": {0, 1}}
    pipes = Streams(stdout="pipe", stderr="pipe")
    room = r"[Nn]o space left|[Ff]ile too large|no room|is full|disk"
    return [
        Place("mounts that are gone (ENOTCONN)", all_of_them, codes=lost, truth="not connected|cannot be"),
        Place("mounts that are stale (ESTALE)", tuple(f"{fault}:ESTALE" for fault in all_of_them), codes=lost,
              truth="Stale|cannot be"),
        Place("outputs on a broken disk (EIO)", outputs, codes={"dry run": {0, 1}, "resume": {0}, "makes": {1}},
              truth="Input/output error|cannot be"),
        Place("a full disk", names=SMALL_DISK, arranged=_full_disk, codes=full, truth=room),
        Place("a limit on the size of files", ("limit:FSIZE:100",), streams=pipes, codes=little, truth=room, short=True),
        Place("odd files in folders", arranged=_odd_files, same_bytes=False,
              codes={"resume": {0, 1, 2}, "stopped": {75, 1}, "pics": {0, 1}, "enlarge all": {0, 3}, "photos": {0, 1}},
              absent=True, short=True),
    ]  # fmt: skip


def places() -> list[Place]:
    return [*_file_systems(), *_rights(), *_losses()]
