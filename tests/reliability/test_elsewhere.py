"""Every command on Windows and macOS, as far as they can be had on Linux: see `platforms`."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import ROOT, SMALL, TINY, sha256

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="the simulation asks Linux which files are open")

TRAIN = ("train", *SMALL, "--steps", "20", "--save-every", "10", "--sample-every", "10", "--progress", "none")
LOCKED = "another run is writing there"


def gan_elsewhere(place: str, *commands: tuple[object, ...]) -> list[dict[str, Any]]:
    """Run command lines there; gives what became of each."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.elsewhere", place],
        input=json.dumps([list(map(str, command)) for command in commands]),
        capture_output=True,
        text=True,
        timeout=200,
        env={**__import__("os").environ, "PYTHONPATH": f"{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("left", "right"):
        (tmp_path / "pics" / name).mkdir(parents=True)
        for index in range(16):
            Image.new("RGB", (40, 40), (index, 5, 9)).save(tmp_path / "pics" / name / f"{index}.png")
    with zipfile.ZipFile(tmp_path / "pics.zip", "w") as archive:
        for path in sorted((tmp_path / "pics").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "pics"))
    return tmp_path / "pics"


@pytest.mark.slow
def test_all_that_runs_use_is_not_missed_on_windows(tmp_path: Path, pictures: Path) -> None:
    where = ("--data-root", tmp_path / "root")
    of_pictures = ("train", *SMALL, "--steps", "2", "--progress", "none", *where)
    commands: list[tuple[tuple[object, ...], int]] = [
        ((*TRAIN, "--out", "whole"), 0),
        (("ctrl-c", 7, *TRAIN, "--out", "parts"), 75),
        (("beside", "parts", *TRAIN, "--out", "parts", "--resume", "auto"), 1),
        ((*TRAIN, "--out", "parts", "--resume", "auto"), 0),
        ((*of_pictures, "-d", pictures), 0),
        ((*of_pictures, "-d", "pics.zip", "--resume", "auto", "--out", "zip"), 0),
        ((*of_pictures, "-d", pictures, "--dry-run"), 0),
        (("cache", *where), 0),
        (("cache", *where, "--clear", pictures), 0),
        (("cache", *where, "--json"), 0),
        (("sample", "parts", "-n", 4, "-o", "grid.png"), 0),
        (("sample", "parts", "-n", 4, "-o", "folder"), 0),
        (("sample", "parts", "-n", 4, "-o", "array.npz"), 0),
        (("inspect", "parts", "--verify"), 0),
        (("inspect", "parts", "--json"), 0),
        (("variants",), 0),
        (("train", "--help"), 0),
        (("sample", "missing", "-o", "x.png"), 1),
    ]
    done = gan_elsewhere("windows_holds", *(command for command, _ in commands))
    for outcome, (_, code) in zip(done, commands, strict=True):
        assert outcome["code"] == code, outcome
        assert "unexpected" not in outcome["err"], outcome
    assert "stopped by Ctrl-C" in done[1]["err"] or not done[1]["err"]
    assert LOCKED in done[2]["err"]
    for file in ("ckpt.safetensors", "state/step-00000020.safetensors"):
        assert sha256(tmp_path / "whole" / file) == sha256(tmp_path / "parts" / file)
    (left,) = json.loads(done[9]["out"])["kept"]
    assert Path(left["source"]).name == "pics.zip"
    left_behind = {path.name for path in tmp_path.rglob(".*") if path.is_file()}
    assert left_behind <= {".lock"}, "which Windows's own locks remove"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "variant"),
    [
        *(("windows_holds", name) for name in ("cgan", "dcgan", "lapgan", "srgan")),
        ("macos", "vanilla"),
    ],
)
def test_runs_of_all_variants_go_on_to_the_same_bytes_and_every_command_works(
    tmp_path: Path, pictures: Path, place: str, variant: str
) -> None:
    own: dict[str, tuple[object, ...]] = {
        "vanilla": ("--width", 16),
        "cgan": ("-d", "digits"),
        "dcgan": ("-d", pictures, "--width", 4),
        "lapgan": ("-d", pictures, "--width", 4, "--coarse-width", 16, "--coarse-d-width", 16),
        "srgan": ("-d", pictures, "--pretrain-steps", 8, "--width", 4, "--blocks", 1, "--d-width", 4),
    }
    size = {"dcgan": 32, "lapgan": 32, "srgan": 32}.get(variant, 8)
    train = (
        "train",
        "--variant",
        variant,
        *TINY,
        "--image-size",
        size,
        "--steps",
        16,
        "--save-every",
        5,
        *own[variant],
    )
    data_root = ("--data-root", tmp_path / "root")
    drawn = [("sample", "whole", "-n", 6, "-o", *rest) for rest in (("x.jpg",), ("x.gif", "--walk", 3), ("folder",))]
    enlarged = [
        ("sample", "whole", "-i", pictures, "--recursive", "-o", "large"),
        ("evaluate", "whole", "-d", pictures / "left", *data_root),
    ]
    commands: list[tuple[object, ...]] = [
        (*train, *data_root, "--out", "whole"),
        ("ctrl-c", 6, *train, *data_root, "--out", "parts"),
        (*train, *data_root, "--out", "parts", "--resume", "auto"),
        ("inspect", "parts", "--verify"),
        *(enlarged if variant == "srgan" else drawn),
        *([("evaluate", "whole", "-n", 12, "--metrics", "swd,nearest", *data_root)] if place == "macos" else []),
        ("cache", "--data-root", tmp_path / "root", "--clear"),
    ]
    done = gan_elsewhere(place, *commands)
    assert [outcome["code"] for outcome in done] == [0, 75, *[0] * (len(commands) - 2)], done
    for file in ("ckpt.safetensors", "state/step-00000016.safetensors"):
        assert sha256(tmp_path / "whole" / file) == sha256(tmp_path / "parts" / file)
    notes = [outcome["err"].count("no file locks") for outcome in done]
    assert sum(notes) == 0
