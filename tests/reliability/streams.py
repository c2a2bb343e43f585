"""What a command's streams are connected to: files, pipes, terminals, and what is odd among them."""

import contextlib
import os
import tempfile
import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Streams:
    """Each of `file`, `pipe`, `closed`, `full`, `gone` (a pipe whose reader goes after a line), `nobody` (one without a
    reader), `terminal` or `narrow` (a terminal of 20 columns)."""

    stdin: str = "file"
    stdout: str = "file"
    stderr: str = "file"


class Stream:
    """What one of a command's streams is connected to, and what comes out of it."""

    def __init__(self, kind: str, output: bool) -> None:
        self.kind, self._reader, self._thread = kind, -1, None
        self._content = bytearray()
        self._file: Any = None
        if not output or kind == "closed":
            self.handle = os.open(os.devnull, os.O_RDWR)
        elif kind == "full":
            self.handle = os.open("/dev/full", os.O_WRONLY)
        elif kind == "file":
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `content`
            self.handle = os.dup(self._file.fileno())
        else:
            self._reader, self.handle = os.pipe() if kind in ("pipe", "gone", "nobody") else _terminal(kind)
            self._thread = threading.Thread(target=self._read, daemon=True)

    def passed(self) -> None:
        """The command has its copy."""
        os.close(self.handle)
        if self._thread is not None:
            self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # a terminal that nobody writes to any more
            while self.kind != "nobody" and (some := os.read(self._reader, 2**16)):
                self._content += some
                if self.kind == "gone" and b"\n" in some:
                    break
        os.close(self._reader)

    def content(self) -> bytes:
        if self._thread is not None:
            self._thread.join(5)
            terminal = self.kind in ("terminal", "narrow")
            return bytes(self._content).replace(b"\r\n", b"\n") if terminal else bytes(self._content)
        if self._file is None:
            return b""
        with self._file:
            self._file.seek(0)
            return bytes(self._file.read())


def _terminal(kind: str) -> tuple[int, int]:
    import fcntl
    import struct
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20 if kind == "narrow" else 80, 0, 0))
    return ours, theirs
