"""Runs that are killed again and again: `python -m tests.reliability.kill [--kills 60] [--seed 0]`.

For each variant a short run that nothing disturbs, and one that is killed by SIGKILL and resumed: half of the times at a
random moment, half at a point of writing a file. Every kill is checked to have landed; at the end both must have the same
bytes.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.reliability.victim import POINTS

LONGEST_S = 1.5  # after the first step, until a kill at a random moment
COMMON = ("--image-size", "16", "--batch-size", "16", "--save-every", "25", "--log-every", "25", "--device", "cpu",
          "--threads", "1")  # fmt: skip
OWN = {
    "vanilla": ("--steps", "4000"),
    "cgan": ("--steps", "4000"),
    "dcgan": ("--steps", "4000", "--width", "8"),
    "lapgan": ("--steps", "1500", "--width", "8", "--coarse-width", "64", "--coarse-d-width", "64"),
    "srgan": ("--steps", "3000", "--pretrain-steps", "1500", "--width", "8", "--blocks", "1", "--d-width", "4"),
}


def command(variant: str, out: Path, data_root: Path) -> list[str]:
    where = ("--out", str(out), "--data-root", str(data_root), "--resume", "auto", "--progress", "plain")
    return ["train", "--variant", variant, *COMMON, *OWN[variant], *where]


def hashes(out: Path) -> dict[str, str]:
    """The sha256 of the model and of the newest state."""
    newest = max((out / "state").glob("step-*.safetensors"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (out / "ckpt.safetensors", newest)}


def killed_while_writing(arguments: Sequence[str], rng: random.Random) -> int:
    """Let a run kill itself at a random point of one of the next files it writes; gives its exit code."""
    point, count = rng.choice(POINTS), rng.randint(2, 9)
    process = [sys.executable, "-m", "tests.reliability.victim", point, str(count), *arguments]
    return subprocess.run(process, capture_output=True, timeout=300).returncode


def killed_any_time(arguments: Sequence[str], rng: random.Random) -> int:
    """Kill a run at a random moment after it has begun to train; gives its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gancli", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if " parameters: " in line:
            break
    time.sleep(rng.uniform(0, LONGEST_S))
    process.kill()
    process.stderr.close()
    return process.wait()


def loop(variant: str, kills: int, rng: random.Random, folder: Path) -> Counter[str]:
    """Kill and resume a run of `variant` so often, then let it finish; compare. Gives how many kills landed, by kind."""
    whole, parts, data_root = folder / f"{variant}-whole", folder / f"{variant}-parts", folder / "data"
    undisturbed = [sys.executable, "-m", "gancli", *command(variant, whole, data_root)]
    subprocess.run(undisturbed, check=True, capture_output=True)
    landed: Counter[str] = Counter()
    while sum(landed.values()) < kills:
        way = killed_while_writing if rng.random() < 0.5 else killed_any_time
        code = way(command(variant, parts, data_root), rng)
        if code == 0:
            raise SystemExit(f"{variant}: finished after {sum(landed.values())} kills; a longer run is needed")
        if code != -signal.SIGKILL:
            raise SystemExit(f"{variant}: ended with {code}, not by the kill")
        landed[way.__name__] += 1
    finish = [sys.executable, "-m", "gancli", *command(variant, parts, data_root)]
    subprocess.run(finish, check=True, capture_output=True)
    if hashes(whole) != hashes(parts):
        raise SystemExit(f"{variant}: after {sum(landed.values())} kills its weights are not the undisturbed run's")
    leftovers = [path.name for path in parts.rglob("*") if path.name.endswith(".part")]
    if leftovers:
        raise SystemExit(f"{variant}: left behind: {', '.join(leftovers)}")
    return landed


def main(args: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.kill")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("variants", nargs="*", default=list(OWN), metavar="VARIANT")
    asked = parser.parse_args(args)
    rng, began = random.Random(asked.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for index, variant in enumerate(asked.variants):
            share = asked.kills * (index + 1) // len(asked.variants) - asked.kills * index // len(asked.variants)
            landed = loop(variant, share, rng, Path(folder))
            kinds = ", ".join(f"{kind.replace('_', ' ')} {times}" for kind, times in sorted(landed.items()))
            sys.stdout.write(f"{variant}: {share} kills ({kinds}), resumed, the same bytes in the end\n")
            sys.stdout.flush()
    sys.stdout.write(f"all the same after {asked.kills} kills, in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main(sys.argv[1:])
