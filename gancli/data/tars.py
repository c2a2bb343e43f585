"""Tars of pictures, one or many: shards as WebDataset names them, or folders that were packed, gzipped or not. Nothing is
unpacked to disk.

What lies next to a picture may be its label (`sidecar_labels.py`); where there is none, folders are classes.
"""

import contextlib
import gzip
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any, BinaryIO, cast

from gancli.config.paths import open_file
from gancli.data import patterns
from gancli.data.formats import is_image, is_other_picture
from gancli.data.manifest import PARSERS, Manifest
from gancli.data.patterns import is_archive
from gancli.data.pictures import MAX_ENTRIES, MAX_FILE_BYTES, Contents, Pictures, labelled
from gancli.data.sidecar_labels import KINDS, MAX_BYTES, SidecarLabels, key_of, spare
from gancli.data.walk import Found, sort_out, tells_of_run, within
from gancli.errors import DataError
from gancli.events import Emit, Pace, Preparing
from gancli.files import atomic
from gancli.text import counted, few, printable

GZIP = b"\x1f\x8b"
MAX_HEADER_BYTES = 1 << 14  # of one member: a long name, what a pax header says, where holes are
MAX_SIZE = 1 << 62
DAMAGE = (OSError, ValueError, tarfile.TarError, EOFError, zlib.error)


@dataclass(frozen=True)
class Piece:
    """A file in a shard: which shard, its name there, whether it is a picture, and where its bytes lie."""

    shard: int
    name: str
    is_picture: bool
    offset: int
    size: int


@dataclass
class Listed:
    """What lies in the shards: `pieces`, in the order of reading."""

    found: Found = field(default_factory=Found)
    pieces: list[Piece] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    sidecars: SidecarLabels = field(default_factory=SidecarLabels)
    damaged: list[str] = field(default_factory=list)
    num_pictures: int = 0


class Shards(Pictures):
    """Pictures in tars. `strict`: whether each must have a label where one has."""

    def __init__(self, path: Path, files: Sequence[Path], listed: Listed, strict: bool) -> None:
        super().__init__(path, listed.found)
        self._files, self._damaged = files, listed.damaged
        pictures = {(piece.shard, piece.name) for piece in listed.pieces if piece.is_picture}
        self._spare = spare(pictures) if listed.sidecars.seen else set[tuple[int, str]]()
        kept = [piece for piece in listed.pieces if (piece.shard, piece.name) not in self._spare]
        self._pieces = _named(kept, patterns.groups(files), files, self.found)
        marks = [file.stat().st_mtime_ns for file in files]  # of the shard: a member's own is mostly 0
        sort_out(self.found, {name: (p.size, marks[p.shard]) for name, p in self._pieces.items()}, listed.folders)
        keys = {name: (p.shard, key_of(p.name)[0]) for name in self.found.marks for p in [self._pieces[name]]}
        self._labels = listed.sidecars.chosen(keys)
        self._strict = strict

    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        pieces = sorted(((self._pieces[name], name) for name in names), key=lambda one: (one[0].shard, one[0].offset))
        for shard, wanted in groupby(pieces, key=lambda one: one[0].shard):
            try:
                with opened(self._files[shard]) as file:
                    for piece, name in wanted:
                        yield name, self.content(name, partial(_bytes_at, file, piece.offset, min(piece.size, limit)))
            except OSError as error:  # it could be read a moment ago
                raise DataError(f"{self._files[shard]}: cannot be read ({atomic.reason(error)})") from None

    def holds(self, name: str) -> bool:
        return name in self._pieces

    def where(self, name: str) -> str:
        piece = self._pieces[name]
        return printable(f"{self._files[piece.shard]}/{piece.name}")

    def notes(self) -> list[str]:
        """As every container's, and what of samples was left out."""
        told = [*self._damaged, *self._labels.told]
        if self._spare:
            names = sorted(name for _, name in self._spare)
            told.append(f"{counted(len(names), 'picture')} left out: beside another of the same key ({few(names)})")
        return [*self.found.notes(), *told]

    def labels(self, prefix: str) -> Manifest | None:
        if not self._labels.kind:
            return super().labels(prefix)
        reasons = self._labels.reasons if self._strict else None
        return labelled(self._labels.labels, self.found, prefix, f"beside them ({self._labels.kind})", reasons)


def open_shards(path: Path, files: Sequence[Path], skip: bool, most: int | None, emit: Emit) -> Shards:
    """List one tar, or several that are one data set, told as `path`; given `most`, no further than to so many pictures.
    Raises `DataError` for a damaged one; with `skip` what stands before the damage is taken."""
    listed, pace = Listed(), Pace()
    groups = enumerate(zip(files, patterns.groups(files), strict=True))
    for _ in chain.from_iterable(_list_whole(file, shard, group, listed, skip) for shard, (file, group) in groups):
        if pace.due():
            emit(Preparing(f"listing {path.name}", len(listed.pieces), 0, "files"))
        if len(listed.pieces) > MAX_ENTRIES:
            raise DataError(f"--dataset {path}: more than {MAX_ENTRIES} entries are over the limit")
        if most is not None and listed.num_pictures >= most:
            break
    try:
        return Shards(path, files, listed, strict=not skip and most is None)
    except OSError as error:
        raise DataError(f"--dataset {path}: cannot be read ({atomic.reason(error)})") from None


