"""Files of named datasets: read from the data root, downloaded if they are missing, and checked by their MD5.

Torchvision's downloader is not used: it has no time-out and cannot be stopped.
"""

import contextlib
import hashlib
import http.client
import tarfile
import time
import urllib.request
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gancli.data.names import Split
from gancli.errors import DataError, os_problem
from gancli.events import Emit, Preparing, RateLimiter, Warned
from gancli.files import atomic

ROUNDS = 3  # over all mirrors
PAUSE_S = 1.0  # before the second round; doubles
TIMEOUT_S = 20.0  # without a byte; a stop may wait so long
CHUNK_BYTES = 1 << 18
MAX_BYTES = 1 << 30  # of a file that is read into memory


class TransferError(Exception):
    """A download failed; another attempt may succeed."""


@dataclass(frozen=True)
class RemoteFiles:
    """The files of a dataset. `folder`: where they are below the data root; `mirrors`: addresses that a file's name is
    appended to; `md5`: checksums by file name; `splits`: the files of each split; `archive`: the tar that contains the
    folder, "" if there is none."""

    folder: str
    mirrors: Sequence[str]
    md5: Mapping[str, str]
    splits: Mapping[Split, Sequence[str]]
    class_names: Sequence[str] = ()
    archive: str = ""

    def read(self, names: Sequence[str], root: Path, dataset: str, download: bool, emit: Emit) -> list[bytes]:
        """Return the contents of the named files, checked by their MD5. Nothing is unpacked to disk.

        Raises `DataError`, which says which files to put where, or which file is damaged.
        """
        paths, contents = [root / self.folder / name for name in names], dict[str, bytes]()
        if self.archive and not all(path.is_file() for path in paths):
            paths = [root / self.archive] * len(names)
            self.fetch(paths[:1], dataset, download, emit)
            for name, content in _read_members(paths[0], self.folder, set(names)):
                contents[name] = content
                emit(Preparing(f"unpacking {self.archive}", len(contents), len(names), "files"))
        else:
            self.fetch(paths, dataset, download, emit)
            for name, path in zip(names, paths, strict=True):
                emit(Preparing(f"reading {dataset}", len(contents), len(names), "files"))
                contents[name] = read_file(path)
        for name, path in zip(names, paths, strict=True):
            digest = hashlib.md5(contents.get(name, b""), usedforsecurity=False).hexdigest()
            if digest != self.md5[name]:
                raise DataError(f"{path}: damaged: the MD5 of {name} is not {self.md5[name]}; delete it and try again")
        return [contents[name] for name in names]

    def fetch(self, paths: Sequence[Path], dataset: str, download: bool, emit: Emit) -> None:
        """Download those of `paths` that do not exist, unless `download` is false. Each appears whole, or not at all.

        Raises `DataError`, which says what was tried, and which files to put where.
        """
        for path in paths:
            if path.exists():
                continue
            wanted = " and ".join(f"{each.name} (from {self.mirrors[0]}{each.name})" for each in paths)
            advice = f"put {wanted} into {path.parent}"
            if not download:
                raise DataError(f"--dataset {dataset}: not in {path.parent}, and --no-download is given; {advice}")
            if problems := self._download(path, emit):
                tried = "; ".join(f"{url}: {problem}" for url, problem in problems.items())
                raise DataError(f"--dataset {dataset}: {path.name} cannot be downloaded (tried {tried}); {advice}")

    def _download(self, target: Path, emit: Emit) -> dict[str, str]:
        """Download a file from the first mirror that has it. Returns the problems by address if none has."""
        problems, what, pace = dict[str, str](), f"downloading {target.name}", RateLimiter()
        for attempt in range(ROUNDS):
            time.sleep(PAUSE_S * 2 ** (attempt - 1) if attempt else 0)
            for url in [f"{mirror}{target.name}" for mirror in self.mirrors]:
                emit(Preparing(what, 0, 0, "bytes"))
                try:
                    with contextlib.closing(_transfer(url, target, self.md5[target.name])) as progress:
                        for done, total in progress:
                            if pace.due() or done == total:
                                emit(Preparing(what, done, total, "bytes"))
                    return {}
                except TransferError as error:
                    problems[url] = str(error)
                if attempt + 1 < ROUNDS:
                    emit(Warned(f"{url}: {problems[url]}; trying again"))
        return problems


def _transfer(url: str, target: Path, md5: str) -> Generator[tuple[int, int], None, None]:
    """Download `target`, and yield how many bytes of how many (0: unknown) are done. Raises `TransferError`, and
    `DataError` if the file cannot be written."""
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.sweep(target.parent, atomic.AGE_S)
        part = atomic.Part(target)
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "gancli"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            total = response.length or 0
            while chunk := response.read1(CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                with _writing(target):
                    part.file.write(chunk)
                yield done, total
        if digest.hexdigest() != md5:
            broken = f"broke off after {done} of {total} bytes"
            raise TransferError(broken if done < total else f"the MD5 is {digest.hexdigest()}, not {md5}")
        with _writing(target):
            part.put()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise TransferError(" ".join(f"{type(error).__name__}: {error}".split())[:160]) from error
    finally:
        part.discard()


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(os_problem(target, "written", error)) from error


def read_file(path: Path) -> bytes:
    """Return the contents of a file, at most 1 GiB. Raises `DataError`."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise DataError(os_problem(path, "read", error)) from error


def _read_members(archive: Path, folder: str, names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the named files of a folder in a tar with their contents. Raises `DataError`."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.removeprefix("./").removeprefix(f"{folder}/")
                if name in names and member.size <= MAX_BYTES and (file := tar.extractfile(member)) is not None:
                    names.remove(name)
                    yield name, file.read()
                if not names:
                    return
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: cannot be unpacked ({error}); delete it and try again") from error
