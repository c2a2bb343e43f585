"""The examples of variants from outside: a package that is installed, and R3GAN in one file. No file of ours changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gancli import catalogue
from gancli.spec import ImageSpec
from tests.conftest import ROOT, TINY, Gan

EXAMPLES = ROOT / "examples" / "variants"
R3GAN = EXAMPLES / "r3gan.py"
SMALL = (*TINY, "--width", "4", "--group-width", "4", "--blocks", "1", "--latent-dim", "8")


def test_r3gan_trains_and_resumes_and_its_model_draws(gan: Gan) -> None:
    done = gan("train", "-v", R3GAN, *SMALL, "--steps", 6, "--out", "run")
    assert done.code == 0, done.err
    assert gan("train", "-v", R3GAN, "--resume", "run", "--steps", 7).code == 0
    assert gan("sample", "run", "-v", R3GAN, "-n", 4, "-o", "grid.png").code == 0


@pytest.mark.parametrize("size", [28, 32, 64])
def test_r3gan_is_built_for_usual_sizes_and_its_blocks_begin_as_the_identity(size: int) -> None:
    name = catalogue.resolve(str(R3GAN))
    config = catalogue.variant_info(name).config_class(width=8, group_width=8)  # type: ignore[call-arg]
    variant = catalogue.load(name)(config, ImageSpec(3, size))
    fake = variant.generator(*variant.sample_latents(2, torch.device("cpu")))
    assert fake.shape == (2, 3, size, size)
    assert 0.2 < float(fake.detach().std()) < 3
    assert variant.d_logits(fake, torch.zeros(2)).shape == (2, 1)
    block = next(module for module in variant.generator.modules() if type(module).__name__ == "Block")
    x = torch.randn(2, 32, 8, 8)
    assert torch.equal(block(x), x)


def test_r3gan_refuses_groups_that_do_not_divide(gan: Gan) -> None:
    refused = gan("train", "-v", R3GAN, "--width", 5, "--dry-run")
    assert refused.code == 2
    assert "--group-width 16: must divide" in refused.err
    assert "--image-size 9" in gan("train", "-v", R3GAN, "--image-size", 9, "--dry-run").err


@pytest.mark.slow
def test_the_package_is_installed_in_a_fresh_environment_and_trains(tmp_path: Path) -> None:
    """The environment sees this one's packages (torch, gancli) through a .pth file; pip builds and installs the example
    without a network."""
    source = shutil.copytree(EXAMPLES / "wgan_gp", tmp_path / "source")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", source],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    python = tmp_path / "fresh" / "bin" / "python"
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    Path(site, "these.pth").write_text("\n".join(paths))
    pip = [str(python), "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def gan(*args: object) -> str:
        done = subprocess.run(
            [python, "-m", "gancli", *map(str, args)], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "gan-wgan-gp 1.0" in gan("variants")
    small = ("--width", 4, "--batch-size", 20, "--critic-updates", 2)
    assert gan("train", "-v", "wgan_gp", *TINY, *small, "--steps", 4, "--out", "run") == "run/ckpt.safetensors\n"
    assert "package gan-wgan-gp" in gan("inspect", "run")
    gan("sample", "run", "-n", 4, "-o", "grid.png")
    gan("train", "--resume", "run", "--steps", 6)
