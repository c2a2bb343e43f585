"""Runs that are killed again and again: `python -m tests.reliability.kill [--kills 60] [--seed 0] [VARIANT...]`.

For each variant a short run that nothing disturbs, and one that is killed by SIGKILL and resumed: half of the times at a
random moment, half at a point of writing a file (`killed` in faults.py). Every kill is checked to have landed; at the end
both must have the same bytes.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.conftest import ROOT, sha256
from tests.reliability.faults import KILL_POINTS

LONGEST_S = 1.5  # after the first state, until a kill at a random moment
COMMON = ("--image-size", "16", "--batch-size", "16", "--save-every", "25", "--log-every", "25", "--device", "cpu",
          "--threads", "1", "--resume", "auto", "--progress", "none")  # fmt: skip
OWN = {
    "vanilla": ("--steps", "4000"),
    "cgan": ("--steps", "4000"),
    "dcgan": ("--steps", "4000", "--width", "8"),
    "lapgan": ("--steps", "1500", "--width", "8", "--coarse-width", "64", "--coarse-d-width", "64"),
    "srgan": ("--steps", "3000", "--pretrain-steps", "1500", "--width", "8", "--blocks", "1", "--d-width", "4"),
}


def started(args: Iterable[object], *faults: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.reliability.faults", *faults, "--", *map(str, args)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(args: Iterable[object]) -> None:
    """A run to its end."""
    process = started(args)
    _, err = process.communicate()
    assert process.returncode == 0, err.decode("utf-8", "replace")


def kill(args: Iterable[object], *faults: str, at: float | None = None, out: Path) -> None:
    """A run that is killed: by its faults, or `at` so many seconds after its next state is saved."""
    process, before = started(args, *faults), states(out)
    if at is not None:
        while process.poll() is None and states(out) == before:
            time.sleep(0.01)
        time.sleep(at)
        process.kill()
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, (process.returncode, err.decode("utf-8", "replace"))


def states(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "state").glob("step-*.safetensors"))


def check_same(whole: Path, parts: Path) -> None:
    """Model and newest state have the same bytes, and nothing half-written is left."""
    for name in ("ckpt.safetensors", f"state/{states(whole)[-1]}"):
        assert sha256(whole / name) == sha256(parts / name), name
    assert not list(parts.rglob("*.part"))


def loop(variant: str, kills: int, rng: random.Random, folder: Path) -> None:
    """Kill and resume a run of `variant` so often, then let it finish; compare."""
    whole, parts = folder / f"{variant}-whole", folder / f"{variant}-parts"
    command = ("train", "--variant", variant, *COMMON, *OWN[variant], "--data-root", folder / "data", "--out")
    finish((*command, whole))
    for _ in range(kills):
        if rng.random() < 0.5:
            kill((*command, parts), f"killed:{rng.choice(KILL_POINTS)}:{rng.randint(2, 9)}", out=parts)
        else:
            kill((*command, parts), at=rng.uniform(0, LONGEST_S), out=parts)
    finish((*command, parts))
    check_same(whole, parts)


def main(args: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.kill")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("variants", nargs="*", default=list(OWN), metavar="VARIANT")
    asked = parser.parse_args(args)
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        for variant in asked.variants:
            kills = asked.kills // len(asked.variants)
            loop(variant, kills, rng, Path(folder))
            print(f"{variant}: {kills} kills, resumed, the same bytes in the end", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
