"""Kills and damaged files, fewer than by hand: `python -m tests.reliability.kill` and `... .fuzz`."""

import random
from pathlib import Path

import pytest

from gancli.store import state
from gancli.store.rundir import RunDirectory
from tests.conftest import SMALL, Gan
from tests.reliability import fuzz, kill
from tests.reliability.faults import KILL_POINTS


@pytest.mark.slow
def test_a_run_killed_at_each_point_of_writing_keeps_a_sound_state_and_ends_in_the_same_bytes(
    gan: Gan, tmp_path: Path
) -> None:
    every = ("--save-every", 5, "--sample-every", 5)
    run = ("train", *SMALL, "--steps", 60, *every, "--resume", "auto", "--progress", "none", "--out")
    assert gan(*run, tmp_path / "whole").code == 0
    parts = tmp_path / "parts"
    for point in KILL_POINTS:
        kill.kill((*run, parts), f"killed:{point}:6", out=parts)
        _, skipped = state.load_newest(RunDirectory(parts))
        assert not skipped, point
    kill.finish((*run, parts))
    kill.check_same(tmp_path / "whole", parts)


def test_fuzzed_files_end_in_success_or_one_line(tmp_path: Path) -> None:
    (tmp_path / "archives").mkdir()
    for tally in (
        fuzz.checkpoints(100, random.Random(1), tmp_path),
        fuzz.images(150, random.Random(1)),
        fuzz.archives(50, random.Random(1), tmp_path / "archives"),
    ):
        assert tally.bad == []
        assert len(tally.ends) > 1
