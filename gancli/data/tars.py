"""Images in one tar or several, gzipped or not: packed folders, or shards as WebDataset names them. Nothing is unpacked to
disk. Files next to images may be their labels (`label_files.py`)."""

import contextlib
import gzip
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any, BinaryIO, cast

from gancli.config.paths import open_file
from gancli.data.formats import is_image
from gancli.data.image_files import MAX_ENTRIES, MAX_FILE_BYTES, Contents, ImageFiles
from gancli.data.label_files import (
    LABEL_FILES,
    MAX_SIDECAR_BYTES,
    SIDECAR_SUFFIXES,
    SidecarLabels,
    split_key,
)
from gancli.data.patterns import shard_folders, shard_name
from gancli.data.walk import FolderListing, Mark, name_in_archive, sort_files
from gancli.errors import DataError, os_problem
from gancli.events import Emit, Preparing, RateLimiter
from gancli.text import counted, few, printable

GZIP = b"\x1f\x8b"
MAX_HEADER_BYTES = 1 << 14  # of one member, with a long name and pax headers
MAX_SIZE = 1 << 62
DAMAGE = (OSError, ValueError, tarfile.TarError, EOFError, zlib.error)


@dataclass(frozen=True)
class Member:
    """A file in a shard: the shard's number, its name there, and where its bytes are."""

    shard: int
    name: str
    is_image: bool
    offset: int
    size: int

    def read(self, file: BinaryIO, limit: int = MAX_FILE_BYTES) -> bytes:
        """Return at most the first `limit` bytes from the unpacked shard. Raises `DAMAGE`."""
        return _read_at(file, self.offset, min(self.size, limit))


