"""`gan sample`: larger pixels, and animations as fast as they are asked for, in files that other programs play."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_errors import assert_one_line
from tests.conftest import Gan, sha256

WALK = ("-n", 3, "--walk", 2)
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed here")


def pixels(path: str | Path) -> "np.ndarray[Any, Any]":
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def larger(some: "np.ndarray[Any, Any]", zoom: int) -> "np.ndarray[Any, Any]":
    return some.repeat(zoom, 0).repeat(zoom, 1)


def test_each_pixel_becomes_many(gan: Gan, trained: Path) -> None:
    for name in ("a.png", "a.webp", "a/"):
        assert gan("sample", trained, "-n", 5, "-o", f"one-{name}").code == 0
        assert gan("sample", trained, "-n", 5, "-o", f"three-{name}", "--zoom", 3).code == 0
    for one in (Path("one-a.png"), Path("one-a.webp"), *sorted(Path("one-a").iterdir())):
        assert np.array_equal(pixels(str(one).replace("one-", "three-")), larger(pixels(one), 3)), one
    assert gan("sample", trained, "-n", 5, "-o", "again.png", "--zoom", 1).code == 0
    assert sha256(Path("again.png")) == sha256(Path("one-a.png"))


@pytest.mark.parametrize("name", ["walk.gif", "walk.webp"])
def test_a_walk_is_zoomed_and_as_fast_as_asked_for(gan: Gan, trained: Path, name: str) -> None:
    assert gan("sample", trained, *WALK, "-o", name, "--zoom", 2, "--fps", 30).code == 0
    with Image.open(name) as animation:
        assert animation.size == (2 * (2 * 10 - 2), 2 * (2 * 10 - 2))
        times = []
        for frame in range(animation.n_frames):  # type: ignore[attr-defined]
            animation.seek(frame)
            animation.load()
            times.append(animation.info["duration"])
    assert sum(times) == pytest.approx(1000 * 32 / 30, abs=10)


@needs_ffmpeg
@pytest.mark.parametrize(("more", "size"), [((), (18, 18)), (("--columns", 3, "--zoom", 3), (84, 24))])
def test_an_mp4_is_what_browsers_play(gan: Gan, trained: Path, more: tuple[object, ...], size: tuple[int, int]) -> None:
    for name in ("a.mp4", "b.mp4"):
        assert gan("sample", trained, *WALK, "-o", name, "--fps", 24, *more).code == 0
    assert sha256(Path("a.mp4")) == sha256(Path("b.mp4")), "the same command, the same bytes"
    probe = ("ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", "a.mp4")
    (stream,) = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)["streams"]
    assert (stream["codec_name"], stream["pix_fmt"], stream["r_frame_rate"]) == ("h264", "yuv420p", "24/1")
    assert (stream["width"], stream["height"]) == size
    assert int(stream["nb_read_frames"]) == 32
    assert Path("a.mp4").read_bytes()[4:8] == b"ftyp"
    assert [path.name for path in Path().iterdir() if "mp4" in path.name and path.name not in ("a.mp4", "b.mp4")] == []


def test_without_ffmpeg_the_way_out_is_said_before_anything_is_drawn(
    gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gancli.sampling.video.shutil.which", lambda _: None)
    monkeypatch.setattr("gancli.sampling.generate.generate", None)
    assert_one_line(gan("sample", trained, *WALK, "-o", "a.mp4"), 1, "a.mp4", "apt install ffmpeg", ".webp")


@pytest.mark.parametrize(
    "script", ["echo 'Unknown encoder libx264' >&2; exit 8", "cat >/dev/null; echo no room >&2; exit 1"]
)
def test_what_ffmpeg_says_is_passed_on_and_nothing_is_left(
    gan: Gan, trained: Path, tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr("gancli.sampling.video.shutil.which", lambda _: str(program))
    Path("a.mp4").write_text("mine")
    told = "libx264" if "libx264" in script else "no room"
    assert_one_line(gan("sample", trained, *WALK, "-o", "a.mp4"), 1, "a.mp4", told, ".webp")
    assert Path("a.mp4").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-o", "a.npz", "--zoom", 2), ("--zoom 2", "no effect")),
        (("-o", "a.png", "--zoom", 65), ("--zoom 65", "at most 64")),
        (("-o", "a.png", "--fps", 10), ("--fps 10", "--walk")),
        (("-o", "a.mp4"), ("a.mp4", "--walk")),
        (("-o", "a.gif", "--walk", 2, "--fps", 60), ("--fps 60", ".gif", "50")),
        (("-o", "a.webp", "-n", 2000, "--zoom", 64), ("--zoom 64", "16383", "at most --zoom 36")),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_drawn(
    gan: Gan, trained: Path, args: tuple[object, ...], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gancli.sampling.generate.generate", None)
    assert_one_line(gan("sample", trained, *args), 2, *words)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@needs_ffmpeg
def test_an_interrupt_leaves_neither_a_file_nor_ffmpeg(
    gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    from gancli.sampling import video

    real = subprocess.Popen
    started = list[Any]()

    def popen(*args: Any, **more: Any) -> Any:
        started.append(real(*args, **more))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(video, "Preparing", interrupted)
    assert gan("sample", trained, *WALK, "-o", "a.mp4").code == 130
    assert started[0].poll() is not None
    assert not Path("a.mp4").exists()
