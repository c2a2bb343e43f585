"""TensorBoard's event files (`--tensorboard`): the run's losses, samples, figures and options for those who look there.

Written record by record as it happens, by TensorBoard's own record writer and messages. Its `SummaryWriter`, which torch
wraps, writes from a thread, whose errors (a full disk) come late or not at all.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, BinaryIO, Literal, NamedTuple

from PIL import Image

from gancli import images
from gancli.errors import GancliError
from gancli.events import Evaluated, Event, LossRow, RunFinished, RunStarted, SamplesDrawn
from gancli.files import atomic
from gancli.report.jsonl import is_number

VERSION = "brain.Event:2"  # the format of event files: older ones were purged in another way
PREFIX = "events.out.tfevents."
MISSING = "--tensorboard: tensorboard is missing: pip install 'gancli[tensorboard]'"
Kind = Literal["scalar", "image"]


class Messages(NamedTuple):
    """TensorBoard's modules, which are imported where they are used only."""

    event: ModuleType
    summary: ModuleType
    hparams: ModuleType
    metadata: ModuleType
    records: ModuleType


def messages() -> Messages:
    """Raises `GancliError` that names the extra where TensorBoard is not installed."""
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.plugins.hparams import metadata, plugin_data_pb2
        from tensorboard.summary.writer import record_writer
    except ImportError as error:
        raise GancliError(MISSING) from error
    return Messages(event_pb2, summary_pb2, plugin_data_pb2, metadata, record_writer)


class Board:
    """Writes to `folder` what a run tells. Called with an event it gives what to warn of, or `""`: once the disk takes no
    more, the run goes on without. `options`: the run's, for TensorBoard's HParams page.

    A run that goes on writes a file of its own, which has TensorBoard pass over what the one before wrote after its last
    state. Raises `GancliError` where TensorBoard is not installed.
    """

    def __init__(self, folder: Path, options: Mapping[str, object]) -> None:
        self._folder, self._options = folder, options
        self._of = messages()
        self._file: BinaryIO | None = None
        self._broken = False

    def __enter__(self) -> "Board":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __call__(self, event: Event) -> str:
        if self._broken:
            return ""
        try:
            if self._file and atomic.is_removed(self._file) and self._folder.parent.exists():
                self._begin(getattr(event, "step", 0))
            self._tell(event)
        except OSError as error:
            self._broken = True
            self._close()
            return f"{self._folder}: cannot be written ({error.strerror}); TensorBoard gets no more of this run"
        return ""

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written was told when it was
                self._file.close()
            self._file = None

    def _tell(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._begin(event.start_step)
            case LossRow():
                self._scalars(event.step, "", {**event.terms, "images_per_s": event.images_per_s, "epoch": event.epoch})
            case Evaluated():
                self._scalars(event.step, "figures/", event.figures)
                self._scalars(event.step, "real/", event.compared.real)
            case SamplesDrawn():
                self._picture(event)
            case RunFinished():
                self._close()

    def _begin(self, start_step: int) -> None:
        self._close()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = (self._folder / _name(self._folder)).open("xb")
        self._write(file_version=VERSION)
        if start_step:
            session = self._of.event.SessionLog(status=self._of.event.SessionLog.START)
            self._write(step=start_step + 1, session_log=session)
        info = self._of.hparams.SessionStartInfo(start_time_secs=time.time())
        for name, value in self._options.items():
            if isinstance(value, bool):
                info.hparams[name].bool_value = value
            elif is_number(value):
                info.hparams[name].number_value = value
            elif isinstance(value, str):
                info.hparams[name].string_value = value
        about = self._of.metadata.create_summary_metadata(self._of.hparams.HParamsPluginData(session_start_info=info))
        self._summary(0, [{"tag": self._of.metadata.SESSION_START_INFO_TAG, "metadata": about}])

    def _scalars(self, step: int, group: str, values: Mapping[str, float]) -> None:
        named = ({"tag": group + name, "simple_value": value} for name, value in values.items() if is_number(value))
        self._summary(step, list(named))

    def _picture(self, event: SamplesDrawn) -> None:
        picture = Image.frombytes("RGB", (event.width, event.height), event.rgb)
        coded = self._of.summary.Summary.Image(
            height=event.height, width=event.width, colorspace=3, encoded_image_string=images.encode(picture, ".png")
        )
        self._summary(event.step, [{"tag": "samples", "image": coded}])

    def _summary(self, step: int, values: list[dict[str, Any]]) -> None:
        if values:
            kind = self._of.summary.Summary
            self._write(step=step, summary=kind(value=[kind.Value(**value) for value in values]))

    def _write(self, **fields: Any) -> None:
        """A record, at once. Raises `OSError`."""
        assert self._file is not None, "RunStarted comes first"
        event = self._of.event.Event(wall_time=time.time(), **fields)
        self._of.records.RecordWriter(self._file).write(event.SerializeToString())
        self._file.flush()


def _name(folder: Path) -> str:
    """A name behind those that are there: TensorBoard reads files in the order of their names, which begin with a time."""
    begun = [int(path.name[len(PREFIX) :][:10]) for path in folder.glob(f"{PREFIX}{'[0-9]' * 10}.*")]
    now = max([int(time.time()), *(time_s + 1 for time_s in begun)])
    return f"{PREFIX}{now:010d}.{socket.gethostname()}.{os.getpid()}.0"
