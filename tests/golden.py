"""`python -m tests.golden [PACKAGE_FOLDER]`: sha256 of what equal commands must leave, to compare before and after a change.

The weights (not the metadata) of short trainings of all variants, in one go and resumed; samples; enlarged images; the drawn
data sets; evaluated metrics. With a folder, the package in it is run instead of this checkout's.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

TINY = {
    "vanilla": "--width 16 --inner-width 16",
    "cgan": "--width 16 --inner-width 16",
    "dcgan": "--width 8",
    "lapgan": "--width 4 --coarse-width 16 --coarse-d-width 16",
    "srgan": "-d leaves --width 4 --blocks 1 --d-width 4 --content mse --image-size 32",
}
STEPS = 230  # enough for whole steps to be replayed


def run(folder: Path, place: Path, *line: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(folder), "GAN_DATA": str(place / "data"), "GAN_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "gancli", *line], cwd=place, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, (line, done.stderr[-2000:])
    return done.stdout


def weights(path: Path) -> bytes:
    """The tensors of a checkpoint, without its metadata."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    places = sorted((name, *entry["data_offsets"]) for name, entry in header.items() if name != "__metadata__")
    start = 8 + int.from_bytes(data[:8], "little")
    return b"".join(name.encode() + data[start + first : start + last] for name, first, last in places)


def found(folder: Path, place: Path) -> Iterator[tuple[str, bytes]]:
    for variant, options in TINY.items():
        base = ("train", "-v", variant, *options.split(), "--batch-size", "8", "--progress", "none", "--no-report")
        run(folder, place, *base, "--steps", f"{STEPS}", "--out", variant, "--save-every", "200")
        yield f"{variant}: trained", weights(place / variant / "ckpt.safetensors")
        state = next((place / variant / "state").glob("*200.safetensors"))
        again = ("train", "-v", variant, "--resume", str(state), "--out", f"{variant}-again", "--progress", "none")
        run(folder, place, *again, "--no-report")
        yield f"{variant}: resumed", weights(place / f"{variant}-again" / "ckpt.safetensors")
        if variant != "srgan":
            run(folder, place, "sample", variant, "-n", "20", "-o", f"{variant}.npz")
            yield f"{variant}: sampled", (place / f"{variant}.npz").read_bytes()
    run(folder, place, "sample", "digits", "-n", "20", "-o", "digits.png")
    with Image.open(place / "digits.png") as image:  # its pixels: the file also contains the model's name and hash
        yield "digits: sampled", image.tobytes()
    run(folder, place, "sample", "srgan-x4", "-i", "digits.png", "-o", "large.png")
    yield "srgan-x4: enlarged", (place / "large.png").read_bytes()
    metrics = run(folder, place, "evaluate", "digits", "-n", "300", "--metrics", "swd,parzen,nearest", "--json")
    yield "digits: metrics", metrics.encode()
    for pixels in sorted((place / "data" / "cache").glob("*.u8")) + sorted((place / "data" / "cache").glob("*.npy")):
        data = pixels.read_bytes()
        begins = 10 + int.from_bytes(data[8:10], "little") if pixels.suffix == ".npy" else 0
        yield "data: " + pixels.name.partition("-")[0], data[begins:]


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    with tempfile.TemporaryDirectory() as place:
        for name, content in found(folder, Path(place)):
            sys.stdout.write(f"{hashlib.sha256(content).hexdigest()[:16]}  {name}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
