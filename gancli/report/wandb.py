"""Weights & Biases (`--wandb`): losses, samples, metrics and options of a run, by the package `wandb`.

Its environment variables apply, such as WANDB_MODE=offline, WANDB_PROJECT, WANDB_NAME and WANDB_BASE_URL. Whatever fails
is a warning, after which nothing more is logged.
"""

import contextlib
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from gancli.errors import GancliError
from gancli.events import Evaluated, Event, LossRow, RunStarted, SamplesDrawn
from gancli.report.rows import is_number

PROJECT = "gancli"
ID_FILE = "run-id.txt"
INIT_S, FINISH_S = 30, 60  # that a run waits for the server at its start and at its end
MISSING = "--wandb: wandb is missing: pip install 'gancli[wandb]'"


class WandbRun:
    """Sends the events of a run to Weights & Biases; its files are in `folder`, the `wandb` of the run directory. A call
    returns `""`, or a warning if that failed. `options`: those of the run.

    The id of the run is kept in `folder`, so that a resumed run continues it. Raises `GancliError` if wandb is missing.
    """

    def __init__(self, folder: Path, options: Mapping[str, object]) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")  # read at the import; the terminal belongs to the reporter
        try:
            import wandb
        except ImportError as error:
            raise GancliError(MISSING) from error
        self._wandb: Any = wandb
        self._folder, self._options = folder, options
        self._run: Any = None
        self._failed = False

    def __enter__(self) -> "WandbRun":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is not None:
            with contextlib.suppress(Exception):  # the run has ended
                self._run.finish(exit_code=0 if error is None else 1)

    def __call__(self, event: Event) -> str:
        if self._failed:
            return ""
        try:
            self._add(event)
        except Exception as error:
            self._failed = True
            why = " ".join(str(error).split()) or type(error).__name__
            return f"--wandb: {why[:300]}; Weights & Biases gets no more of this run"
        return ""

    def _add(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start()
            case LossRow():
                self._log(event.step, {**event.terms, "images_per_s": event.images_per_s, "epoch": event.epoch})
            case Evaluated():
                metrics = {f"metrics/{name}": value for name, value in event.figures.items()}
                self._log(event.step, metrics | {f"real/{name}": value for name, value in event.compared.real.items()})
            case SamplesDrawn():
                from PIL import Image

                picture = Image.frombytes("RGB", (event.width, event.height), event.rgb)
                self._log(event.step, {}, {"samples": self._wandb.Image(picture)})

    def _start(self) -> None:
        self._folder.mkdir(exist_ok=True)
        names = {"project": PROJECT, "name": self._folder.absolute().parent.name}
        settings = self._wandb.Settings(
            silent=True, console="off", init_timeout=INIT_S, finish_timeout=FINISH_S, disable_git=True, save_code=False
        )
        with _without_questions():
            self._run = self._wandb.init(
                dir=self._folder.parent,
                id=self._id(),
                mode=os.environ.get("WANDB_MODE") or None,  # of now, not of the first import
                resume="allow",
                config=dict(self._options),
                allow_val_change=True,
                settings=settings,
                **{name: value for name, value in names.items() if not os.environ.get(f"WANDB_{name.upper()}")},
            )

    def _id(self) -> str:
        file = self._folder / ID_FILE
        if file.exists() and (known := file.read_text("utf-8").strip()):
            return known
        found = os.environ.get("WANDB_RUN_ID") or uuid.uuid4().hex[:12]
        file.write_text(found + "\n", "utf-8")
        return found

    def _log(self, step: int, values: Mapping[str, float], images: Mapping[str, object] | None = None) -> None:
        """Log numbers and images of a step, unless it has been before: a resumed run repeats the steps after its state."""
        if step >= self._run.step:
            numbers = {name: value for name, value in values.items() if is_number(value)}
            self._run.log(numbers | dict(images or {}), step=step)


@contextlib.contextmanager
def _without_questions() -> Iterator[None]:
    """Let wandb raise an error instead of asking for a key on the terminal."""
    before = sys.stdin
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before
