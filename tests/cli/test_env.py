"""`gan env`: what it reports, without a secret, and where torch is broken."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import gancli
from gancli.cli import env
from tests.conftest import ROOT, Gan


def described(gan: Gan) -> dict[str, Any]:
    outcome = gan("env", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = json.loads(outcome.out, parse_constant=pytest.fail)
    assert isinstance(found, dict)
    return found


def test_versions_machine_and_paths_are_described(gan: Gan, data_root: Path, tmp_path: Path) -> None:
    found = described(gan)
    versions = found["versions"]
    assert (versions["gancli"], versions["torch"]) == (gancli.__version__, torch.__version__)
    assert versions["cuda"] == torch.version.cuda
    assert all(versions[name] for name in ("python", "torchvision", "numpy", "pillow", "typer", "rich", "safetensors"))
    assert found["devices"][-1]["device"] == "cpu"
    assert found["cpus"]["usable"] == len(gancli.CPUS)
    assert found["memory"]["total_bytes"] > 0
    assert (found["paths"]["data_root"], found["paths"]["data_root_from"]) == (str(data_root), "GAN_DATA")
    assert found["paths"]["working_directory"] == str(tmp_path)
    assert found["problems"].keys() <= {"cuda"}, "why there is no GPU"
    assert ("cuda" in found["problems"]) == (bool(torch.version.cuda) and not torch.cuda.is_available())


def test_the_text_has_a_line_for_each_fact(gan: Gan, data_root: Path) -> None:
    outcome = gan("env")
    assert (outcome.code, outcome.err) == (0, "")
    lines = dict(re.split(r"  +", line, maxsplit=1) for line in outcome.out.splitlines())
    assert lines["torch"] == torch.__version__
    assert lines["GAN_DATA"] == str(data_root)
    assert "usable; torch starts with" in lines["CPUs"]


def test_the_data_root_names_its_reason(gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAN_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert described(gan)["paths"]["data_root_from"] == "default"
    assert f"~{os.sep}" in gan("env").out, "a home directory names its user"
    monkeypatch.setenv("GAN_DATA", "~nobody-of-this-name/data")
    assert "no user nobody-of-this-name" in described(gan)["problems"]["data_root"]
    assert "no user nobody-of-this-name" in gan("env").out
    monkeypatch.setenv("GAN_DATA", str(tmp_path))
    monkeypatch.setenv("GAN_CACHE_SIZE", "much")
    assert "GAN_CACHE_SIZE=much: must be a size" in described(gan)["problems"]["cache"]
    (tmp_path / "cache").touch()
    monkeypatch.delenv("GAN_CACHE_SIZE")
    assert "cannot be listed" in gan("env").out


def test_no_secret_is_shown() -> None:
    given = {
        "GAN_TOKEN": "abc", "HF_TOKEN": "abc", "GAN_URL": "https://me:abc@host/x", "HOME": "/abc",
        "GAN_DEVICE": "cpu", "OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "", "OMP_LONG": "x" * 500,
    }  # fmt: skip
    found = env.variables(given)
    assert "abc" not in str(found)
    assert found.pop("OMP_LONG") == "x" * env.MAX_VALUE + "…"
    assert found == {
        "CUDA_VISIBLE_DEVICES": "", "GAN_DEVICE": "cpu", "GAN_TOKEN": "(set, not shown)", "GAN_URL": "https://…@host/x",
        "OMP_NUM_THREADS": "4",
    }  # fmt: skip


def test_extras_are_those_of_the_package_with_what_is_missing() -> None:
    lines = [
        "torch>=2.11",
        "rich>=13; extra == 'one'",
        "no-such-package>=1 ; python_version > '3' and extra == \"one\"",
    ]
    found = env.extras([*lines, "pytest; extra == 'test'"])
    assert list(found) == ["one"]
    assert found["one"]["rich"]
    assert found["one"]["no-such-package"] is None
    assert env.extras([]) == {}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise OSError('libcudart.so.13: cannot open shared object file\\nmore')", "OSError: libcudart.so.13: cannot"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("", "is another package"),  # a folder or file torch of the user's own
    ],
)
def test_a_broken_torch_is_described(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "torch").mkdir()
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    command = [sys.executable, "-m", "gancli", "env"]
    (tmp_path / "torch" / "__init__.py").write_text(source)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(re.split(r"  +", line, maxsplit=1) for line in done.stdout.splitlines())
    assert words in lines["torch"]
    assert "cuda" not in lines
    assert lines["devices"] == "unknown without torch"
    assert " usable" in lines["CPUs"]
    document = subprocess.run(
        [*command, "--json"], capture_output=True, timeout=120, env=os.environ | {"PYTHONPATH": path}
    )
    assert words in json.loads(document.stdout)["problems"]["torch"]


class BrokenGpu:
    """As torch of a machine with a GPU whose memory cannot be read."""

    class cuda:  # noqa: N801
        is_available = staticmethod(lambda: True)
        device_count = staticmethod(lambda: 1)

        @staticmethod
        def get_device_properties(_: int) -> Any:
            about = {"name": "NVIDIA H200", "total_memory": 150 * 10**9, "major": 9, "minor": 0}
            return type("Properties", (), about)

        @staticmethod
        def mem_get_info(_: int) -> Any:
            raise RuntimeError("CUDA error: all CUDA-capable devices are busy\nmore")

    backends = torch.backends
    version = torch.version


def test_a_gpu_that_is_taken_is_listed_without_its_free_memory() -> None:
    problems: dict[str, str] = {}
    first, *_ = env._devices(BrokenGpu, problems)
    assert first["device"] == "cuda:0"
    assert (first["total_bytes"], first["free_bytes"], first["capability"]) == (150 * 10**9, None, "9.0")
    assert problems["cuda"].startswith("CUDA error: all CUDA-capable devices are busy")
