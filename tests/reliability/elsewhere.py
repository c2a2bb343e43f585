"""`python -m tests.reliability.elsewhere windows_holds|macos < COMMANDS`: `gan` where there is no Linux, as far as that
can be had on one: see `platforms`.

COMMANDS is a JSON list of command lines; each runs in this process, one after the other. One that begins with `ctrl-c N` is
interrupted in its N-th stretch of steps; one with `beside DIR` runs while another run holds that directory. stdout gets a
JSON list of their exit codes and what they wrote.
"""

import contextlib
import io
import itertools
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.reliability import faults


@contextlib.contextmanager
def interrupted(at: int) -> Iterator[None]:
    from gancli.steps.runner import Runner

    advance, calls = Runner.advance, itertools.count(1)

    def some(*args: Any) -> int:
        if next(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return advance(*args)

    Runner.advance = some  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Runner.advance = advance  # type: ignore[method-assign]


def circumstances(command: list[str]) -> tuple[contextlib.AbstractContextManager[object], list[str]]:
    from gancli.files import lock

    match command:
        case ["ctrl-c", number, *rest]:
            return interrupted(int(number)), rest
        case ["beside", directory, *rest]:
            return lock.exclusive(Path(directory, ".lock")), rest
    return contextlib.nullcontext(), command


def run(commands: list[list[str]]) -> list[dict[str, object]]:
    from gancli.cli.app import main
    from gancli.metrics import classifier

    classifier.NUM_STEPS = 5  # figures that are worth nothing, in seconds
    done: list[dict[str, object]] = []
    for each in commands:
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        around, command = circumstances(each)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), around:
            code = main(command)
        written = []
        for stream in (out, err):
            stream.flush()
            written.append(stream.buffer.getvalue().decode("utf-8", "backslashreplace"))
        done.append({"command": each, "code": code, "out": written[0], "err": written[1]})
    return done


if __name__ == "__main__":
    faults.apply(sys.argv[1:])
    assert not any(name.partition(".")[0] == "gancli" for name in sys.modules), "what is ours sees only what is left"
    sys.stdout.write(json.dumps(run(json.load(sys.stdin))))
