"""`python -m tests.reliability.world FAULT... -- ARGS...`: `gan ARGS` in a world that has those faults (see faults.py).

`--serve HANDLE [FAULT...]` is for servers.py: a process that has imported torch once waits for jobs on a socket, and forks a
child for each, which then is what `python -m gancli` would have become; its streams, environment and faults are the job's.
"""

import array
import atexit
import contextlib
import gc
import io
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from tests.reliability import faults

IMPOSSIBLE, BROKEN = 99, 98  # exit codes: that world cannot be made on this machine; the harness has a mistake
MAX_JOB_BYTES = 2**20
KEPT: list[object] = []  # the server's own streams, which a child must not close


def run(args: list[str]) -> NoReturn:
    """What `python -m gancli ARGS` does; ends in `SystemExit`."""
    sys.argv = ["gan", *args]
    runpy.run_module("gancli", run_name="__main__", alter_sys=True)
    sys.exit(0)


def import_all(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(Exception):  # made while running, or not for importing
            __import__(name)


def serve(handle: int, at_start: list[str]) -> dict[str, Any]:
    """Fork a child per job until the other end goes; in the child, give its job."""
    fork, waitpid, pidfd_open = os.fork, os.waitpid, os.pidfd_open  # a fault may take them away
    line = socket.socket(fileno=handle)
    message, _ = _received(line)
    import_all([name for name in message["modules"] if not name.startswith("gancli")])
    faults.apply(at_start)
    import_all(message["modules"])
    ready, children = selectors.DefaultSelector(), dict[int, int]()
    ready.register(line, selectors.EVENT_READ)
    line.send(b"{}\n")
    while True:
        for key, _ in ready.select():
            if key.fileobj is not line:
                watch = key.fd
                ready.unregister(watch)
                os.close(watch)
                child = children.pop(watch)
                line.send(json.dumps({"ended": child, "status": waitpid(child, 0)[1]}).encode() + b"\n")
                continue
            job, streams = _received(line)
            if not job:
                os._exit(0)
            if "modules" in job:
                import_all(job["modules"])
                line.send(b"{}\n")
                continue
            atexit._clear()  # a child runs what it registers itself: the imported libraries' take longer than a command
            gc.freeze()  # else a child's first collection copies all that was imported
            child = fork()
            if child == 0:
                ready.close()
                line.close()
                return {**job, "fds": streams}
            for stream in streams:
                os.close(stream)
            watch = pidfd_open(child)
            children[watch] = child
            ready.register(watch, selectors.EVENT_READ)
            line.send(json.dumps({"began": child}).encode() + b"\n")


def _received(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A job and the streams that came with it."""
    room = socket.CMSG_SPACE(3 * array.array("i").itemsize)
    text, extra, _, _ = line.recvmsg(MAX_JOB_BYTES, room)
    handles = array.array("i")
    for _, _, data in extra:
        handles.frombytes(data[: len(data) // handles.itemsize * handles.itemsize])
    return (json.loads(text) if text else {}), list(handles)


def become(job: dict[str, Any]) -> None:
    """Turn a forked child into the process that the job asks for."""
    for target, handle in enumerate(job["fds"]):
        os.dup2(handle, target)
    for handle in job["fds"]:
        if handle > 2:
            os.close(handle)
    for name in job["closed"]:
        os.close(name)
    os.environ.clear()
    os.environ.update(job["env"])
    time.tzset()
    _streams(job["closed"])
    os.chdir(job["cwd"])


def _streams(closed: list[int]) -> None:
    """`sys.stdin`, `stdout` and `stderr` as Python makes them when it starts."""
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    usual = sys.stdout.errors  # of this interpreter's locale
    KEPT.extend((sys.stdin, sys.stdout, sys.stderr))
    for handle, name in enumerate(("stdin", "stdout", "stderr")):
        stream: io.TextIOWrapper | None = None
        if handle not in closed:
            raw = io.FileIO(handle, "wb" if handle else "rb", closefd=False)
            at_once = bool(handle and os.environ.get("PYTHONUNBUFFERED"))
            buffered = raw if at_once else io.BufferedWriter(raw) if handle else io.BufferedReader(raw)
            how = "backslashreplace" if handle == 2 else errors or usual
            lines = not at_once and (handle == 2 or raw.isatty())
            named = encoding or sys.getfilesystemencoding()
            stream = io.TextIOWrapper(buffered, named, how, line_buffering=lines, write_through=at_once)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def ended(end: BaseException) -> NoReturn:
    """End a forked child as Python does after `end`, but for freeing what the server imported, which takes two seconds."""
    code = end.code if isinstance(end, SystemExit) else 1
    if not isinstance(end, SystemExit):
        sys.excepthook(type(end), end, end.__traceback__)
    elif isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    status = code if isinstance(code, int) else 0
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError as error:  # what Python says then, and its exit code
            status = 120
            if stream is sys.stdout and sys.stderr is not None:
                with contextlib.suppress(OSError):
                    sys.stderr.write(f"Exception ignored in: {stream!r}\n{type(error).__name__}: {error}\n")
                    sys.stderr.flush()
    os._exit(status)


def _in_world(world: list[str], job: dict[str, Any] | None) -> None:
    """Apply faults, after becoming what a job asks for; ends the process where that cannot be."""
    try:
        if job is not None:
            become(job)
        faults.apply(world)
    except faults.ImpossibleError as reason:
        sys.stderr.write(f"{reason}\n")
        sys.stderr.flush()
        os._exit(IMPOSSIBLE)
    except Exception:
        traceback.print_exc()
        os._exit(BROKEN)


def _run_job(job: dict[str, Any]) -> NoReturn:
    _in_world(job["faults"], job)
    try:
        run(job["args"])
    except BaseException as end:
        if job["about"] is not None:  # which modules such a command needs
            Path(job["about"]).write_text(json.dumps(sorted(sys.modules)))
        ended(end)


def main(args: list[str]) -> None:
    if args[:1] == ["--serve"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the harness
        try:
            job = serve(int(args[1]), args[2:])
        except Exception:
            traceback.print_exc()
            os._exit(BROKEN)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _run_job(job)
    at = args.index("--")
    _in_world(args[:at], None)
    run(args[at + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
