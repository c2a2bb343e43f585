"""Runs that are killed again and again: `python -m tests.reliability.kill [--kills 60] [--seed 0]`.

The processes are forked from one that has imported torch, and are in all else what `gan` is (world.py). For each variant a
short run that nothing disturbs, and one that is killed by SIGKILL and resumed: half of the times at a
random moment, half at a point of writing a file. Every kill is checked to have landed; at the end both must have the same
bytes.
"""

import argparse
import contextlib
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.reliability.platforms import NOT_OURS
from tests.reliability.servers import PYTHON, ROOT, Job, Outcome, Server
from tests.reliability.victim import POINTS

LONGEST_S = 1.5  # after the first step, until a kill at a random moment
LIMIT_S = 300.0  # of a run
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


def job(arguments: Sequence[str], *faults: str) -> Job:
    return Job(arguments, ROOT, dict(os.environ), faults)


def killed_while_writing(server: Server, arguments: Sequence[str], out: Path, rng: random.Random) -> Outcome:
    """Let a run kill itself at a random point of one of the next files it writes."""
    del out
    return server.start(job(arguments, f"killed:{rng.choice(POINTS)}:{rng.randint(2, 9)}")).wait(LIMIT_S)


def killed_any_time(server: Server, arguments: Sequence[str], out: Path, rng: random.Random) -> Outcome:
    """Kill a run at a random moment after it has begun to train."""
    before = newest_start(out)
    running = server.start(job(arguments))
    while running.runs and newest_start(out) == before:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, LONGEST_S))
    running.signal(signal.SIGKILL)
    return running.wait(LIMIT_S)


def newest_start(out: Path) -> bytes:
    """The line that a run wrote when it last began."""
    with contextlib.suppress(FileNotFoundError):
        lines = [line for line in (out / "log.jsonl").read_bytes().splitlines() if b'"run_started"' in line]
        return lines[-1] if lines else b""
    return b""


def whole(server: Server, arguments: Sequence[str]) -> None:
    """A run to its end."""
    done = server.start(job(arguments)).wait(LIMIT_S)
    if done.code != 0:
        raise SystemExit(f"ended with {done.code}: {done.err.decode('utf-8', 'replace')}")


def loop(server: Server, variant: str, kills: int, rng: random.Random, folder: Path, data_root: Path) -> Counter[str]:
    """Kill and resume a run of `variant` so often, then let it finish; compare. Gives how many kills landed, by kind."""
    undisturbed, parts = folder / f"{variant}-whole", folder / f"{variant}-parts"
    whole(server, command(variant, undisturbed, data_root))
    landed: Counter[str] = Counter()
    while sum(landed.values()) < kills:
        way = killed_while_writing if rng.random() < 0.5 else killed_any_time
        code = way(server, command(variant, parts, data_root), parts, rng).code
        if code == 0:
            raise SystemExit(f"{variant}: finished after {sum(landed.values())} kills; a longer run is needed")
        if code != -signal.SIGKILL:
            raise SystemExit(f"{variant}: ended with {code}, not by the kill")
        landed[way.__name__] += 1
    whole(server, command(variant, parts, data_root))
    if hashes(undisturbed) != hashes(parts):
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
    with tempfile.TemporaryDirectory() as folder, Server(PYTHON, NOT_OURS) as server:
        for index, variant in enumerate(asked.variants):
            share = asked.kills * (index + 1) // len(asked.variants) - asked.kills * index // len(asked.variants)
            landed = loop(server, variant, share, rng, Path(folder), Path(folder, "data"))
            kinds = ", ".join(f"{kind.replace('_', ' ')} {times}" for kind, times in sorted(landed.items()))
            sys.stdout.write(f"{variant}: {share} kills ({kinds}), resumed, the same bytes in the end\n")
            sys.stdout.flush()
    sys.stdout.write(f"all the same after {asked.kills} kills, in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main(sys.argv[1:])
