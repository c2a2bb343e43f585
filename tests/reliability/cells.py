"""One cell of the matrix on disk: a directory with finished and stopped runs, pictures and bystanders, always the same.

Every cell of a row lies at the same path, and is laid out anew from a copy, so that what is recorded in the runs holds.
"""

import contextlib
import hashlib
import os
import random
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from PIL import Image

NUM_PICTURES, NUM_PHOTOGRAPHS, STEPS = 16, 3, 4
ELSEWHERE = "elsewhere"  # where things lie that are linked to
UNFINISHED = (".part", ".lock", ".tmp")


@dataclass(frozen=True)
class Names:
    """What everything is called, as typed in the working directory."""

    run: str = "run"  # a finished run
    half: str = "half"  # one that was stopped after a step
    sr: str = "sr"  # one that enlarges
    pics: str = "pics"  # training pictures in two classes
    classes: tuple[str, str] = ("a", "b")
    photos: str = "photos"  # larger ones
    low: str = "low"  # pictures to enlarge
    picture: str = "0.png"  # one of those
    out: str = "out"  # what commands make: a run, and files
    grid: str = "grid.png"
    drawn: str = "drawn"
    array: str = "all.npz"
    big: str = "big"
    enlarged: str = "one.png"
    hub: str = "hub"
    page: str = "page.html"


PLAIN = Names()


def all_called(name: str) -> Names:
    """Names that have `name` in each of them."""
    made = {
        f.name: {"picture": f"{name}.png", "array": f"{name}n.npz"}.get(f.name)
        or (f"{name}{f.name[0]}{Path(str(f.default)).suffix}")
        for f in fields(Names)
        if f.name != "classes"
    }
    made |= {"pics": f"{name}p", "photos": f"{name}ph", "half": f"{name}h", "drawn": f"{name}dr", "big": f"{name}bi"}
    made["hub"] = f"{name}hu"
    end = name.removeprefix("./")
    return Names(**made, classes=(f"a{end}", f"b{end}"))


class Cell:
    """The directories of one cell. `work` is where commands are run."""

    def __init__(self, base: Path, names: Names) -> None:
        self.base, self.names = base, names
        self.work, self.home, self.tmp, self.data = base / "work", base / "home", base / "tmp", base / "data"

    def path(self, role: str) -> Path:
        return self.work / str(getattr(self.names, role))

    def paths(self) -> Mapping[str, str]:
        """For faults about a path: `{out}`, `{work}`."""
        roles = {f.name: str(self.path(f.name)) for f in fields(Names) if f.name not in ("classes", "picture")}
        return {
            **roles,
            "work": str(self.work),
            "base": str(self.base),
            "home": str(self.home),
            "tmp": str(self.tmp),
            "data": str(self.data),
        }

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.tmp), "LANG": "C.UTF-8",
            "GAN_DATA": str(self.data), "OMP_NUM_THREADS": "1", "TERM": "xterm-256color",
        }  # fmt: skip


def pictures(cell: Cell) -> None:
    """The folders, the pictures to learn from and to enlarge, and files that are nobody's business."""
    rng = random.Random(0)

    def noise(path: Path, mode: str, side: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes(mode, (side, side), rng.randbytes(side * side * len(mode))).save(path)

    for folder in (cell.work, cell.home, cell.tmp, cell.data):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(NUM_PICTURES):
        noise(cell.path("pics") / cell.names.classes[number % 2] / f"{number}.png", "L", 8)
    for number in range(NUM_PHOTOGRAPHS):
        noise(cell.path("photos") / f"{number}.png", "RGB", 40)
    noise(cell.path("low") / cell.names.picture, "RGB", 10)
    noise(cell.path("low") / "second.png", "RGB", 9)
    for name in ("notes.txt", "grid.txt", "thesis/chapter.tex", ".hidden"):
        path = cell.work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{name}: not to be lost\n")


def contents(cell: Cell) -> dict[str, str]:
    """Every file below the working directory and what is in it, as a hash."""
    return dict(_contents(os.fsencode(cell.work)))


def _contents(root: bytes) -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(root):
        for name in [*files, *(f for f in folders if os.path.islink(os.path.join(folder, f)))]:  # noqa: PTH114, PTH118
            path = os.path.join(folder, name)  # noqa: PTH118 - names that are not UTF-8
            relative = os.fsdecode(os.path.relpath(path, root))
            if os.path.isfile(path) and not os.path.islink(path):  # noqa: PTH113, PTH114
                yield relative, hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
            else:
                yield relative, "no file"


def unfinished(cell: Cell) -> list[Path]:
    """What a command that has ended should have taken away."""
    found = [Path(folder, name) for folder, _, files in os.walk(cell.base) for name in files if name.startswith(".")]
    return [path for path in found if path.name.endswith(UNFINISHED) or path.name.startswith(".probe")]


def reopened(base: Path) -> None:
    """Give back what a row took away, so that the cell can be looked at and removed."""
    for folder, _, files in os.walk(base):
        for path, least in ((folder, 0o700), *((os.path.join(folder, name), 0o400) for name in files)):  # noqa: PTH118
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode) and mode & least != least:
                with contextlib.suppress(OSError):  # a read-only disk
                    os.chmod(path, stat.S_IMODE(mode) | least)  # noqa: PTH101


def removed(base: Path) -> None:
    if base.exists():
        reopened(base)
        shutil.rmtree(base)


def laid_out(cell: Cell, kept: Path) -> None:
    """The cell as it was kept."""
    removed(cell.base)
    shutil.copytree(kept, cell.base, symlinks=True)
