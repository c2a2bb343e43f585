"""Fetching one file: mirrors, retries, resumption and a checksum, without ever blocking for long.

Torchvision's own downloader is not used: it has no timeout, cannot be stopped, and draws a progress bar of its own.
"""

import contextlib
import errno
import hashlib
import http.client
import threading
import urllib.error
import urllib.request
from pathlib import Path

from gancli.data.remote import RemoteFile
from gancli.errors import DataError, GancliError
from gancli.events import Emit, Preparing, Warned
from gancli.files import atomic
from gancli.files.atomic import temp_sibling

TRIES = 3  # rounds over all mirrors
PAUSE_S = 1.0  # before the second round; doubles
TIMEOUT_S = 30.0  # without a byte
POLL_S = 0.25
PIECE = 1 << 18
OWN_FAULT = {
    errno.ENOSPC,
    errno.EACCES,
    errno.EROFS,
    errno.EDQUOT,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EFBIG,
    errno.ELOOP,
}


def fetch(file: RemoteFile, root: Path, dataset: str, by_hand: str, emit: Emit) -> Path:
    """Download `file` to its place below `root`; it appears there whole and with the right checksum, or not at all.

    Raises `DataError` that names what was tried and, in the words of `by_hand`, what to put where. An error that `emit`
    raises stops the transfer; what was fetched so far is removed.
    """
    target = root / file.path
    part = temp_sibling(target)
    atomic.sweep(target.parent, atomic.AGE_S)
    reasons: dict[str, str] = {}
    try:
        for attempt in range(TRIES):
            if attempt:
                _pause(PAUSE_S * 2 ** (attempt - 1), target.name, emit)
            for url in file.urls:
                error = _transfer(url, part, file.md5, emit)
                if error is None:
                    error = _placed(part, target)
                if error is None:
                    return target
                reasons[url] = " ".join(f"{type(error).__name__}: {error}".split())[:160]
                if isinstance(error, OSError) and error.errno in OWN_FAULT:
                    raise DataError(f"{target}: cannot be written ({atomic.reason(error)}); {by_hand}")
                if attempt + 1 < TRIES:
                    emit(Warned(f"{url}: {reasons[url]}; trying again"))
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    tried = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
    raise DataError(f"--dataset {dataset}: {target.name} cannot be downloaded (tried {tried}); {by_hand}")


def _placed(part: Path, target: Path) -> Exception | None:
    """Put what was fetched in its place. Returns what went wrong."""
    try:
        atomic.replace(part, target)
    except (OSError, GancliError) as error:
        return error
    return None


def _pause(seconds: float, name: str, emit: Emit) -> None:
    while seconds > 0:
        threading.Event().wait(min(seconds, POLL_S))
        seconds -= POLL_S
        emit(Preparing(f"downloading {name}", 0, 0, "bytes"))


def _transfer(url: str, part: Path, md5: str, emit: Emit) -> Exception | None:
    """One attempt, in a thread of its own, so that a silent host holds nobody up. Returns what went wrong."""
    transfer = _Transfer(url, part, md5)
    what = f"downloading {url.rsplit('/', 1)[-1]}"
    transfer.start()
    try:
        while transfer.is_alive():
            transfer.join(POLL_S)
            emit(Preparing(what, transfer.done, transfer.total, "bytes"))
    finally:
        transfer.unwanted.set()
    return transfer.error


class _Transfer(threading.Thread):
    def __init__(self, url: str, part: Path, md5: str) -> None:
        super().__init__(daemon=True)
        self.url, self.part, self.md5 = url, part, md5
        self.done = self.total = 0
        self.error: Exception | None = None
        self.unwanted = threading.Event()

    def run(self) -> None:
        try:
            self.part.parent.mkdir(parents=True, exist_ok=True)
            self._pull()
            with self.part.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if digest != self.md5:
                self.part.unlink()
                raise ValueError(f"what came has MD5 {digest}, not {self.md5}")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self.part.unlink(missing_ok=True)
            self.error = error
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.error = error

    def _pull(self) -> None:
        """Append what is missing, if the server can; else start afresh. Nobody else has this file."""
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"User-Agent": "gancli"} | ({"Range": f"bytes={have}-"} if have else {})
        with urllib.request.urlopen(urllib.request.Request(self.url, headers=headers), timeout=TIMEOUT_S) as response:
            resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
            self.done = have if resumed else 0
            self.total = self.done + (response.length or 0)
            with self.part.open("ab" if resumed else "wb") as file:
                while not self.unwanted.is_set() and (piece := response.read(PIECE)):
                    file.write(piece)
                    self.done += len(piece)
        if self.done < self.total:
            raise ConnectionError(f"broke off after {self.done} of {self.total} bytes")
