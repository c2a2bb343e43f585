"""TensorBoard's event files (`--tensorboard`): losses, samples, metrics and options, by torch's `utils.tensorboard`.

The records are written here, as the thread of its `SummaryWriter` prints a traceback if the disk is full.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from gancli.errors import GancliError, os_problem
from gancli.events import Evaluated, Event, LossRow, RunFinished, RunStarted, SamplesDrawn
from gancli.report.rows import is_number

VERSION = "brain.Event:2"  # the format of event files
MISSING = "--tensorboard: tensorboard is missing: pip install 'gancli[tensorboard]'"


class TensorBoardFile:
    """Writes the events of a run into `folder`. A call returns `""`, or a warning if the disk takes no more; after that
    nothing is written. `options`: those of the run, for TensorBoard's HParams page.

    A resumed run writes another file, which makes TensorBoard ignore what the former one has after the state's step. Raises
    `GancliError` if TensorBoard is not installed.
    """

    def __init__(self, folder: Path, options: Mapping[str, object]) -> None:
        try:
            from torch.utils.tensorboard import RecordWriter, summary
        except ImportError as error:
            raise GancliError(MISSING) from error
        self._folder, self._options = folder, options
        self._writer = RecordWriter
        self._summary: Any = summary  # its functions have no types
        self._file: BinaryIO | None = None
        self._failed = False

    def __enter__(self) -> "TensorBoardFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def __call__(self, event: Event) -> str:
        if self._failed:
            return ""
        try:
            if self._file and not self._folder.exists() and self._folder.parent.exists():  # it was deleted
                self._open(getattr(event, "step", 0))
            self._add(event)
        except OSError as error:
            self._failed = True
            self._close()
            return f"{os_problem(self._folder, 'written', error)}; TensorBoard gets no more of this run"
        return ""

    def _add(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._open(event.start_step)
            case LossRow():
                self._add_scalars(event.step, {**event.terms, "images_per_s": event.images_per_s, "epoch": event.epoch})
            case Evaluated():
                self._add_scalars(event.step, {f"figures/{name}": value for name, value in event.figures.items()})
                self._add_scalars(event.step, {f"real/{name}": value for name, value in event.compared.real.items()})
            case SamplesDrawn():
                import numpy as np

                pixels = np.frombuffer(event.rgb, np.uint8).reshape(event.height, event.width, 3)
                self._write(step=event.step, summary=self._summary.image("samples", pixels, dataformats="HWC"))
            case RunFinished():
                self._close()

    def _open(self, start_step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._close()
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns() // 10**9:010d}.{socket.gethostname()}.{os.getpid()}"
        number = len(list(self._folder.iterdir()))  # TensorBoard reads files in the order of their names
        self._file = (self._folder / f"{name}.{number}").open("xb")
        self._write(file_version=VERSION)
        if start_step:
            self._write(step=start_step + 1, session_log=SessionLog(status=SessionLog.START))
        options = {name: value for name, value in self._options.items() if isinstance(value, str | bool | int | float)}
        _, started, _ = self._summary.hparams(options, {})
        self._write(summary=started)

    def _add_scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if is_number(value):
                self._write(step=step, summary=self._summary.scalar(name, value))

    def _write(self, **fields: Any) -> None:
        """Write and flush a record. Raises `OSError`."""
        from tensorboard.compat.proto.event_pb2 import Event as Record

        assert self._file is not None, "RunStarted comes first"
        self._writer(self._file).write(Record(wall_time=time.time(), **fields).SerializeToString())
        self._file.flush()

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # a record that was not written has been reported
                self._file.close()
            self._file = None
