"""Damaged files: `python -m tests.reliability.fuzz [--checkpoints 20000] [--images 5000] [--archives 2000] [--seed 0]`.

Each one ends in success or in one line of error, within two seconds, without a traceback and without a control character
on the terminal. Prints how many ended how, the slowest, and the peak memory.
"""

import argparse
import contextlib
import copy
import hashlib
import io
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from gancli.cli.app import main as gan
from gancli.data.decode import decode, decode_layers, read_head
from gancli.data.formats import suffixes
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions
from gancli.errors import DataError
from tests.conftest import warned

MAX_SECONDS = 2.0
CORPUS = Path(__file__).parent / "corpus"
ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 1.5, -0.0, 1e308, 1e999, 2**31, 2**63, 2**70, "", "x", "\x1b[31m[red]", "a" * 5000,
    "../..", [], {}, [[]], [1, 2], {"a": 1}, ["\x07"], [2**62, 0], "F32", "dcgan", "srgan", "lapgan", "state", "‮",
)  # fmt: skip


@dataclass
class Tally:
    """How the trials ended."""

    ends: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    bad: list[str] = field(default_factory=list)

    def trial(self, what: str, attempt: Callable[..., str], *args: object) -> None:
        """One trial. `attempt(*args)` says how it ended; an exception or two seconds are a finding."""

        def too_slow(*_: object) -> None:
            raise TimeoutError("took over two seconds")

        signal.signal(signal.SIGALRM, too_slow)
        signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
        began = time.perf_counter()
        try:
            self.ends[attempt(*args)] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self.bad.append(f"{what}: {type(error).__name__}: {error}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.perf_counter() - began
        self.slowest = max(self.slowest, seconds)
        if seconds > MAX_SECONDS:  # said here too: what raised in time may have been caught on its way
            self.bad.append(f"{what}: took {seconds:.1f} s")


def flipped(rng: random.Random, data: bytes) -> bytes:
    """Some bytes are others."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(min(len(out), rng.choice((16, 64, 512, len(out)))))
        out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(out)


def cut(rng: random.Random, data: bytes) -> bytes:
    """Its end is missing, or a piece of it is there twice, or something follows it."""
    at = rng.randrange(len(data))
    to = min(len(data), at + rng.randrange(1, 200))
    return rng.choice((data[:at], data[:at] + data[to:], data[:to] + data[at:], data + data[:at]))


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested JSON: its container, and its key or index."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from leaves(value[key])


def bent(rng: random.Random, value: Any) -> None:
    """Change a place or three in nested JSON: another value, gone, or under another name."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        container, key = rng.choice(list(leaves(value)) or [({"": 0}, "")])
        kind = rng.random()
        if kind < 0.7:
            container[key] = copy.deepcopy(rng.choice(ODD))  # some can be changed in turn
        elif kind < 0.8:
            del container[key]
        elif isinstance(container, dict):
            container[rng.choice(("", "x", "\x1b]0;a\x07", key + "_"))] = container[key]
        else:
            container.insert(key, container[key])


def rebuilt(rng: random.Random, data: bytes) -> bytes:
    """A checkpoint whose header says something else, with lengths and checksums that are right."""
    length = int.from_bytes(data[:8], "little")
    header, tensors = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    facts = json.loads(header["__metadata__"]["gancli"])
    if rng.random() < 0.2 and tensors:
        for _ in range(4):
            at = 4 * rng.randrange(len(tensors) // 4)
            tensors[at : at + 4] = rng.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", b"\1\0\0\0"))
    else:
        bent(rng, rng.choice((facts, facts, facts["config"], header)))
    facts["sha256"] = hashlib.sha256(tensors).hexdigest() if rng.random() < 0.9 else facts.get("sha256")
    if isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["gancli"] = json.dumps(facts)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def command(*args: object) -> str:
    """Run `gan` in this process and return how it ended: done, or in one line of error that a terminal can show."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = gan([str(arg) for arg in args])
    printed = out.getvalue() + err.getvalue()
    assert not any(word in printed for word in ("please report it", "Traceback")), printed
    assert all(c.isprintable() or c in "\n" for c in printed), ascii(printed)[:500]
    assert code in (0, 1, 2), (code, printed)
    assert code == 0 or (err.getvalue().startswith("gan: ") and err.getvalue().count("\n") == 1), printed
    return f"{args[0]}: {'done' if code == 0 else 'one line of error'}"


def checkpoints(count: int, rng: random.Random, folder: Path) -> Tally:
    """Damage the models and states of five tiny runs, and inspect, sample and resume them."""
    files = []
    for variant in ("vanilla", "cgan", "dcgan", "lapgan", "srgan"):
        own = {"srgan": ["--width", "4", "--blocks", "1", "--d-width", "4"], "lapgan": ["--coarse-width", "8"]}
        narrow = own.get(variant, ["--width", "4"])
        run = folder / variant
        code = command(
            "train", "-v", variant, "-d", "digits", "--data-root", folder, "--image-size", 8, "--batch-size", 8, *narrow,
            "--steps", 2, "--out", run, "--progress", "none", "--device", "cpu",
        )  # fmt: skip
        assert code == "train: done"
        files += [run / "ckpt.safetensors", *(run / "state").iterdir()]
    contents = [path.read_bytes() for path in files]
    tally, file = Tally(), folder / "odd.safetensors"
    for number in range(count):
        data = rng.choice(contents)
        damage = rng.choice((flipped, cut, rebuilt, rebuilt, rebuilt))
        file.write_bytes(damage(rng, data))
        what = f"{damage.__name__} {number}"
        tally.trial(what, command, "inspect", file, *(["--json"] if rng.random() < 0.2 else []))
        if rng.random() < 0.8:
            tally.trial(what, command, "sample", file, "-n", 1, "-o", folder / "odd.png")
        else:
            shutil.rmtree(folder / "again", ignore_errors=True)
            state = folder / "again" / "state" / "step-00000002.safetensors"
            state.parent.mkdir(parents=True)
            shutil.copy(file, state)
            resumed = ("train", "--resume", state, "--steps", 2, "--data-root", folder, "--progress", "none")
            tally.trial(what, command, *resumed)
    return tally


def originals() -> Iterator[tuple[str, bytes]]:
    """The readable images of the corpus, and a small one in every format and mode that Pillow writes, as `name, bytes`."""
    for path in sorted((CORPUS / "images" / "readable").iterdir()):
        yield path.name, path.read_bytes()
    gradient = Image.linear_gradient("L").resize((24, 17))
    for suffix, kind in suffixes().items():
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "I;16"):
            image = gradient.convert("I").convert("I;16") if mode == "I;16" else gradient.convert(mode)
            out = io.BytesIO()
            with contextlib.suppress(OSError, ValueError, KeyError):  # not every format has every mode
                image.save(out, kind)
                yield f"odd{suffix}", out.getvalue()


def damaged(rng: random.Random, sound: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """One of these files, damaged once or twice."""
    name, data = rng.choice(sound)
    for _ in range(rng.choice((1, 1, 2))):
        data = rng.choice((flipped, flipped, cut))(rng, data or b"\0")
    return name, data


def images(count: int, rng: random.Random) -> Tally:
    """Damage images, and decode them in all three ways."""
    sound, tally = list(originals()), Tally()

    def attempt(name: str, data: bytes) -> str:
        ends = set()
        for way in (read_head, decode, decode_layers):
            try:
                way(data, name)
                ends.add("decoded")
            except DataError as error:
                ends.add("one line of error" if "\n" not in str(error) else "several lines of error")
        assert "several lines of error" not in ends
        return " or ".join(sorted(ends))

    for number in range(count):
        name, data = damaged(rng, sound)
        tally.trial(f"image {number} ({name})", attempt, name, data)
    return tally


def archives(count: int, rng: random.Random, folder: Path) -> Tally:
    """Damage archives of images, and open them as datasets."""
    sound = [(path.name, path.read_bytes()) for path in sorted((CORPUS / "archives" / "readable").iterdir())]
    tally = Tally()

    def attempt(path: Path, bad: Literal["fail", "skip"]) -> str:
        root = folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        try:
            _, said = warned(open_dataset, str(path), DatasetOptions(root, 8, on_bad_image=bad))
            end = "opened"
        except DataError as error:
            said, end = [str(error)], "one line of error"
        assert all(line.isprintable() for line in said), ascii(said)
        return f"{path.suffix[1:]}: {end}"

    for number in range(count):
        name, data = damaged(rng, sound)
        (folder / name).write_bytes(data)
        bad: Literal["fail", "skip"] = rng.choice(("fail", "skip"))
        tally.trial(f"archive {number} ({name}, {bad})", attempt, folder / name, bad)
    return tally


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.fuzz")
    parser.add_argument("--checkpoints", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--archives", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as folder:
        first = checkpoints(asked.checkpoints, random.Random(asked.seed), Path(folder))
        last = archives(asked.archives, random.Random(asked.seed), Path(folder))
    tallies = {"checkpoints": first, "images": images(asked.images, random.Random(asked.seed)), "archives": last}
    for name, tally in tallies.items():
        ends = ", ".join(f"{end} {times:,}" for end, times in sorted(tally.ends.items()))
        sys.stdout.write(f"{name}: {ends}; slowest {tally.slowest:.2f} s; bad {len(tally.bad)}\n")
        sys.stdout.writelines(f"  {bad}\n" for bad in tally.bad[:20])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"peak memory {memory:,.0f} MB\n")
    return int(any(tally.bad for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
