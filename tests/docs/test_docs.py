"""README and docs: command lines and examples run, options that are named exist, generated pages are up to date."""

import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from gancli import catalogue
from gancli.cli import app, train_command
from gancli.files.hub import parse
from gancli.metrics import classifier
from gancli.store.pretrained import pretrained_file
from tests.conftest import ROOT, SMALL, Gan
from tests.data.packed import in_parquet
from tests.docs import option_types, pages, reference
from tests.docs.lines import PAGES, Line, beginning, fewer, lines, shortened
from tests.hub.conftest import hub
from tests.hub.server import Hub

__all__ = ["hub"]  # a fixture

NOT_RUN = {"--inception": "weights that nobody may download here"}


def test_generated_files_are_up_to_date() -> None:
    assert pages.PAGE.read_text("utf-8") == pages.page(), "python -m tests.docs.pages"
    assert option_types.FILE.read_text("utf-8") == option_types.source(), "python -m tests.docs.pages"
    assert reference.PAGE.read_text("utf-8") == reference.page(), "python -m tests.docs.pages"


@pytest.mark.slow
def test_the_examples_of_the_reference_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_THREADS", "1")
    blocks = re.findall(r"```python\n(.*?)```", reference.PAGE.read_text("utf-8"), re.DOTALL)
    assert sorted(blocks) == sorted(reference.EXAMPLES.values())
    exec(compile("\n".join(blocks), "reference.md", "exec"), names := dict[str, Any]())
    assert names["large"].size == (112, 112)
    for file in ("sevens.png", "cgan.pt2", "both.html"):
        assert Path(file).is_file()


def options_of(command: str) -> set[str]:
    group: Any = typer.main.get_command(app.app)
    found = train_command.command(catalogue.names()) if command == "train" else group.get_command(None, command)
    return {flag for p in found.params for flag in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}


def test_every_option_that_a_page_gives_a_command_exists() -> None:
    group: Any = typer.main.get_command(app.app)
    for page in PAGES:
        for command, rest in re.findall(r"`gan ([a-z]+)([^`]*)`", page.read_text("utf-8")):
            assert command in group.pages, (page, command)
            flags = set(re.findall(r"(?<=\s)(--[a-z][a-z0-9-]+|-[a-z])\b", rest))
            assert flags <= options_of(command), (page, command)


def photographs(folder: Path, count: int, size: tuple[int, int]) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.effect_noise(size, 60).convert("RGB").save(folder / f"{index}.png")


def png(value: int) -> bytes:
    """A grey image of 16×16 pixels."""
    Image.new("L", (16, 16), 4 * value).save(out := io.BytesIO(), "PNG")
    return out.getvalue()


def fill(hub: Hub, folder: Path) -> None:
    """Put all repositories that the pages name on a hub: each is a model and a dataset of grey images of 16 pixels."""
    images = [{"bytes": png(value)} for value in range(60)]
    table = in_parquet(folder / "images.parquet", {"img": images, "label": [0, 1] * 30}).read_bytes()
    for word in [word for line in beginning("gan") for word in line.words if word.startswith("hf:")]:
        found = parse(word, "")
        hub.model(found.repo, {"model.safetensors": pretrained_file("digits").read_bytes()})
        prefix = found.part and f"{found.part}/"
        repo = hub.repos.get(("datasets", found.repo)) or hub.dataset(found.repo, {})
        repo.files |= {f"{prefix}{split}-00000-of-00001.parquet": table for split in ("train", "test", "extra")}


