"""The wheel, the sources, and their metadata, checks and citation."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from gancli.process import __version__
from gancli.store.pretrained import pretrained_names
from tests.conftest import ROOT, SMALL
from tests.ship import MOST_BYTES

CHECK = re.compile(r"^(?:ruff|mypy|pytest)\b.*$", re.MULTILINE)
MYPY_SEES = "from gancli.errors import GancliError\n\nfound: int = GancliError('x')\n"


def parsed(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def test_the_citation_names_this_version_and_licence() -> None:
    citation, project = parsed("CITATION.cff"), tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert citation["license"] == project["license"] == "MIT"
    assert citation["repository-code"] == project["urls"]["Repository"]
    assert citation["authors"][0]["name"] in (ROOT / "LICENSE").read_text("utf-8")


def test_ci_and_the_commit_hooks_run_the_checks_of_the_script() -> None:
    wanted = CHECK.findall((ROOT / ".ci" / "run").read_text("utf-8"))
    assert len(wanted) == 4
    job = parsed(".github/workflows/ci.yml")["jobs"]["test"]
    checks = [(step["run"], step.get("if", "")) for step in job["steps"] if CHECK.match(step.get("run", ""))]
    assert [run for run, where in checks if "!=" not in where] == wanted
    assert checks[-1] == ("pytest", "runner.os != 'Linux'"), "the slow ones on Linux alone"
    matrix = job["strategy"]["matrix"]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert all(isinstance(python, str) for python in matrix["python"]), "3.10 would be the number 3.1"
    assert len(matrix["python"]) == 2
    (repository,) = parsed(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local", "needs no network"
    assert [hook["entry"].split()[0] for hook in repository["hooks"]] == ["ruff", "ruff", "mypy"]


def run(*command: object, cwd: Path) -> str:
    """What a command prints; in an environment that knows nothing of this checkout."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sources' archive and the wheel that is made of it, without the network."""
    installed = {found.metadata["Name"] for found in distributions()}  # a folder `build` could be imported as well
    for tool in ("build", "hatchling"):
        if tool not in installed:
            pytest.skip(f"{tool} is not installed; pip install -e '.[test]' brings it")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (sources,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sources, wheel


def listed(*words: str) -> set[str]:
    """The files that git lists."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone, so there is no list of what belongs to it")
    names = subprocess.run(["git", "ls-files", "-z", *words], cwd=ROOT, capture_output=True, check=True).stdout
    return {name for name in os.fsdecode(names).split("\0") if name and (ROOT / name).exists()}


@pytest.mark.slow
def test_the_sources_hold_every_file_of_the_repository_and_none_that_git_ignores(built: tuple[Path, Path]) -> None:
    sources, _ = built
    with tarfile.open(sources) as archive:
        held = {member.name.partition("/")[2] for member in archive if not member.isdir()}
    assert listed() - held == set(), "name its folder in pyproject.toml, under sdist"
    assert held - listed("--cached", "--others", "--exclude-standard") == {"PKG-INFO"}
    assert len(listed("tests", "examples")) > 100


@pytest.mark.slow
def test_the_wheel_holds_the_package_alone_typed_and_says_where_its_home_is(built: tuple[Path, Path]) -> None:
    _, wheel = built
    about = f"gancli-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"{about}/METADATA").decode()
    assert "gancli/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"gancli", about}
    assert listed("gancli") <= names
    assert {f"gancli/page/{name}" for name in ("page.html.j2", "page.js", "uplot/uPlot.iife.min.js")} <= names
    along = {name for name in names if name.startswith("gancli/shipped/")}
    assert along == {f"gancli/shipped/{name}.safetensors" for name in pretrained_names()}
    assert wheel.stat().st_size <= MOST_BYTES + 500_000, "models and code"
    assert "Project-URL: Repository, https://github.com/gancli/gancli" in metadata
    assert "Classifier: Typing :: Typed" in metadata


@pytest.fixture(scope="module")
def environment(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment that has the wheel, and sees the packages of this one behind it (torch is large)."""
    if not any(distributions(name="pip")):  # looking for the module would warn where a test has brought distutils
        pytest.skip("this Python has no pip to install the wheel with")
    home = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--python", scripts / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", built[1], cwd=home)
    own = run(scripts / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    # A path in a .pth file is put behind its folder, and what .pth files lie there (an editable gancli) is not read.
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(own, "lent.pth").write_text("\n".join(sorted(lent)) + "\n", "utf-8")
    return scripts


@pytest.mark.slow
def test_the_wheel_alone_trains_and_samples_in_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    place = run(environment / "python", "-c", "import gancli; print(gancli.__file__)", cwd=tmp_path).strip()
    assert Path(place).is_relative_to(environment.parent)
    gan = environment / "gan"
    assert run(gan, "--version", cwd=tmp_path).split()[:2] == ["gan", __version__]
    assert run(gan, "train", "--steps", 5, *SMALL, "--out", "run", cwd=tmp_path).strip() == str(
        Path("run", "ckpt.safetensors")
    )
    assert run(gan, "sample", "run", "-n", 4, "-o", "grid.png", cwd=tmp_path).strip() == "grid.png"
    assert (tmp_path / "grid.png").stat().st_size
    assert run(gan, "report", "run", "-o", "page.html", cwd=tmp_path).strip() == "page.html"
    assert run(gan, "sample", "digits", "--label", 7, "-o", "sevens.png", cwd=tmp_path).strip() == "sevens.png"


@pytest.mark.slow
def test_a_type_checker_sees_the_types_of_the_installed_package(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(MYPY_SEES, "utf-8")
    command = [sys.executable, "-m", "mypy", "--python-executable", environment / "python", "user.py"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MYPY"))}
    done = subprocess.run([*map(str, command)], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=280)
    (told, _) = done.stdout.splitlines()
    assert 'expression has type "GancliError", variable has type "int"' in told, done.stdout
