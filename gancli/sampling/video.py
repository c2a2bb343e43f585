"""Writes frames as an .mp4, by piping them to the program ffmpeg."""

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

MAX_SIDE = 8_192  # pixels that players support
QUALITY = "16"  # libx264's constant rate factor; 0 is lossless, from 18 on flat areas visibly differ
CHUNK_BYTES = 1 << 20


def check_ffmpeg(path: Path) -> str:
    """Return the path of ffmpeg. Raises `GancliError` if it is not installed."""
    if (program := shutil.which("ffmpeg")) is None:
        raise GancliError(
            f"-o {path}: .mp4 needs the program ffmpeg (apt install ffmpeg, conda install ffmpeg); .webp does not"
        )
    return program


def write(path: Path, frames: Iterator[Image.Image], total: int, fps: int, emit: Emit) -> None:
    """Write `total` frames of equal size as H.264 in yuv420p, which browsers play; sides of odd length are padded by one
    pixel. The file is replaced only by a complete one. Raises `GancliError` with the message of ffmpeg if it fails."""
    program = check_ffmpeg(path)
    first = next(frames).convert("RGB")
    with tempfile.TemporaryDirectory(prefix="gancli-") as folder, tempfile.TemporaryFile() as stderr:
        made = Path(folder, "walk.mp4")
        process = subprocess.Popen(
            _command(program, first.size, fps, made), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr,
            start_new_session=True,  # so that Ctrl-C does not reach it
        )  # fmt: skip
        assert process.stdin is not None
        try:
            for number, frame in enumerate(chain([first], frames), 1):
                try:
                    process.stdin.write(frame.convert("RGB").tobytes())
                except BrokenPipeError:  # it has ended; its exit code is checked below
                    break
                emit(Preparing(f"generating {path.name}", number, total, "frames"))
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(OSError):
                process.stdin.close()
        if code:
            stderr.seek(0)
            lines = stderr.read().decode("utf-8", "replace").strip().splitlines() or ["no message"]
            raise GancliError(f"-o {path}: ffmpeg failed ({lines[-1]}); .webp does not need it")
        with made.open("rb") as file:
            atomic.write(path, iter(lambda: file.read(CHUNK_BYTES), b""))


def _command(program: str, size: tuple[int, int], fps: int, target: Path) -> list[str]:
    width, height = size
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=gray"]
    h264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", QUALITY, "-movflags", "+faststart"]
    repeatable = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1"]
    return [program, "-v", "error", "-nostdin", *raw, *even, "-an", *h264, *repeatable, "-f", "mp4", str(target)]
