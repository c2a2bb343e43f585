"""A folder that is held open, so that it is found again after it was renamed."""

import contextlib
import os
import sys
from pathlib import Path

MAX_PATH_BYTES = 1024  # that F_GETPATH writes


class OpenFolder:
    """Holds the folder `path` open. Windows cannot open folders, and renames none that has an open file: there `path` is
    where it stays."""

    def __init__(self, path: Path) -> None:
        self._path, self._handle = path, -1
        with contextlib.suppress(OSError):
            self._handle = os.open(path, os.O_RDONLY)

    def current_path(self) -> Path | None:
        """Return the current path of the folder, or None if it was removed. A folder that cannot be reached is taken to be
        at `path` still."""
        if self._handle < 0:
            return self._path if self._path.is_dir() else None
        for path in (self._path, self._renamed_to()):
            try:
                if path is not None and os.path.samestat(path.stat(), os.fstat(self._handle)):
                    return path
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                return self._path
        return None

    def _renamed_to(self) -> Path | None:
        with contextlib.suppress(OSError):
            if sys.platform == "darwin":
                import fcntl  # not on Windows

                path: bytes = fcntl.fcntl(self._handle, fcntl.F_GETPATH, bytes(MAX_PATH_BYTES))
                return Path(os.fsdecode(path.rstrip(b"\0")))
            return Path(f"/proc/self/fd/{self._handle}").readlink()
        return None

    def close(self) -> None:
        """Close the folder; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
