"""`--wandb`: what is logged, in the offline mode of the real package, and what becomes of a run that it fails in."""

import sys
from pathlib import Path
from typing import Any

import pytest

from gancli.errors import GancliError
from gancli.report.wandb import WandbRun
from tests.conftest import SMALL, Gan, sha256
from tests.report.facts import TERMS, evaluated, finished, row, samples, started

pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_PROJECT", "WANDB_NAME", "WANDB_RUN_ID", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


class Stub:
    """`wandb` as the tests see it: what is logged, and how runs begin and end."""

    def __init__(self, step: int = 0) -> None:
        self.step = step
        self.begun: dict[str, Any] = {}
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.ended: list[int] = []

    def init(self, **options: Any) -> "Stub":
        self.begun = options
        return self

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))
        self.step = step

    def finish(self, exit_code: int) -> None:
        self.ended.append(exit_code)

    @staticmethod
    def Settings(**options: Any) -> dict[str, Any]:  # noqa: N802
        return options

    @staticmethod
    def Image(picture: Any) -> tuple[int, int]:  # noqa: N802
        size: tuple[int, int] = picture.size
        return size


def test_losses_metrics_and_samples_are_logged_with_their_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = Stub()
    monkeypatch.setitem(sys.modules, "wandb", stub)
    folder = tmp_path / "a-run" / "wandb"
    folder.parent.mkdir()
    with WandbRun(folder, {"lr": 0.5}) as write:
        assert {write(event) for event in (started(), row(100), samples(200), evaluated(), finished())} == {""}
    assert (stub.begun["project"], stub.begun["name"], stub.begun["config"]) == ("gancli", "a-run", {"lr": 0.5})
    (_, losses), (_, pictures), (step, metrics) = stub.logged
    assert losses.items() >= TERMS.items()
    assert pictures == {"samples": (238, 238)}
    assert step == 4000
    assert {"metrics/frechet", "real/frechet"} <= set(metrics)
    assert stub.ended == [0]


def test_a_resumed_run_has_the_same_id_and_repeats_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Stub(), Stub(step=300)  # killed after 300, its state was of 200
    for stub, begin, at in ((first, 0, (100, 200, 300)), (second, 200, (300, 400))):
        monkeypatch.setitem(sys.modules, "wandb", stub)
        with WandbRun(tmp_path, {}) as write:
            for event in (started(begin), *map(row, at)):
                assert write(event) == ""
    assert first.begun["id"] == second.begun["id"]
    assert [step for step, _ in second.logged] == [300, 400]


def test_an_error_ends_the_run_there_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Stub()
    monkeypatch.setitem(sys.modules, "wandb", stub)
    with pytest.raises(GancliError), WandbRun(tmp_path, {}) as write:  # noqa: PT012
        write(started())
        raise GancliError("diverged")
    assert stub.ended == [1]


@pytest.mark.slow
def test_offline_runs_are_kept_in_the_run_directory_and_change_no_bytes(gan: Gan) -> None:
    line = ("train", *SMALL, "--progress", "plain", "--out")
    outcome = gan(*line, "r", "--wandb", "--steps", 10)
    assert outcome.code == 0, outcome.err
    assert "--wandb" not in outcome.err
    again = gan("train", "--resume", "r", "--steps", 15)
    assert again.code == 0, again.err
    runs = [path.name for path in Path("r/wandb").glob("offline-run-*")]
    assert len({name.split("-")[3] for name in runs}) == 1
    assert list(Path("r/wandb").rglob("samples*.png"))
    assert gan(*line, "without", "--steps", 15).code == 0
    assert sha256(Path("r/ckpt.safetensors")) == sha256(Path("without/ckpt.safetensors"))


def test_without_a_key_the_run_is_trained_with_one_warning(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    outcome = gan("train", *SMALL, "--steps", 10, "--wandb", "--out", "r", "--progress", "plain")
    assert outcome.code == 0
    assert outcome.err.count("warning: --wandb: No API key configured.") == 1, outcome.err
    assert outcome.err.count("Weights & Biases gets no more of this run") == 1


def test_without_wandb_the_extra_is_named_and_nothing_is_left(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    outcome = gan("train", *SMALL, "--steps", 5, "--wandb", "--out", "r")
    assert (outcome.code, outcome.err) == (1, "gan: --wandb: wandb is missing: pip install 'gancli[wandb]'\n")
    assert not Path("r").exists()
