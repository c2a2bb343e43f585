"""Processes that have imported torch once and become any `gan` command in 0.02 s: the other end of world.py."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.reliability.faults import GROUP, GROUPS
from tests.reliability.platforms import NOT_OURS
from tests.reliability.streams import Stream, Streams
from tests.reliability.world import BROKEN, IMPOSSIBLE, MAX_JOB_BYTES

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 60.0  # of a command; more is a hang
START_S = 300.0
WORLD = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.reliability import world; world.main(sys.argv[1:])"
HUNG = "no end"
READ_AT_IMPORT = (
    "typer.rich_utils",
)  # modules that read the environment when they are imported: no child finds them there


@dataclass(frozen=True)
class Interpreter:
    """How Python itself is started, and what is wrong from its first moment."""

    flags: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    faults: tuple[str, ...] = ()
    own_process: bool = False  # a new process for each command


PYTHON, USUAL = Interpreter(), Streams()


@dataclass(frozen=True)
class Job:
    args: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    faults: Sequence[str] = ()
    streams: Streams = USUAL
    about: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (`-9`: killed), and its streams as far as they could be read."""

    code: int | str
    out: bytes = b""
    err: bytes = b""
    seconds: float = 0.0
    whole: bool = True  # all that it wrote to stdout was read
    heard: bool = True  # and to stderr

    @property
    def impossible(self) -> bool:
        return self.code == IMPOSSIBLE


class Server:
    """One such process. As a context manager it ends with its block."""

    def __init__(self, interpreter: Interpreter, modules: Sequence[str]) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [
            sys.executable,
            *interpreter.flags,
            "-c",
            WORLD,
            "--serve",
            str(theirs.fileno()),
            *interpreter.faults,
        ]
        environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HOME": "/"} | dict(interpreter.environment)
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._ended = dict[int, int]()
        self.learn(modules)

    def learn(self, modules: Sequence[str]) -> None:
        """Import them, so that children need not."""
        self._line.send(json.dumps({"modules": list(modules)}).encode())
        self._hear(time.monotonic() + START_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()
        self._process.wait(60)
        with contextlib.suppress(OSError):
            Path(GROUPS, GROUP.format(self._process.pid)).rmdir()

    def start(self, job: Job) -> "Running":
        streams = [Stream(getattr(job.streams, n), n != "stdin") for n in ("stdin", "stdout", "stderr")]
        closed = [number for number, stream in enumerate(streams) if stream.kind == "closed"]
        about = {"args": job.args, "cwd": str(job.cwd), "env": dict(job.environment), "faults": list(job.faults)}
        text = json.dumps({**about, "closed": closed, "about": job.about and str(job.about)}).encode()
        socket.send_fds(self._line, [text], [stream.handle for stream in streams])
        for stream in streams:
            stream.passed()
        began = self._hear(time.monotonic() + START_S)
        while "began" not in began:
            self._ended[began["ended"]] = began["status"]
            began = self._hear(time.monotonic() + START_S)
        return Running(self.status, int(began["began"]), streams)

    def run(self, job: Job) -> Outcome:
        return self.start(job).wait()

    def status(self, pid: int, until: float) -> int | None:
        """What `waitpid` says of a child; None where it has not ended by then."""
        while pid not in self._ended:
            try:
                told = self._hear(until)
            except TimeoutError:
                return None
            self._ended[told["ended"]] = told["status"]
        return self._ended.pop(pid)

    def _hear(self, until: float) -> dict[str, Any]:
        if not select.select([self._line], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError("the server says nothing")
        text = self._line.recv(MAX_JOB_BYTES)
        if not text:
            raise RuntimeError(f"the server ended with {self._process.wait()}")
        told: dict[str, Any] = json.loads(text)
        return told


class Processes:
    """As a server, but each command is a new `python -m gancli`."""

    def start(self, job: Job) -> "Running":
        streams = [Stream(getattr(job.streams, n), n != "stdin") for n in ("stdin", "stdout", "stderr")]
        closed = [number for number, stream in enumerate(streams) if stream.kind == "closed"]

        def close() -> None:
            for number in closed:
                os.close(number)

        process = subprocess.Popen(
            [sys.executable, "-m", "gancli", *job.args], cwd=job.cwd, env={**job.environment, "PYTHONPATH": str(ROOT)},
            stdin=streams[0].handle, stdout=streams[1].handle, stderr=streams[2].handle, preexec_fn=close,
        )  # fmt: skip
        for stream in streams:
            stream.passed()

        def status(_: int, until: float) -> int | None:
            try:
                code = process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                return None
            return code << 8 if code >= 0 else -code

        return Running(status, process.pid, streams)

    def run(self, job: Job) -> Outcome:
        return self.start(job).wait()


class Running:
    """A command at work. `status` gives what `waitpid` says, or None where it has not ended by some time."""

    def __init__(self, status: Callable[[int, float], int | None], pid: int, streams: Sequence[Stream]) -> None:
        self._status, self.pid, self._streams, self._began = status, pid, streams, time.monotonic()

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return "Z" != _state(self.pid) != ""

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, limit_s: float = LIMIT_S) -> Outcome:
        status = self._status(self.pid, self._began + limit_s)
        if status is None:
            self.signal(signal.SIGKILL)
            self._status(self.pid, time.monotonic() + LIMIT_S)
        seconds = time.monotonic() - self._began
        code = HUNG if status is None else os.waitstatus_to_exitcode(status)
        whole = self._streams[1].kind in ("file", "pipe")
        heard = self._streams[2].kind != "gone"
        outcome = Outcome(code, self._streams[1].content(), self._streams[2].content(), seconds, whole, heard)
        if code == BROKEN:
            raise RuntimeError(f"the harness has a mistake: {outcome.err.decode()}")
        return outcome


def _state(pid: int) -> str:
    """The kernel's letter for what a process does; "" where there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()
    return ""


class Servers:
    """A server for each kind of interpreter that was asked for, started when it is needed; one at a time is kept."""

    def __init__(self) -> None:
        self.modules = [*NOT_OURS]
        self._held: tuple[Interpreter, Server] | None = None

    def of(self, interpreter: Interpreter) -> Server | Processes:
        if interpreter.own_process:
            return Processes()
        if self._held is None or self._held[0] != interpreter:
            self.close()
            self._held = interpreter, Server(interpreter, self.modules)
        return self._held[1]

    def learn(self, about: Path) -> None:
        """The server at work, and those to come, import what a command needed, before they fork."""
        if about.exists():
            new = sorted({*json.loads(about.read_text())} - {*self.modules, *READ_AT_IMPORT})
            about.unlink()
            self.modules += new
            if self._held is not None and new:
                self._held[1].learn(new)

    def close(self) -> None:
        if self._held is not None:
            self._held[1].__exit__(None, None, None)
            self._held = None


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    kept = Servers()
    try:
        yield kept
    finally:
        kept.close()
