"""`gan` in two processes that share a run, as torchrun starts them, without an import of torch for each: they are forked
from one process that has it."""

import multiprocessing
import os
import socket
import sys
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch", "gancli.cli.app", "gancli.engine.train"])
TIMEOUT_S = 240


def meeting_place() -> dict[str, str]:
    """What two processes of a run are told, but for their ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def together(*args: object) -> tuple[int, str, str]:
    """The higher of the exit codes, and what both have said."""
    place = meeting_place()
    streams = [[Path(f".{rank}.{name}").absolute() for name in ("out", "err")] for rank in range(2)]
    processes = []
    for rank, (out, err) in enumerate(streams):
        environment = os.environ | place | {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "OMP_NUM_THREADS": "1"}
        what = (Path.cwd(), environment, out, err, [str(arg) for arg in args])
        processes.append(SERVER.Process(target=_one, args=what))
        processes[-1].start()
    for process in processes:
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            for other in processes:
                other.kill()
            raise AssertionError(f"not done after {TIMEOUT_S} s: {[err.read_text() for _, err in streams]}")
    outs, errs = ("".join(path.read_text() for path in paths) for paths in zip(*streams, strict=True))
    return max(process.exitcode or 0 for process in processes), outs, errs


def _one(folder: Path, environment: dict[str, str], out: Path, err: Path, args: list[str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, number in ((out, 1), (err, 2)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.stdin, sys.stdout, sys.stderr = open(os.devnull), open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115, PTH123
    from gancli.cli.app import main

    sys.exit(main(args))
