"""The files of an archive, from where it was unpacked or out of the archive itself; nothing is unpacked to disk."""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from gancli.data.download import fetch
from gancli.data.remote import ArchiveSet
from gancli.errors import DataError
from gancli.events import Emit, Preparing

MAX_BYTES = 1 << 30
PIECE = 1 << 24


def read_members(
    which: ArchiveSet, names: Sequence[str], root: Path, dataset: str, by_hand: str, download: bool, emit: Emit
) -> list[bytes]:
    """The bytes of the named files, checksums verified. Fetches the archive if neither it nor all files are there.

    Raises `DataError` that says what to put where (`by_hand`) or what is damaged.
    """
    unpacked, archive = [root / which.folder / name for name in names], root / which.archive.path
    if all(path.is_file() for path in unpacked):
        found: dict[str, bytes] = {}
        for name, path in zip(names, unpacked, strict=True):
            emit(Preparing(f"reading {which.folder}", len(found), len(names), "files"))
            found[name] = read_file(path)
    else:
        if not archive.is_file():
            if not download:
                raise DataError(f"--dataset {dataset}: not in {root}, and --no-download is given; {by_hand}")
            fetch(which.archive, root, dataset, by_hand, emit)
        found = _out_of_tar(which, names, archive, emit)
    for name in names:
        if name not in found:
            raise DataError(f"{archive}: damaged: {which.folder}/{name} is not in it; delete it and try again")
        if hashlib.md5(found[name], usedforsecurity=False).hexdigest() != which.md5[name]:
            raise DataError(
                f"{root}: damaged: {which.folder}/{name} has not MD5 {which.md5[name]}; delete it and try again"
            )
    return [found[name] for name in names]


def read_file(path: Path) -> bytes:
    """The bytes of a file, at most 1 GiB. Raises `DataError` naming it."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _out_of_tar(which: ArchiveSet, names: Sequence[str], archive: Path, emit: Emit) -> dict[str, bytes]:
    found: dict[str, bytearray] = {}
    for name, piece in _pieces(archive, {f"{which.folder}/{name}": name for name in names}):
        if name is not None:
            found.setdefault(name, bytearray()).extend(piece)
        emit(Preparing(f"unpacking {archive.name}", len(found), len(names), "files"))
    return {name: bytes(content) for name, content in found.items()}


def _pieces(archive: Path, wanted: dict[str, str]) -> Iterator[tuple[str | None, bytes]]:
    """Yield pieces of the members of a tar that are `wanted`, by the name given there; None and no bytes for each of the
    others before the last of them. Raises `DataError`."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = wanted.get(member.name.removeprefix("./"))
                file = tar.extractfile(member) if name and member.size <= MAX_BYTES else None
                if file is None:
                    yield None, b""
                    continue
                while piece := file.read(PIECE):
                    yield name, piece
                del wanted[member.name.removeprefix("./")]
                if not wanted:
                    return
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: cannot be unpacked ({error}); delete it and try again") from None
