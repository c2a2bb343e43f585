"""The surroundings, and the commands that run in them, with the exit codes that are right."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SMALL = (
    "--image-size 8 --batch-size 4 --width 8 --latent-dim 4 --inner-width 16 --device cpu --threads 1"
    " --save-every 2 --sample-every 2 --log-every 1 --progress plain"
)


@dataclass(frozen=True)
class Command:
    """A command line, with `{work}` for its directory; the file or folder that it makes there, and those it may change."""

    name: str
    line: str
    makes: str = ""
    changes: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        """What has the same bytes in every place."""
        return self.makes or next(iter(self.changes), "none")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The keys of `Place.codes` that apply, the most specific first."""
        trains = self.line.startswith("train") and self.name != "help"
        return (self.name, *(["trains"] if trains else []), "makes" if self.makes else "tells", "all")


COMMANDS = (
    Command("help", "train --help"),
    Command("variants", "variants"),
    Command("cache", "cache"),
    Command("inspect", "inspect {work}/run --json"),
    Command("runs", "runs {work}/run"),
    Command("report", "report {work}/run -o {work}/page.html", "page.html"),
    Command("train", f"train -d {{work}}/pics --out {{work}}/out --steps 4 {SMALL}", "out"),
    Command("resume", "train --resume {work}/half --steps 4 --threads 1 --progress plain", changes=("half",)),
    Command("sweep", f"train -d {{work}}/pics --out {{work}}/out --seed 0-1 --steps 2 {SMALL}", "out"),
    Command("sample", "sample {work}/run -n 4 -o {work}/grid.png", "grid.png"),
    Command("folder", "sample {work}/run -n 4 -o {work}/drawn/", "drawn"),
    Command("array", "sample {work}/run -n 4 -o {work}/all.npz", "all.npz"),
    Command("enlarge", "sample srgan-x4 -i {work}/low.png -o {work}/large.png", "large.png"),
    Command("evaluate", "evaluate {work}/run -n 10 --metrics swd", changes=("run/metrics.jsonl", "run/report.html")),
    Command("export", "export {work}/run -o {work}/hub/", "hub"),
)


def modes(mode: int, *patterns: str) -> Callable[[Path], None]:
    """Set the mode of what matches these patterns; `.` is the directory itself."""

    def prepare(work: Path) -> None:
        found = {path for pattern in patterns for path in ([work] if pattern == "." else work.glob(pattern))}
        for path in sorted(found, reverse=True):
            path.chmod(mode)

    return prepare


def full_disk(work: Path) -> None:
    """The directory is a full disk, which whoever called this unmounts."""
    aside = work.rename(work.with_name("aside"))
    work.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(work)], check=True)
    shutil.copytree(aside, work, dirs_exist_ok=True)
    shutil.rmtree(aside)
    with (work / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def odd_files(work: Path) -> None:
    """A pipe, links that lead nowhere and a folder among the images."""
    folder = work / "pics" / "a"
    os.mkfifo(folder / "pipe.png")
    (folder / "nowhere.png").symlink_to("nowhere")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "folder.png").mkdir()


def in_the_way(work: Path) -> None:
    """Folders where files go, files where folders go."""
    for name in ("grid.png", "all.npz", "large.png", "page.html"):
        (work / name / "mine").mkdir(parents=True)
    for name in ("out", "drawn", "hub"):
        (work / name).write_text("mine")


@dataclass(frozen=True)
class Place:
    """A surrounding. `codes`: the exit codes that are right in it, by a command's kinds; by default 0."""

    name: str
    faults: tuple[str, ...] = ()  # of faults.py
    environment: Mapping[str, str | None] = field(default_factory=dict)
    redirections: str = ""  # of its streams, as a shell has them
    prepare: Callable[[Path], None] = lambda work: None  # noqa: ARG005
    codes: Mapping[str, set[int]] = field(default_factory=dict)
    says: str = ""  # what an error must say, as a regular expression
    work: str = "work"  # the name of the directory
    signal: str = ""  # what a training gets once it has written a row

    def expected(self, command: Command) -> set[int]:
        return next((self.codes[kind] for kind in command.kinds if kind in self.codes), {0})


BITS = ("bits",)
FAILS = {"train": {1, 2}, "sweep": {1, 2}}
DENIED = r"[Pp]ermission denied|cannot be (read|written|listed)"
NO_ROOM = r"[Nn]o space left|[Ff]ile too large|no room|is full"
UNHEARD: dict[str, set[int]] = {"trains": {0}, "tells": {1}, "makes": {0, 1}}
WRITES: dict[str, set[int]] = {"makes": {1}, "resume": {1}}

# The eight that CI runs.
FULL_DISK = Place("files cannot grow", ("limit:FSIZE:100",), codes=WRITES, says=NO_ROOM)
READ_ONLY = Place("a directory without the right to write", BITS, prepare=modes(0o555, ".", "half", "half/*"),
                  codes=WRITES, says=DENIED)  # fmt: skip
