"""The kill loop and the fuzzer, shorter than by hand: `python -m tests.reliability.kill` and `… .fuzz`."""

import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gancli.store import state
from gancli.store.rundir import RunDirectory
from tests.conftest import SMALL, Gan
from tests.reliability import fuzz, kill, victim
from tests.reliability.platforms import NOT_OURS
from tests.reliability.servers import PYTHON, Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(PYTHON, NOT_OURS) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["vanilla", "srgan"])
def test_a_run_killed_again_and_again_ends_in_the_same_bytes(
    server: Server, variant: str, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill, "LONGEST_S", 0.4)
    monkeypatch.setitem(kill.OWN, "vanilla", ("--steps", "800"))
    monkeypatch.setitem(kill.OWN, "srgan", (*kill.OWN["srgan"], "--steps", "400", "--pretrain-steps", "200"))
    landed = kill.loop(server, variant, 4, random.Random(variant), tmp_path, data_root)
    assert sum(landed.values()) == 4


@pytest.mark.slow
@pytest.mark.parametrize("point", victim.POINTS)
def test_a_kill_at_any_point_of_writing_leaves_a_state_that_verifies(
    server: Server, point: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run = ("train", *SMALL, "--steps", 15, "--save-every", 5, "--out", out, "--progress", "none")
    # the sixth file: config, samples, state, model, samples, the second state
    assert server.run(kill.job([*map(str, run)], f"killed:{point}:6")).code == -9
    newest, skipped = state.load_newest(RunDirectory(out))
    assert newest.facts.step == (10 if point == "renamed" else 5)
    assert not skipped


def test_a_file_size_limit_is_one_line_and_the_last_state_is_intact(tmp_path: Path, gan: Gan) -> None:
    out = tmp_path / "run"
    run = ["train", *SMALL, "--steps", "10", "--out", str(out), "--save-every", "5"]
    first = gan(*run, "--steps", "5")
    assert first.code == 0, first.err

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    full = subprocess.run(
        [sys.executable, "-m", "gancli", *run, "--resume", "auto", "--progress", "none"],
        capture_output=True, text=True, timeout=120, preexec_fn=limit,
    )  # fmt: skip
    assert full.returncode == 1
    assert "cannot be written (File too large); what was there is untouched" in full.stderr
    assert full.stderr.count("\n") == 1
    assert state.load_newest(RunDirectory(out))[0].facts.step == 5
    assert not list(out.rglob("*.part"))


def test_fuzzed_files_end_in_success_or_one_line(tmp_path: Path) -> None:
    tallies = (fuzz.checkpoints(150, random.Random(1), tmp_path), fuzz.images(300, random.Random(1)))
    for tally in tallies:
        assert tally.bad == []
        assert len(tally.ends) > 1
