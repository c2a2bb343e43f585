"""The members of a tar, read with bounds: their names, and where their bytes lie (POSIX.1-2017, pax; ustar; GNU's own).

Not by `tarfile`, which reads into memory what a header claims, and goes in circles where a size is below zero
(CVE-2025-8194).
"""

import contextlib
import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from gancli.config.paths import open_file

BLOCK = 512
MAX_HEADER_BYTES = 1 << 16  # of a long name, or of all that a pax header says
MAX_SIZE = 1 << 62
GZIP = b"\x1f\x8b"
FILES, LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX, SPARSE = (b"0", b"\0", b"7"), b"L", b"K", (b"x", b"X"), b"g", b"S"
WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders and pipes, whatever size they claim


class TarError(ValueError):
    """What is no tar, or a damaged one, or is cut short."""


@dataclass(frozen=True)
class Member:
    """`offset`: where its `size` bytes begin, in the tar as unpacked. The bytes of a name that are no UTF-8 are kept as
    file systems' are (PEP 383). `kind` odd: a link, a device, or a file with holes."""

    name: str
    offset: int
    size: int
    kind: Literal["file", "folder", "odd"]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """A tar as it is when unpacked, and its length if it is known: not of a gzipped one. Raises `OSError`."""
    with open_file(path) as file:
        if file.read(2) != GZIP:
            yield file, file.seek(0, os.SEEK_END)
            return
        file.seek(0)
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast(BinaryIO, unpacked), None


def members(file: BinaryIO, length: int | None) -> Iterator[Member]:
    """Every member of a tar that was `opened`, in its order; the file may be read and moved forwards between two. Raises
    `TarError`, and what unpacking raises."""
    at, said = 0, dict[str, str]()
    while (head := _block(file, at)) and any(head):
        kind, size = head[156:157], _size(head, said)
        content = at + BLOCK + (_more_of_a_map(file) if kind == SPARSE and head[482] else 0)
        if length is not None and kind not in WITHOUT_CONTENT and content + size > length:
            raise TarError(f"cut short, or damaged: a member of {size} bytes begins {length - content} before the end")
        following = content + (0 if kind in WITHOUT_CONTENT else -(-size // BLOCK) * BLOCK)
        if kind == LONG_NAME:
            said["path"] = _text(_header(file, size).split(b"\0", 1)[0])
        elif kind in PAX:
            said |= _records(_header(file, size))
        elif kind not in (LONG_LINK, GLOBAL_PAX):
            name = said.get("path") or _name(head)
            holes = any(key.startswith("GNU.sparse") for key in said)
            yield Member(name, content, size, _kind(kind, name, holes))
            said = {}
        at = following


def _block(file: BinaryIO, at: int) -> bytes:
    """The header at a place, with its checksum right; `b""` at the end of the file, which need not be marked."""
    if file.tell() != at and file.seek(at) != at:
        raise TarError("cut short")  # of a gzipped tar, that cannot be known before
    head = file.read(BLOCK)
    if not head and at:
        return b""
    if len(head) < BLOCK:
        raise TarError("cut short" if at else "no tar, or an empty one")
    if (
        any(head)
        and (told := _octal(head[148:156])) != sum(head) - sum(head[148:156]) + 8 * 32
        and told != _signed(head)
    ):
        raise TarError(f"{'damaged' if at else 'no tar, or a damaged one'}: a header of a wrong checksum")
    return head


def _more_of_a_map(file: BinaryIO) -> int:
    """The bytes between a header of GNU's that says where holes are, and the content: more of the same."""
    num_bytes, more = 0, True
    while more:
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            raise TarError("cut short")
        num_bytes, more = num_bytes + BLOCK, bool(block[504])
    return num_bytes


def _signed(head: bytes) -> int:
    """The checksum as old tars on some systems had it."""
    return sum(byte - 256 if byte > 127 else byte for byte in head[:148] + head[156:]) + 8 * 32


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0") or b"0"
    if digits.strip(b"01234567"):
        raise TarError("damaged: a header without numbers")
    return int(digits, 8)


def _size(head: bytes, said: dict[str, str]) -> int:
    field = head[124:136]
    size = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:]) if field[0] & 0x80 else _octal(field)
    if field[0] == 0xFF:
        raise TarError("damaged: a size below zero")
    if (told := said.get("size")) is not None and head[156:157] not in (*PAX, GLOBAL_PAX, LONG_NAME, LONG_LINK):
        if not told.isascii() or not told.isdecimal() or len(told) > 20:
            raise TarError("damaged: a size that is no number")
        size = int(told)
    if size > MAX_SIZE:
        raise TarError(f"damaged: a size of {size} bytes")
    return size


def _header(file: BinaryIO, size: int) -> bytes:
    if size > MAX_HEADER_BYTES:
        raise TarError(f"damaged: a header of {size} bytes")
    text = file.read(size)
    if len(text) < size:
        raise TarError("cut short")
    return text


def _records(text: bytes) -> dict[str, str]:
    """What a pax header says: `LENGTH KEY=VALUE` and a line break, the length of all of it."""
    found: dict[str, str] = {}
    while text.strip(b"\0"):
        digits, blank, _ = text[:8].partition(b" ")
        length = int(digits) if blank and digits.isdigit() else 0
        key, equals, value = text[len(digits) + 1 : length].partition(b"=")
        if not 0 < length <= len(text) or not equals or not value.endswith(b"\n"):
            raise TarError("damaged: a pax header that is none")
        found[_text(key)] = _text(value[:-1])
        text = text[length:]
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _name(head: bytes) -> str:
    name = _text(head[:100].split(b"\0", 1)[0])
    prefix = _text(head[345:500].split(b"\0", 1)[0]) if head[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _kind(kind: bytes, name: str, holes: bool) -> Literal["file", "folder", "odd"]:
    if kind == b"5" or (kind in FILES and name.endswith("/")):
        return "folder"
    return "file" if kind in FILES and not holes else "odd"