NO_LOCKS = Place("no locks (ENOSYS)", ("locks:ENOSYS",))
CLOSED = Place("stdout closed", redirections=">&-", codes=UNHEARD)
ASCII = Place("ASCII", environment={"LC_ALL": "C", "LANG": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
NO_HOME = Place("no HOME and an unknown user", ("nobody",), {"GAN_DATA": None, "HOME": None})
GONE = Place("a deleted working directory", ("no_directory",), says="working directory", codes={"all": {0, 1}})
SIGTERM = Place("SIGTERM", codes={"train": {75}}, signal="SIGTERM")
IN_CI = (FULL_DISK, READ_ONLY, NO_LOCKS, CLOSED, ASCII, NO_HOME, GONE, SIGTERM)

PLACES = (
    Place("nothing odd"),
    *IN_CI,
    Place("a full disk", prepare=full_disk, codes=WRITES, says=NO_ROOM),
    Place("no locks (ENOLCK)", ("locks:ENOLCK",)),
    Place("no locks (EOPNOTSUPP)", ("locks:EOPNOTSUPP",)),
    Place("directories cannot be synced", ("fsync:EINVAL:directories",)),
    Place("nothing can be synced", ("fsync:EINVAL",)),
    Place("syncing fails (EIO)", ("fsync:EIO",), codes={"folder": {0, 1}, **WRITES}, says="Input/output error"),
    Place("no hard links", ("links",)),
    Place("no renaming over a file", ("over:EEXIST",), codes={"trains": {0, 1}}),
    Place("unreadable models", BITS, prepare=modes(0, "run/ckpt.*", "half/*/*.safetensors"), says=DENIED,
          codes={"report": {0}, "runs": {0}, "train": {0}, "sweep": {0}, "enlarge": {0}, "makes": {1}, "inspect": {1},
                 "resume": {1}, "evaluate": {1}}),
    Place("unreadable pictures", BITS, prepare=modes(0, "pics/a/0.png", "low.png"), says=DENIED,
          codes={**FAILS, "resume": {1, 2}, "enlarge": {1}}),
    Place("unreadable folders", BITS, prepare=modes(0, "run", "half", "pics"), says=DENIED,
          codes={**FAILS, "enlarge": {0}, "help": {0}, "variants": {0}, "cache": {0}, "all": {1, 2}}),
    Place("a read-only data root", BITS, prepare=modes(0o555, "../data", "../data/*")),
    Place("a data root without parents", environment={"GAN_DATA": "/tmp/no/such/folder-of-gan"}),
    Place("a mount that is gone", ("away:{work}/pics",), codes={**FAILS, "resume": {1, 2}}, says="not connected|cannot be"),
    Place("outputs on a stale mount", tuple(f"away:{{work}}/{c.makes}:ESTALE" for c in COMMANDS if c.makes),
          codes={"makes": {1, 2}}, says="Stale|cannot be"),
    Place("odd files in folders", prepare=odd_files, codes={"trains": {0, 1, 2}}),
    Place("folders where files go, files where folders go", prepare=in_the_way, codes={"makes": {0, 1, 2}}),
    Place("stdin closed", redirections="<&-"),
    Place("stderr closed", redirections="2>&-"),
    Place("all streams closed", redirections="<&- >&- 2>&-", codes=UNHEARD),
    Place("stdout full", redirections=">/dev/full", codes=UNHEARD),
    Place("stderr full", redirections="2>/dev/full"),
    Place("nobody reads", redirections="| true", codes={"all": {0, 141}}),
    *(Place(f"stdout in {name}", environment={"PYTHONIOENCODING": name}) for name in ("latin-1", "cp1252", "ascii:strict")),
    *(Place(f"{name}={value}", environment={name: value})
      for name, value in (("COLUMNS", "20"), ("COLUMNS", "many"), ("FORCE_COLOR", "0"), ("TZ", "Nowhere/None"))),
    Place("a HOME that is not there", environment={"HOME": "/proc/none", "GAN_DATA": None}),
    Place("empty GAN_ variables", environment=dict.fromkeys(("GAN_DATA", "GAN_DEVICE", "GAN_THREADS", "GAN_PROGRESS"), "")),
    Place("no TMPDIR", environment={"TMPDIR": "/proc/none"}),
    Place("umask 077", ("umask:077",)),
    Place("a clock that jumps", ("clock",)),
    Place("an unknown number of processors", ("cpus",)),
    Place("64 open files", ("limit:NOFILE:64",)),
    Place("no more threads", ("threads",), says="thread", codes={"all": {0, 1}}),
    Place("SIGHUP", codes={"train": {75}}, signal="SIGHUP"),
    Place("macOS, by what it lacks", ("macos",)),
    Place("Windows, by what it lacks", ("windows",)),
    Place("blanks, commas and quotes", work=""" a "b", 'c' """),
    Place("markup and patterns", work="[bold red]100% [b]*?{}$HOME\\~#"),
    Place("other scripts", work="é e\u0301 東京 🙂"),
    Place("new lines and escapes", work="a\nb\tc\x1b[31m", codes={"trains": {0, 2}}),
    Place("undecodable bytes", work="b\udcff\udc80d", codes={"trains": {0, 2}}),
    Place("names of 255 bytes", work="n" * 255),
)  # fmt: skip