class Shards(ImageFiles):
    """Images in tars."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        super().__init__(path, FolderListing())
        self._files, self._folders = files, shard_folders(files)
        self._notes: list[str] = []
        self._sidecars = SidecarLabels()
        self._named_folders: set[str] = set()
        self.listed: list[Member] = []  # in the order of reading
        self._members: dict[str, Member] = {}  # by name

    def list_shard(self, shard: int, skip: bool) -> Iterator[bool]:
        """List a shard; yields for each member whether it is an image. Raises `DataError` for a damaged shard; `skip` takes
        what is before the damage."""
        try:
            with open_tar(self._files[shard]) as file:
                for info in read_headers(file):
                    yield self._add(shard, file, info)
        except DAMAGE as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
            where, why = printable(str(self._files[shard])), printable(reason)[:200]
            if not skip:
                remedy = "; --on-bad-image skip takes what is before the damage" if self.listed else ""
                raise DataError(f"{where}: cannot be read as a tar ({why}){remedy}") from None
            self._notes.append(f"{where}: read up to the damage ({why})")

    def _add(self, shard: int, file: BinaryIO, info: tarfile.TarInfo) -> bool:
        """Add a member, and return whether it is an image. Raises `DAMAGE`."""
        name = name_in_archive(info.name)
        is_sparse = info.issparse() or any(key.startswith("GNU.sparse") for key in info.pax_headers)
        if name is not None and (info.isdir() or (info.isreg() and info.name.endswith("/"))):
            self._named_folders.add(f"{self._folders[shard]}{name}".rstrip("/"))
        elif not name or not info.isreg() or is_sparse:
            self.found.odd.append(info.name)
        else:
            key, suffix = split_key(name)
            is_sidecar = suffix.lower() in SIDECAR_SUFFIXES and not name.endswith(LABEL_FILES)
            if is_sidecar and info.size <= MAX_SIDECAR_BYTES:
                self._sidecars.add((shard, key), suffix.lower(), _read_at(file, info.offset_data, info.size))
                return False
            if info.size:  # raises if the tar ends before the member does
                _read_at(file, info.offset_data + info.size - 1, 1)
            self.listed.append(Member(shard, name, is_image(name), info.offset_data, info.size))
            return self.listed[-1].is_image
        return False

    def finish(self, strict: bool) -> None:
        """Name the members, and find their labels. `strict`: if any image has one, all must have one. Raises `OSError`."""
        if self._sidecars.is_used:
            self._leave_out_extra()
        self._name_members()
        mtimes = [file.stat().st_mtime_ns for file in self._files]  # of the shard: a member's own is mostly 0
        marks: dict[str, Mark] = {name: (m.size, mtimes[m.shard]) for name, m in self._members.items()}
        sort_files(self.found, marks, self._named_folders)
        images = {name: self._members[name] for name in self.found.marks}
        keys = {name: (member.shard, split_key(member.name)[0]) for name, member in images.items()}
        labels, notes = self._sidecars.choose(keys)
        self.own_labels = labels and replace(labels, is_required=strict)
        self._notes += notes

    def _leave_out_extra(self) -> None:
        """Leave out `17.mask.png` next to `17.jpg`."""
        parts = {member: split_key(member.name) for member in self.listed if member.is_image}
        plain = {(member.shard, key) for member, (key, rest) in parts.items() if rest.count(".") == 1}
        extra = {m for m, (key, rest) in parts.items() if rest.count(".") > 1 and (m.shard, key) in plain}
        self.listed = [member for member in self.listed if member not in extra]
        if extra:
            names = few(sorted(member.name for member in extra))
            self._notes.append(f"{counted(len(extra), 'image')} left out: next to another of the same key ({names})")

    def _name_members(self) -> None:
        """Give members unique names: their own, with the shard's name in front if two shards have an image of the same name.
        Of one name in one shard the last counts, as in unpacking."""
        names, shard_of = [self._folders[member.shard] + member.name for member in self.listed], dict[str, int]()
        images = [(name, member.shard) for name, member in zip(names, self.listed, strict=True) if member.is_image]
        is_repeated = any(shard_of.setdefault(name, shard) != shard for name, shard in images)
        for name, member in zip(names, self.listed, strict=True):
            if is_repeated and member.is_image:
                parent, slash, last = name.rpartition("/")
                name = f"{parent}{slash}{shard_name(self._files[member.shard])}.{last}"
            self.found.duplicates += [name] if name in self._members else []
            self._members[name] = member

    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        chosen = sorted(((self._members[name], name) for name in names), key=lambda one: (one[0].shard, one[0].offset))
        for shard, members in groupby(chosen, key=lambda one: one[0].shard):
            try:
                with open_tar(self._files[shard]) as file:
                    for member, name in members:
                        yield name, self.content(name, partial(member.read, file, limit))
            except OSError as error:  # it could be read a moment ago
                raise DataError(os_problem(self._files[shard], "read", error)) from None

    def holds(self, name: str) -> bool:
        return name in self._members

    def where(self, name: str) -> str:
        member = self._members[name]
        return printable(f"{self._files[member.shard]}/{member.name}")

    def notes(self) -> list[str]:
        return [*self.found.notes(), *self._notes]


def open_shards(path: Path, files: Sequence[Path], skip: bool, most: int | None, emit: Emit) -> Shards:
    """Open the tars `files` as one dataset, whose name is `path`; given `most`, list only so many images. Raises `DataError`
    for a damaged tar; `skip` takes what is before the damage."""
    shards, pace, num_images = Shards(path, files), RateLimiter(), 0
    for is_picture in chain.from_iterable(shards.list_shard(shard, skip) for shard in range(len(files))):
        num_images += is_picture
        if pace.due():
            emit(Preparing(f"listing {path.name}", len(shards.listed), 0, "files"))
        if len(shards.listed) > MAX_ENTRIES:
            raise DataError(f"--dataset {path}: over the limit of {MAX_ENTRIES} entries")
        if most is not None and num_images >= most:
            break
    try:
        shards.finish(strict=not skip and most is None)
    except OSError as error:
        raise DataError(os_problem(f"--dataset {path}", "read", error)) from None
    return shards


@contextlib.contextmanager
def open_tar(path: Path) -> Iterator[BinaryIO]:
    """Open a tar, unpacked if it is gzipped. Raises `OSError`."""
    with open_file(path) as file:
        is_zipped = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if not is_zipped:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast(BinaryIO, unpacked)


def read_headers(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the header of every member of a tar; `file` may be moved in between. Raises `DAMAGE`, also where `tarfile` takes
    a damaged header for the end, repeats members (CVE-2025-8194), or reads as much into memory as a header claims."""
    headers = _HeaderFile(file)
    tar: Any = tarfile.TarFile(fileobj=cast(BinaryIO, headers), encoding="utf-8", errors="surrogateescape")
    end = 0
    while (member := tar.next()) is not None:
        if not 0 <= member.size <= MAX_SIZE or not end < tar.offset <= MAX_SIZE:
            raise tarfile.ReadError(f"damaged: a member of {member.size} bytes")
        end = tar.offset
        tar.members.clear()  # where tarfile collects all that it has read
        yield member
        headers.num_left = MAX_HEADER_BYTES
    if any(headers.last) or len(headers.last) not in (0, tarfile.BLOCKSIZE):
        raise tarfile.ReadError("damaged: no header after a member")


class _HeaderFile:
    """The file of a tar for `tarfile`, which reads only headers from it: `num_left` more bytes at most."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.last, self.num_left = file, b"", MAX_HEADER_BYTES
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.num_left:
            raise tarfile.ReadError(f"damaged: a header of {size} bytes")
        self.num_left -= size
        self.last = self._file.read(size)
        return self.last


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise tarfile.ReadError("cut short, or damaged")
    return data
