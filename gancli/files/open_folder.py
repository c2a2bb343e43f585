"""A folder that is held open, so that its place is known after it was renamed."""

import contextlib
import os
import sys
from pathlib import Path

from gancli.files import system

fcntl = system.module("fcntl")  # not on Windows
LONGEST_PATH = 1024  # bytes that F_GETPATH writes, at most


class OpenFolder:
    """`path`, held open. Windows opens no folder, and renames none in which a file is open: there only `path` counts."""

    def __init__(self, path: Path) -> None:
        self._path, self._handle = path, -1
        with contextlib.suppress(OSError):
            self._handle = os.open(path, os.O_RDONLY)

    def now(self) -> Path | None:
        """Where the folder is: `path`, or another place where it was renamed; None where it was removed. A folder that
        cannot be reached counts as being at `path`."""
        if self._handle < 0:
            return self._path if self._path.is_dir() else None
        for place in (self._path, self._renamed_to()):
            try:
                if place is not None and os.path.samestat(place.stat(), os.fstat(self._handle)):
                    return place
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                return self._path
        return None

    def _renamed_to(self) -> Path | None:
        with contextlib.suppress(OSError):
            if sys.platform == "darwin":
                path: bytes = fcntl.fcntl(self._handle, fcntl.F_GETPATH, bytes(LONGEST_PATH))
                return Path(os.fsdecode(path.rstrip(b"\0")))
            return Path(f"/proc/self/fd/{self._handle}").readlink()
        return None

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
