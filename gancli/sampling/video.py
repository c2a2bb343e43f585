"""Frames into an .mp4, by ffmpeg, a program that reads them from a pipe."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from PIL import Image

from gancli.errors import GancliError
from gancli.events import Emit, Preparing
from gancli.files import atomic

MAX_SIDE = 8_192  # pixels: what players take
QUALITY = "16"  # libx264's constant rate factor; 0 is lossless, above 18 differences are seen in flat pictures
PIECE = 1 << 20


def check_ffmpeg(path: Path) -> str:
    """The ffmpeg there is. Raises `GancliError` where there is none."""
    if (program := shutil.which("ffmpeg")) is None:
        raise GancliError(
            f"-o {path}: .mp4 needs the program ffmpeg, which is not here (apt install ffmpeg, conda install ffmpeg); .webp "
            "does without"
        )
    return program


def write(path: Path, frames: Iterator[Image.Image], total: int, fps: int, emit: Emit) -> None:
    """Write `total` frames, all of one size, as H.264 in yuv420p, which browsers play; a side of odd length gets one more
    row or column. `path` is whole, or as it was. Raises `GancliError` with ffmpeg's own words where it
    fails."""
    program = check_ffmpeg(path)
    first = next(frames).convert("RGB")
    with tempfile.TemporaryDirectory(prefix="gancli-") as folder, tempfile.TemporaryFile() as words:
        made = Path(folder, "walk.mp4")
        process = subprocess.Popen(
            _command(program, first.size, fps, made), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words,
            start_new_session=True,  # Ctrl-C is ours to answer
        )  # fmt: skip
        assert process.stdin is not None
        try:
            for number, frame in enumerate(chain([first], frames), 1):
                try:
                    process.stdin.write(frame.convert("RGB").tobytes())
                except BrokenPipeError:  # it has ended: its exit code says so
                    break
                emit(Preparing(f"drawing {path.name}", number, total, "frames"))
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(OSError):
                process.stdin.close()
        if code:
            words.seek(0)
            told = words.read().decode("utf-8", "replace").strip().splitlines() or ["no word why"]
            raise GancliError(f"-o {path}: ffmpeg could not make it ({told[-1]}); .webp does without it")
        with made.open("rb") as file:
            atomic.write(path, iter(lambda: file.read(PIECE), b""))


def _command(program: str, size: tuple[int, int], fps: int, target: Path) -> list[str]:
    width, height = size
    taken = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=gray"]
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", QUALITY, "-movflags", "+faststart"]
    repeatable = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1"]
    return [program, "-v", "error", "-nostdin", *taken, *even, "-an", *coded, *repeatable, "-f", "mp4", str(target)]
