"""The container files: what they copy is enough to install from, and gan works where a container puts it."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

RECIPES = {"Dockerfile": r"^COPY (?!--from)(.+) \S+$", "examples/gan.def": r"^    (\S+) /src/"}


def copied(recipe: str) -> list[str]:
    found = re.findall(RECIPES[recipe], (ROOT / recipe).read_text("utf-8"), re.MULTILINE)
    return [name for line in found for name in line.split()]


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_what_a_recipe_copies_makes_a_whole_wheel(recipe: str, tmp_path: Path) -> None:
    names = copied(recipe)
    assert "pyproject.toml" in names
    for name in names:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, tmp_path / name)
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=tmp_path, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("gancli/")}
    ours = [path for path in (ROOT / "gancli").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert held == {str(path.relative_to(ROOT)) for path in ours}


def test_docker_is_sent_what_it_copies_and_nothing_else() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert kept == {*copied("Dockerfile")}


READ_ONLY = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir -m 1777 "$1/work" "$1/data"
mount --bind / / && mount -o remount,bind,ro /
cd "$1/work"
exec setpriv --reuid 12345 --regid 12345 --clear-groups env -u XDG_CACHE_HOME HOME=/nonexistent GAN_DATA="$1/data" \\
    "$2" -m gancli train --steps 2 --image-size 8 --batch-size 4 --threads 1 --out run
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may make a file system read-only")
def test_gan_trains_as_a_user_without_a_home_on_a_read_only_root(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    user = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "env", sys.executable]
    python = subprocess.run([*user, "-c", "import gancli"], capture_output=True, text=True, cwd="/")
    if python.returncode != 0:
        pytest.skip(f"this Python is root's alone: {python.stderr[-200:]}")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", READ_ONLY, "-", str(inside), sys.executable],
        capture_output=True, text=True, timeout=240, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "run/ckpt.safetensors"
