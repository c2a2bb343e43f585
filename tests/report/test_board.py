"""`--tensorboard`, read back by TensorBoard's own reader."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gancli.errors import GancliError
from gancli.report.rows import read_metrics
from gancli.report.tensorboard import TensorBoardFile
from tests.conftest import SMALL, Gan, sha256
from tests.report.facts import TERMS, evaluated, finished, row, samples, started

pytest.importorskip("tensorboard")


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), {"scalars": 0, "images": 0})
    return reader.Reload()


def steps(reader: Any, tag: str) -> list[int]:
    return [event.step for event in reader.Scalars(tag)]


def test_events_of_a_run_are_read_back(tmp_path: Path) -> None:
    with TensorBoardFile(
        tmp_path / "tb", {"lr": 0.5, "seed": 3, "mirror": True, "loss": "hinge", "fit": None}
    ) as write:
        assert {write(event) for event in (started(), row(100), row(200), samples(200), evaluated(), finished())} == {
            ""
        }
    reader = read(tmp_path / "tb")
    assert set(reader.Tags()["scalars"]) == {
        *TERMS, "images_per_s", "epoch", "figures/frechet", "figures/coverage", "real/frechet", "real/coverage",
    }  # fmt: skip
    assert [(event.step, event.value) for event in reader.Scalars("d_loss")] == [
        (100, pytest.approx(TERMS["d_loss"])), (200, pytest.approx(TERMS["d_loss"])),
    ]  # fmt: skip
    assert steps(reader, "figures/frechet") == [4000]
    (picture,) = reader.Images("samples")
    assert (picture.step, picture.width, picture.height) == (200, 238, 238)
    assert picture.encoded_image_string.startswith(b"\x89PNG")
    from tensorboard.plugins.hparams import metadata

    content = reader.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    options = metadata.parse_session_start_info_plugin_data(content).hparams
    assert (options["lr"].number_value, options["seed"].number_value) == (0.5, 3)
    assert (options["mirror"].number_value, options["loss"].string_value) == (1, "hinge")
    assert "fit" not in options


def test_a_resumed_run_writes_every_step_once(tmp_path: Path) -> None:
    for begin, at in ((0, (100, 200, 300)), (200, (300, 400)), (400, (500,))):  # killed after 300, its state was of 200
        with TensorBoardFile(tmp_path, {}) as write:
            write(started(begin))
            for step in at:
                write(row(step))
                write(samples(step))
    reader = read(tmp_path)
    assert steps(reader, "d_loss") == [100, 200, 300, 400, 500]
    assert [event.step for event in reader.Images("samples")] == [100, 200, 300, 400, 500]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_one_warning_and_the_run_ends_in_the_same_bytes(
    gan: Gan, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def opened(path: Path, mode: str = "r", **more: Any) -> Any:
        return real(*((Path("/dev/full"), "ab") if path.name.startswith("events.") else (path, mode)), **more)

    monkeypatch.setattr(Path, "open", opened)
    outcome = gan("train", *SMALL, "--steps", 10, "--tensorboard", "--out", "r", "--progress", "plain")
    assert outcome.code == 0
    assert outcome.err.count("r/tensorboard: cannot be written (") == 1
    assert outcome.err.count("TensorBoard gets no more of this run") == 1
    assert gan("train", *SMALL, "--steps", 10, "--out", "without").code == 0
    assert sha256(Path("r/ckpt.safetensors")) == sha256(Path("without/ckpt.safetensors"))


def test_a_training_writes_what_its_metrics_file_has_and_continues_it(gan: Gan) -> None:
    line = ("train", *SMALL, "--out", "r", "--resume", "auto")
    assert gan(*line, "--steps", 10, "--tensorboard").code == 0
    assert gan(*line, "--steps", 15).code == 0, "an option of the run, so it is resumed"
    assert len(list(Path("r/tensorboard").iterdir())) == 2
    reader, rows = read(Path("r/tensorboard")), read_metrics(Path("r/metrics.jsonl"))
    assert [(event.step, event.value) for event in reader.Scalars("g_loss")] == [
        (row["step"], pytest.approx(row["g_loss"])) for row in rows
    ]
    assert [event.step for event in reader.Images("samples")] == [5, 10, 15]
    assert gan(*line, "--steps", 20, "--no-tensorboard").code == 0
    assert len(list(Path("r/tensorboard").iterdir())) == 2
    assert not os.path.lexists("r/tensorboard/.lock")


def test_without_tensorboard_the_extra_is_named_and_nothing_is_left(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(GancliError, match=r"pip install 'gancli\[tensorboard\]'"):
        TensorBoardFile(Path("tb"), {})
    outcome = gan("train", *SMALL, "--steps", 5, "--tensorboard", "--out", "r")
    assert (outcome.code, outcome.err) == (
        1,
        "gan: --tensorboard: tensorboard is missing: pip install 'gancli[tensorboard]'\n",
    )
    assert not Path("r").exists()
