"""Several processes of one run on this machine (`--processes`): this process is the first, and starts the others.

They get the environment of processes that torchrun starts (see `machine.ranks`). torchrun itself ends with 1, whatever its
processes end with, and kills those that take longer than 30 seconds to save a state. Here the exit code, the signals and the
output of the command are those of the first process. The others stop when it does, as they ask each other every few steps;
they are in sessions of their own, so that Ctrl-C in a terminal reaches only the first.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from gancli.errors import GancliError, UsageError
from gancli.text import printable

AUTO = "auto"
STOPPED = 75
POLL_S = 0.5
LAST_S = 20.0  # that the others have to end after the first one, or after SIGTERM
STUCK_S = 60.0  # after which the first process ends without the others' answer, if one of them has failed
HOST = "127.0.0.1"


def resolve_count(asked: str | None, device: str | None) -> int:
    """Return the number of processes of `--processes`, for `auto` one per GPU; 1 without the option. Raises `UsageError` for
    more than there are GPUs, and if another launcher has started this process."""
    if asked in (None, "1"):
        return 1
    if "WORLD_SIZE" in os.environ:
        raise UsageError(f"--processes {asked}: a launcher such as torchrun has started this process already; omit it")
    if device == "cpu" and asked != AUTO:
        return int(str(asked))
    import torch

    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() and device != "cpu" else 0
    count = max(1, num_gpus) if asked == AUTO else int(str(asked))
    if num_gpus and count > num_gpus:
        raise UsageError(f"--processes {asked}: this machine has {num_gpus} GPUs; give --processes {num_gpus} or auto")
    return count


@contextlib.contextmanager
def launched(count: int, words: Sequence[str]) -> Iterator[None]:
    """Within it, `count` processes run `gan train` with the arguments `words`, of which this one is the first. Raises
    `GancliError` at the end if another one has failed and the first has not said why."""
    if count == 1:
        yield
        return
    place = {"WORLD_SIZE": f"{count}", "LOCAL_WORLD_SIZE": f"{count}", "MASTER_ADDR": HOST, "MASTER_PORT": _free_port()}
    with contextlib.ExitStack() as files:
        outputs = [files.enter_context(tempfile.TemporaryFile()) for _ in range(1, count)]
        others = [_start(rank, words, place, output) for rank, output in enumerate(outputs, 1)]
        ended = threading.Event()
        threading.Thread(target=_watch, args=(others, outputs, ended), name="processes", daemon=True).start()
        before = dict(os.environ)
        os.environ.update(place | {"RANK": "0", "LOCAL_RANK": "0"})
        try:
            yield
            _wait(others, LAST_S)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            _wait(others, LAST_S)
            if (problem := _problem(others, outputs)) and "worker process" in str(error):
                raise GancliError(problem) from error
            raise
        finally:
            ended.set()
            os.environ.clear()
            os.environ.update(before)
            _end(others)


def _free_port() -> str:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return str(free.getsockname()[1])


def _start(rank: int, words: Sequence[str], place: dict[str, str], output: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start the process of a rank, with this process's Python and package."""
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    environment = os.environ | place | {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "PYTHONPATH": paths}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "gancli", "train", *words, "--processes", "1"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def _wait(others: Sequence["subprocess.Popen[bytes]"], seconds: float) -> None:
    """Wait for processes to end, at most so many seconds."""
    deadline = time.monotonic() + seconds
    for other in others:
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(max(0.0, deadline - time.monotonic()))


def _end(others: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End the processes that still run."""
    for other in others:
        if other.poll() is None:
            other.terminate()
    if any(other.poll() is None for other in others):
        _wait(others, LAST_S)
    for other in others:
        if other.poll() is None:
            other.kill()
            other.wait()


def _problem(others: Sequence["subprocess.Popen[bytes]"], outputs: Sequence[IO[bytes]]) -> str:
    """Return a line about the process that was killed or, if none was, that failed; `""` if all are well."""
    failed = [(code, rank) for rank, other in enumerate(others, 1) if (code := other.poll()) not in (None, 0, STOPPED)]
    if not failed:
        return ""
    code, rank = min(failed)
    which = f"process {rank + 1} of {len(others) + 1}"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"{which} was killed by {signal.Signals(-code).name}"
    outputs[rank - 1].seek(0)
    lines = outputs[rank - 1].read().decode(errors="replace").split("\n")
    said = next((line for line in reversed(lines) if line.strip()), "").removeprefix("gan: ")
    return f"{which} ended with exit code {code}" + (f": {printable(said)[:500]}" if said else "")


def _watch(
    others: Sequence["subprocess.Popen[bytes]"], outputs: Sequence[IO[bytes]], ended: threading.Event
) -> None:  # fmt: skip
    """End this process if another one has failed, and this one waits for its answer in a library that does not notice."""
    while not ended.wait(POLL_S):
        if (problem := _problem(others, outputs)) and not ended.wait(STUCK_S):
            sys.stderr.write(f"gan: {problem}\n")
            sys.stderr.flush()
            for other in others:
                other.kill()
            os._exit(1)