@pytest.fixture
def place(gan: Gan, hub: Hub, enlarger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the pages speak of, in small, and a hub."""
    fill(hub, tmp_path)
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GAN_THREADS", "1")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for folder in ("home/pictures", "home/photographs", "BSD200"):
        photographs(tmp_path / folder, 24, (128, 112))
    photographs(tmp_path / "Set5", 2, (64, 48))
    photographs(tmp_path / "album", 2, (24, 16))
    for name, size in (("photo.jpg", (24, 16)), ("small.png", (24, 16)), ("large.png", (96, 64))):
        Image.effect_noise(size, 60).convert("RGB").save(name)
    for variant in ("vanilla", "cgan", "lapgan"):
        tiny = ("--image-size", 16, "--width", 8, "--latent-dim", 8, "--batch-size", 48)
        outcome = gan("train", "-v", variant, *SMALL, *tiny, "--steps", 2, "--out", f"tiny/{variant}")
        assert outcome.code == 0, outcome.err
    for name in ("vanilla-mnist-001", "vanilla-digits-001", "a", "b", "c"):
        shutil.copytree("tiny/vanilla", Path("runs", name))
    shutil.copytree("tiny/lapgan", "runs/lapgan-mnist-001")
    shutil.copytree(enlarger, "tiny/srgan")
    return tmp_path


def checkpoint(words: list[str]) -> str:
    """The run that stands for CKPT in a line."""
    if "-i" in words:
        return "tiny/srgan"
    return "tiny/cgan" if {"--label", "--gan-train", "-l"} & {*words} else "tiny/vanilla"


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.usefixtures("toys")
def test_every_command_line_of_the_pages_runs(gan: Gan, place: Path) -> None:
    stand_ins = {"A": "runs/a", "B": "runs/b", "C": "runs/c", "SRGAN_CKPT": "tiny/srgan"}
    ran, failed = 0, list[object]()
    for line in beginning("gan"):
        words = [stand_ins.get(word, word) for word in line.words[1:]]
        words = [checkpoint(words) if word in ("CKPT", "RUN", "ckpt.safetensors") else word for word in words]
        if NOT_RUN.keys() & {*words} or ("--wandb" in words and importlib.util.find_spec("wandb") is None):
            continue
        if words[:1] == ["demo"]:  # serves a page until it is ended: tests/demo
            assert {word for word in words if word.startswith("-")} <= options_of("demo"), line
            continue
        if words[:1] == ["train"] and "--dry-run" not in words:
            out = () if "--out" in words or "-o" in words else ("--out", f"runs/line-{ran}")
            words = [*shortened(words), "--device", "cpu", *out]
        elif words[:1] in (["sample"], ["evaluate"]):
            words = fewer(words)
            if words[0] == "evaluate" and "srgan" not in words[1]:
                words += [] if "-n" in words else ["-n", "20"]
        words = [str(Path(word).expanduser()) if word.startswith("~") else word for word in words]
        outcome = gan(*words)
        if shutil.which("ffmpeg") is None and any(word.endswith(".mp4") for word in words):
            assert outcome.code == 1, line
            assert "ffmpeg" in outcome.err
        elif outcome.code != 0:
            failed.append((line, words, outcome.err))
        ran += 1
    assert failed == []
    assert ran > 40
    assert place.is_dir()


def test_lines_that_start_other_programs_name_what_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for line in lines():
        program, *words = line.words or [""]
        for extra in re.findall(r"\[([a-z,]+)\]", " ".join(words)) if program == "pip" else []:
            assert {*extra.split(",")} <= extras.keys(), line
        if program in ("bash", "sbatch", "pytest"):
            files = [word for word in words if "/" in word and not word.startswith(("runs", "~", "/", "gan "))]
            for wrapped in (shlex.split(word) for word in words if word.startswith("gan train ")):
                check_train(line, wrapped[2:])
            missing = [file for file in files if not any((ROOT / at / file).exists() for at in (".", "examples/slurm"))]
            assert missing == [], line
        if program == "torchrun":
            check_train(line, words[words.index("gancli") + 2 :])


def check_train(line: Line, words: list[str]) -> None:
    flags = {word for word in words if word.startswith("-")}
    assert flags <= options_of("train"), line


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the extra docs is not installed")
    site = tmp_path / "site"
    build = ["mkdocs", "build", "--strict", "--quiet", "-f", str(ROOT / "mkdocs.yml"), "-d", str(site)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run([sys.executable, "-m", *build], capture_output=True, text=True, timeout=300, env=quiet)
    assert built.returncode == 0, built.stdout + built.stderr
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=[\"']?(https?://[^\"' >]+)", page.read_text("utf-8")
        )
        assert [url for url in loaded if not url.startswith("https://github.com/gancli")] == [], page
