"""Every command in odd surroundings, by hand: `python -m tests.reliability.surroundings [--list] [PART OF A NAME...]`.

A surrounding is what is wrong with a machine: its disk, permissions, streams or environment. Each command runs in it in a
process of its own, in a fresh copy of one directory; `judged` and `changed` say what must hold. CI runs eight of them with
three commands (test_surroundings.py). Prints a line for each surrounding, and exits with 1 if something does not hold.
"""

import argparse
import contextlib
import hashlib
import io
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import torch
from PIL import Image

from gancli.cli.app import main as gan
from tests.golden import weights
from tests.reliability.places import COMMANDS, PLACES, SMALL, Command, Place

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 120.0  # of a command; more is a hang
DOCUMENTED = {0, 1, 2, 3, 4, 75, 130, 141}
NOISE = re.compile(r"Traceback|unexpected|please report|Exception ignored|^  File \"|\w+Warning: ", re.MULTILINE)
UNFINISHED = (".part", ".lock", ".tmp")


class Cells:
    """Lays out one directory again and again below `base`: `run` (finished), `half` (stopped after two steps), images, and a
    file that must stay."""

    def __init__(self, base: Path) -> None:
        self.base, self._kept = base, base / "kept"
        self._reference: dict[str, str] = {}
        for number in range(40):
            path = self._kept / "pics" / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((8, 8), 20 + number).save(path)
        Image.effect_noise((10, 10), 60).convert("RGB").save(self._kept / "low.png")
        (self._kept / "thesis").write_text("not to be lost\n")
        usual = self.lay_out("work")
        for steps, out in ((4, "run"), (2, "half")):
            line = f"train -d {{work}}/pics --out {{work}}/{out} --steps {steps} {SMALL}"
            self._run_here(line, usual)
        shutil.rmtree(self._kept)
        shutil.copytree(usual, self._kept)

    def lay_out(self, name: str) -> Path:
        """A fresh directory of that name; the data root next to it stays."""
        work = self.base / name
        (self.base / "data").mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._reopen()
            shutil.rmtree(work)
        shutil.copytree(self._kept, work, symlinks=True)
        return work

    def complaints(self, place: Place, command: Command) -> list[str]:
        """What does not hold of a command in a place."""
        if command.name not in self._reference:
            usual = self.lay_out("work")
            self._run_here(command.line, usual)
            self._reference[command.name] = made(usual / command.result)
        work = self.lay_out(place.work)
        place.prepare(work)
        try:
            before = contents(work)
            done = self._run(place, command, work)
            self._reopen()
            found = [*judged(place, command, done), *changed(command, before, contents(work))]
            same = made(work / command.result) == self._reference[command.name]
        except subprocess.TimeoutExpired:
            return [f"no end after {LIMIT_S:.0f} s"]
        finally:
            if work.is_mount():
                subprocess.run(["umount", "-l", str(work)], check=True)
        if done.returncode == 0 and not same and (command.makes or command.name == "resume"):
            found.append("made other bytes than elsewhere")
        return found

    def _run_here(self, line: str, work: Path) -> None:
        """Run a command in this process, where nothing is odd."""
        torch.set_num_threads(1)
        out = io.StringIO()
        environment = mock.patch.dict(os.environ, {"GAN_DATA": str(self.base / "data")})
        with environment, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            assert gan(words_of(line, work)) == 0, out.getvalue()

    def _run(self, place: Place, command: Command, work: Path) -> "subprocess.CompletedProcess[bytes]":
        words = words_of(command.line, work)
        words += ["--steps", "1000000"] if place.signal and command.name == "train" else []
        faults = [fault.replace("{work}", str(work)) for fault in place.faults]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.base), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        environment |= {"GAN_DATA": str(self.base / "data"), "OMP_NUM_THREADS": "1", "TERM": "dumb"} | place.environment  # type: ignore[operator]
        (cwd := self.base / "cwd").mkdir(exist_ok=True)
        shell = f'{"" if "|" in place.redirections else "exec "}"$@" {place.redirections}'
        process = subprocess.Popen(
            ["sh", "-c", shell, "sh", sys.executable, "-m", "tests.reliability.faults", *faults, "--", *words],
            cwd=cwd, env={name: value for name, value in environment.items() if value is not None},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if place.signal and command.name == "train":
            rows = work / "out" / "metrics.jsonl"
            while process.poll() is None and not (rows.exists() and rows.stat().st_size):
                time.sleep(0.02)
            process.send_signal(getattr(signal, place.signal))
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def _reopen(self) -> None:
        """Restore the permissions that a place took away."""
        for folder, _, names in os.walk(self.base):
            for path, least in ((folder, 0o700), *((os.path.join(folder, name), 0o400) for name in names)):  # noqa: PTH118
                mode = os.lstat(path).st_mode
                if not stat.S_ISLNK(mode) and mode & least != least:
                    os.chmod(path, stat.S_IMODE(mode) | least)  # noqa: PTH101


def words_of(line: str, work: Path) -> list[str]:
    return [word.replace("{work}", str(work)) for word in shlex.split(line)]


def judged(place: Place, command: Command, done: "subprocess.CompletedProcess[bytes]") -> Iterator[str]:
    """What is wrong with the exit code and messages of a command."""
    code, err = done.returncode, done.stderr.decode("utf-8", "replace")
    errors = [line for line in err.splitlines() if line.startswith("gan:")]
    if code not in DOCUMENTED | place.expected(command):
        yield f"ended with {code}, which is not documented"
    elif code not in place.expected(command):
        yield f"ended with {code} instead of {place.expected(command)}: {err[-200:]!a}"
    if noise := NOISE.search(err + done.stdout.decode("utf-8", "replace")):
        yield f"said {noise[0]!a}"
    if any((letter < " " and letter != "\n") or letter == "\x7f" for letter in err):
        yield f"control characters: {err!a}"
    if len(errors) > 1 + 3 * (command.name == "sweep"):
        yield f"{len(errors)} lines of error"
    if code in DOCUMENTED - {0, 75, 130, 141} and not errors and "2>" not in place.redirections:
        yield f"exit code {code} without a word"
    if code not in (0, 75) and place.says and errors and not re.search(place.says, errors[-1]):
        yield f"not the reason: {errors[-1]!a}"


def changed(command: Command, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Files that a command overwrote, deleted or left behind by mistake."""
    for path, content in before.items():
        if after.get(path) != content and not any(below(path, place) for place in command.changes):
            yield f"{'overwrote' if path in after else 'deleted'} {path!a}"
    for path in after.keys() - before.keys():
        if not any(below(path, place) for place in (command.makes, *command.changes)) or path.endswith(UNFINISHED):
            yield f"left {path!a} behind"


def below(path: str, place: str) -> bool:
    return bool(place) and (path == place or path.startswith(f"{place}/"))


def contents(work: Path) -> dict[str, str]:
    """Every file below a directory, and a hash of it."""
    found = {}
    for folder, _, names in os.walk(work):
        for path in (Path(folder, name) for name in names):
            plain = path.is_file() and not path.is_symlink()
            found[str(path.relative_to(work))] = hashlib.sha256(path.read_bytes()).hexdigest() if plain else "no file"
    return found


def made(place: Path) -> str:
    """A digest of what a command made: weights, pixels and arrays; of other files only their names."""
    found = hashlib.sha256()
    for path in sorted([place] if place.is_file() else place.rglob("*")):
        found.update(path.name.encode())
        if path.suffix == ".safetensors":
            found.update(weights(path))
        elif path.suffix == ".png":
            with Image.open(path) as image:
                found.update(image.tobytes())
        elif path.suffix == ".npz":
            found.update(path.read_bytes())
    return found.hexdigest()


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.surroundings")
    parser.add_argument("names", nargs="*", metavar="PART", help="of the names of surroundings")
    parser.add_argument("--list", action="store_true", help="name the surroundings")
    asked = parser.parse_args(args)
    places = [place for place in PLACES if not asked.names or any(name in place.name for name in asked.names)]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="surroundings-") as folder:
        cells = Cells(Path(folder).resolve()) if not asked.list else None
        for place in places:
            found = {command.name: cells.complaints(place, command) for command in COMMANDS} if cells else {}
            wrong = [f"  {name}: {complaint}" for name, complaints in found.items() for complaint in complaints]
            print(f"{place.name}: {len(wrong) or 'nothing'} to complain of", *wrong, sep="\n", flush=True)  # noqa: T201
            bad += len(wrong)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