def _list_whole(path: Path, shard: int, group: str, listed: Listed, skip: bool) -> Iterator[None]:
    """As `_list_one`, up to where a shard is damaged, if that is to be skipped. Else raises `DataError`."""
    try:
        yield from _list_one(path, shard, group, listed)
    except DAMAGE as error:
        why = (
            atomic.reason(error)
            if isinstance(error, OSError) and error.errno
            else printable(" ".join(str(error).split()))
        )
        if not skip:
            way_out = "; --on-bad-image skip takes what is before that" if listed.pieces else ""
            raise DataError(f"{printable(str(path))}: cannot be read as a tar ({why[:200]}){way_out}") from None
        listed.damaged.append(f"{printable(str(path))}: read as far as it is whole ({why[:200]})")


def _list_one(path: Path, shard: int, group: str, listed: Listed) -> Iterator[None]:
    """Note in `listed` what is in one shard. Yields after each member. Raises `DAMAGE`."""
    with opened(path) as file:
        for member in members(file):
            name = within(member.name)
            if name is None:
                listed.found.outside.append(member.name)
            elif member.isdir() or (member.isreg() and member.name.endswith("/")):
                listed.folders.add(f"{group}{name}".rstrip("/"))
            elif (
                not member.isreg()
                or member.issparse()
                or any(key.startswith("GNU.sparse") for key in member.pax_headers)
            ):
                listed.found.odd.append(name)
            elif name:
                key, kind = key_of(name)
                if kind.lower() in KINDS and not name.endswith(tuple(PARSERS)) and member.size <= MAX_BYTES:
                    listed.sidecars.take(shard, key, kind.lower(), _bytes_at(file, member.offset_data, member.size))
                elif (picture := is_image(name)) or _counts(name):
                    if member.size:  # whether it is all there
                        _bytes_at(file, member.offset_data + member.size - 1, 1)
                    listed.pieces.append(Piece(shard, name, picture, member.offset_data, member.size))
                    listed.num_pictures += picture
            yield


def _counts(name: str) -> bool:
    """Whether a file that is no picture says something about the others."""
    return is_other_picture(name) or name.endswith(tuple(PARSERS)) or is_archive(name) or tells_of_run(name)


def _named(pieces: Sequence[Piece], groups: Sequence[str], files: Sequence[Path], found: Found) -> dict[str, Piece]:
    """The pieces by the names they go by: their own, unless two shards have one of the same; then with the shard's in front
    of it. Of one name in one shard the last counts, as in unpacking."""
    first: dict[str, int] = {}
    alike = any(
        first.setdefault(groups[piece.shard] + piece.name, piece.shard) != piece.shard
        for piece in pieces
        if piece.is_picture
    )
    named: dict[str, Piece] = {}
    for piece in pieces:
        folder, slash, last = piece.name.rpartition("/")
        own = f"{patterns.shard_name(files[piece.shard])}.{last}" if alike and piece.is_picture else last
        name = f"{groups[piece.shard]}{folder}{slash}{own}"
        found.twice += [name] if name in named else []
        named[name] = piece
    return named


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A tar as it is when unpacked. Raises `OSError`."""
    with open_file(path) as file:
        zipped = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if not zipped:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast(BinaryIO, unpacked)


def members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Every member of a tar, in its order; the file may be moved between two. Raises `DAMAGE`, also where `tarfile` takes a
    damaged header for the end, goes in circles (CVE-2025-8194) or reads into memory what a header claims."""
    headers = _Headers(file)
    tar: Any = tarfile.TarFile(fileobj=cast(BinaryIO, headers), encoding="utf-8", errors="surrogateescape")
    end = 0
    while (member := tar.next()) is not None:
        if not 0 <= member.size <= MAX_SIZE or not end < tar.offset <= MAX_SIZE:
            raise tarfile.ReadError(f"damaged: a member of {member.size} bytes")
        end = tar.offset
        tar.members.clear()  # where tarfile keeps all that it has read
        yield member
        headers.begin()
    if any(headers.last) or len(headers.last) not in (0, tarfile.BLOCKSIZE):
        raise tarfile.ReadError("damaged: what follows on a member is no header")


class _Headers:
    """A tar's file for `tarfile`, which reads no more than headers from it: of each member no more than so many bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.last, self.tell = file, b"", file.tell
        self.begin()

    def begin(self) -> None:
        """Allow for the headers of another member."""
        self._left = MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise tarfile.ReadError(f"damaged: a header of {size} bytes")
        self._left -= size
        self.last = self._file.read(size)
        return self.last

    def seek(self, position: int) -> int:
        return self._file.seek(position)


def _bytes_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise tarfile.ReadError("cut short, or damaged")
    return data
