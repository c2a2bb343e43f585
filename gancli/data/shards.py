"""Tars of pictures, one or many: shards as WebDataset names them, or folders that were packed. Nothing is unpacked but gzip.

What lies beside a picture may be its label (`beside.py`); where there is none, folders are what they are everywhere.
"""

import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.config.paths import open_file
from gancli.data import patterns
from gancli.data.beside import KINDS, MAX_BYTES, Beside, key_of, spare
from gancli.data.container import MAX_ENTRIES, Container, labelled
from gancli.data.formats import is_image, is_other_picture
from gancli.data.manifest import PARSERS, Manifest
from gancli.data.pace import Pace
from gancli.data.patterns import is_archive
from gancli.data.tar import TarError, members, opened
from gancli.data.walk import Found, sort_out, tells_of_run, within
from gancli.errors import DataError, few, printable
from gancli.events import Event, Preparing
from gancli.files import atomic
from gancli.text import counted

if TYPE_CHECKING:
    from gancli.data.unpacked import Unpacked

DAMAGE = (OSError, TarError, EOFError, zlib.error)


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
    """What lies in the shards: `pieces`, in the order of reading; `ends`: of each gzipped shard, where the last of them
    ends, and None of others."""

    found: Found = field(default_factory=Found)
    pieces: list[Piece] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    beside: Beside = field(default_factory=Beside)
    ends: list[int | None] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def drop_last(self, shard: int) -> None:
        """Of a gzipped shard that is damaged: what came last, of which it is not known whether it is whole."""
        if self.ends[shard] is not None:
            own = [piece for piece in self.pieces if piece.shard == shard]
            if own:
                self.pieces.remove(own.pop())
            self.ends[shard] = own[-1].offset + own[-1].size if own else 0


class Shards(Container):
    """Pictures in tars. `strict`: whether each must have a label where one has."""

    def __init__(self, path: Path, files: Sequence[Path], listed: Listed, strict: bool) -> None:
        super().__init__(path, listed.found)
        self._files, self._ends, self._damaged = files, listed.ends, listed.damaged
        self._unpacked: Unpacked | None = None
        pictures = {(piece.shard, piece.name) for piece in listed.pieces if piece.is_picture}
        self._spare = spare(pictures) if listed.beside.seen else set[tuple[int, str]]()
        kept = [piece for piece in listed.pieces if (piece.shard, piece.name) not in self._spare]
        self._pieces = _named(kept, patterns.groups(files), files, self.found)
        marks = [file.stat().st_mtime_ns for file in files]  # of the shard: a member's own is mostly 0
        sort_out(self.found, {name: (p.size, marks[p.shard]) for name, p in self._pieces.items()}, listed.folders)
        keys = {name: (p.shard, key_of(p.name)[0]) for name in self.found.marks for p in [self._pieces[name]]}
        self._labels = listed.beside.chosen(keys)
        self._strict = strict

    def notes(self) -> list[str]:
        """As every container's, and what of samples was left out."""
        told = [*self._damaged, *self._labels.told]
        if self._spare:
            names = sorted(name for _, name in self._spare)
            told.append(f"{counted(len(names), 'picture')} left out: beside another of the same key ({few(names)})")
        return [*self.found.notes(), *told]

    def where(self, name: str) -> str:
        piece = self._pieces[name]
        return printable(f"{self._files[piece.shard]}/{piece.name}")

    def holds(self, name: str) -> bool:
        return name in self._pieces

    def labels(self, prefix: str) -> Manifest | None:
        if not self._labels.kind:
            return super().labels(prefix)
        reasons = self._labels.reasons if self._strict else None
        return labelled(self._labels.labels, self.found, prefix, f"beside them ({self._labels.kind})", reasons)

    def read(self, name: str, num_bytes: int) -> bytes:
        piece = self._pieces[name]
        num_bytes = min(num_bytes, piece.size)
        if self._ends[piece.shard] is not None:
            return self._of_gzipped(piece, num_bytes)
        with open_file(self._files[piece.shard]) as file:
            file.seek(piece.offset)
            return file.read(num_bytes)

    def _of_gzipped(self, piece: Piece, num_bytes: int) -> bytes:
        if self._unpacked is not None:
            return self._unpacked.read(piece.shard, piece.offset, num_bytes)
        with opened(self._files[piece.shard]) as (file, _):  # before all is unpacked: a file of labels
            file.seek(piece.offset)
            return file.read(num_bytes)

    def ready(self, room: Path) -> Generator[Event, None, None]:
        sizes = {shard: end for shard, end in enumerate(self._ends) if end is not None}
        if sizes and self._unpacked is None:
            from gancli.data.unpacked import unpacked  # which imports torch, as a first look may not

            gzipped = {shard: self._files[shard] for shard in sizes}
            self._unpacked = yield from unpacked(self.path, gzipped, sizes, room)

    def close(self) -> None:
        if self._unpacked is not None:
            self._unpacked.close()


def open_shards(path: Path, files: Sequence[Path], skip: bool) -> Generator[Event, None, Shards]:
    """List one tar, or several that are one data set, told as `path`. Raises `DataError` for a damaged one; with `skip` what
    stands before the damage is taken."""
    listed, pace = Listed(ends=[None] * len(files)), Pace()
    for shard, (file, group) in enumerate(zip(files, patterns.groups(files), strict=True)):
        try:
            for _ in _list_one(file, shard, group, listed):
                if pace.due():
                    yield Preparing(f"listing {path.name}", len(listed.pieces), 0, "files")
                if len(listed.pieces) > MAX_ENTRIES:
                    raise DataError(f"--dataset {path}: more than {MAX_ENTRIES} entries are over the limit")
        except DAMAGE as error:
            why = (
                atomic.reason(error)
                if isinstance(error, OSError) and error.errno
                else printable(" ".join(str(error).split()))
            )
            if not skip:
                way_out = "; --on-bad-image skip takes what is before that" if listed.pieces else ""
                raise DataError(f"{printable(str(file))}: cannot be read as a tar ({why[:200]}){way_out}") from None
            listed.drop_last(shard)
            listed.damaged.append(f"{printable(str(file))}: read as far as it is whole ({why[:200]})")
    try:
        return Shards(path, files, listed, strict=not skip)
    except OSError as error:
        raise DataError(f"--dataset {path}: cannot be read ({atomic.reason(error)})") from None


def _list_one(path: Path, shard: int, group: str, listed: Listed) -> Iterator[None]:
    """Note in `listed` what is in one shard. Yields after each member. Raises `DAMAGE`."""
    with opened(path) as (file, length):
        for member in members(file, length):
            name = within(member.name)
            if name is None:
                listed.found.outside.append(member.name)
            elif member.kind == "folder":
                listed.folders.add(f"{group}{name}".rstrip("/"))
            elif member.kind == "odd":
                listed.found.odd.append(name)
            elif name:
                key, kind = key_of(name)
                if kind.lower() in KINDS and not name.endswith(tuple(PARSERS)) and member.size <= MAX_BYTES:
                    file.seek(member.offset)
                    listed.beside.take(shard, key, kind.lower(), file.read(member.size))
                elif (picture := is_image(name)) or _counts(name):
                    listed.pieces.append(Piece(shard, name, picture, member.offset, member.size))
                    if length is None:
                        listed.ends[shard] = member.offset + member.size
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


def beginnings(path: Path, num_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Name and first bytes of each picture of one tar, in its order. Raises `DAMAGE`."""
    with opened(path) as (file, length):
        for member in members(file, length):
            if member.kind == "file" and is_image(member.name):
                file.seek(member.offset)
                yield member.name, file.read(min(num_bytes, member.size))
