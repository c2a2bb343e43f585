"""Tab completion, as bash asks for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_classes import shaded
from tests.conftest import TINY, Gan

Tab = Callable[..., list[str]]


@pytest.fixture
def tab(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> Tab:
    def press(*words: str) -> list[str]:
        """What is offered for the last word."""
        monkeypatch.setenv("_GAN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(("gan", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        found = gan()
        assert (found.code, found.err) == (0, "")
        monkeypatch.delenv("_GAN_COMPLETE")
        return found.out.split()

    return press


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("va",), ["variants"]),
        (("train", "-v", "d"), ["dcgan"]),
        (("train", "--preset", ""), ["default", "quick", "article", "paper"]),
        (("train", "-v", "dcgan", "--preset", ""), ["default", "quick", "paper"]),
        (("train", "--eval-metric", "p"), ["psnr"]),
        (("train", "--init-from", "dig"), ["digits"]),
        (("train", "-d", "mn"), ["mnist"]),
        (("train", "--loss", "rel"), ["relativistic"]),
        (("train", "--resume", "a"), ["auto"]),
        (("train", "-v", "dcgan", "--cond"), ["--conditional"]),
        (("sample", "sr"), ["srgan-x2", "srgan-x4", "srgan-x4-sharp"]),
        (("sample", "digits", "--label", ""), [*map(str, range(10)), "all"]),
        (("sample", "--label", "3,", "dig"), ["digits"]),
        (("sample", "digits", "-n", "3", "-l", "3,a"), ["3,all"]),
        (("sample", "digits", "--device", "cu"), ["cuda", "cuda:0"]),
        (("sample", "srgan-x4", "--label", ""), []),
        (("sample", "nothing", "--label", ""), []),
        (("evaluate", "digits", "--metrics", "frechet,k"), ["frechet,kernel"]),
        (("evaluate", "digits", "dig"), ["digits"]),
        (("variants", "la"), ["lapgan"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_tab_offers_what_may_stand_there(tab: Tab, words: tuple[str, ...], offered: list[str]) -> None:
    assert tab(*words) == offered


def test_runs_and_checkpoints_are_offered_beside_models_that_come_along(tab: Tab, trained: Path) -> None:
    Path("docs").mkdir()
    Path("my pictures").mkdir()
    Path("d.safetensors").touch()
    Path("d.txt").touch()
    assert tab("sample", "d") == ["dcgan-32", "dcgan-64", "digits", "d.safetensors", "docs/"]
    assert tab("sample", "r") == ["run"]
    assert tab("inspect", "run/c") == ["run/ckpt.safetensors"]
    assert tab("sample", "doc") == []  # the shell's own affair
    assert trained.name == "run"


def test_classes_and_cached_datasets_are_offered_but_not_what_a_shell_would_take_apart(tab: Tab, gan: Gan) -> None:
    for shade, name in ((0, "cat"), (90, "dog"), (180, "big cow")):
        shaded(Path("pics", name), shade, 4)
    args = ("train", "-v", "cgan", "-d", "pics", *TINY, "--width", 8, "--steps", 2, "--out", "mine")
    assert gan(*args).code == 0
    assert tab("sample", "mine", "--label", "") == ["cat", "dog", "all"]
    assert "pics" in tab("cache", "")
