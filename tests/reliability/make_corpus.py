"""Makes `tests/reliability/corpus`: `python -m tests.reliability.make_corpus`. Hostile and odd files, one idea each.

The names say what is odd. `checkpoints`: inspect and sample them; `pictures`: decode them; `archives`: train on them.
"""

import contextlib
import gzip
import hashlib
import io
import json
import pickle
import shutil
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow
from PIL import Image
from pyarrow import parquet

from gancli.cli.app import main as gan

HERE = Path(__file__).parent / "corpus"
ESCAPE = "\x1b]0;owned\x07\x1b[31m[red]bold[/red]\u202e"


def checkpoints(sound: bytes) -> Iterator[tuple[str, bytes]]:
    length = int.from_bytes(sound[:8], "little")
    text, data = sound[8 : 8 + length], sound[8 + length :]

    def file(header: Any, tensors: bytes = data) -> bytes:
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        return len(raw).to_bytes(8, "little") + raw + tensors

    def told(change: Callable[[dict[str, Any], dict[str, Any]], None], tensors: bytes = data) -> bytes:
        header = json.loads(text)
        ours = json.loads(header["__metadata__"]["gancli"])
        ours["sha256"] = hashlib.sha256(tensors).hexdigest()
        change(header, ours)
        header["__metadata__"]["gancli"] = json.dumps(ours)
        return file(header, tensors)

    def first(header: dict[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = next(value for name, value in header.items() if name != "__metadata__")
        return entry

    yield "sound", sound
    yield "empty", b""
    yield "only-a-length", sound[:8]
    yield "header-cut", sound[: length // 2]
    yield "tensors-cut", sound[:-7]
    yield "bytes-after", sound + b"\0" * 9
    yield "length-2-to-63", (2**63).to_bytes(8, "little") + sound[8:]
    yield "length-0", bytes(8) + sound[8:]
    yield "pickle", pickle.dumps({"state_dict": [1.0] * 9})
    yield "zip-like-torch-save", b"PK\x03\x04" + b"\0" * 60
    yield "not-utf8", file(b"\xff\xfe" + text[2:])
    yield "bom", file(b"\xef\xbb\xbf" + text)
    yield "json-list", file(b"[1, 2]")
    yield "json-deep", file(b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}")
    yield "json-long-number", file(b'{"a": ' + b"9" * 20_000 + b"}")
    yield "key-twice", file(text.rstrip()[:-1] + b', "generator.0.weight": 1}')
    yield "nan-weight", told(lambda *_: None, data[:-4] + struct.pack("<f", float("nan")))
    yield "infinite-weight", told(lambda *_: None, data[:-4] + struct.pack("<f", float("inf")))
    yield "one-bit-flipped", sound[:-1] + bytes([sound[-1] ^ 1])
    yield "shape-2-to-62", told(lambda header, _: first(header).update(shape=[0, 2**62]))
    yield "shape-negative", told(lambda header, _: first(header).update(shape=[-1]))
    yield "shape-of-booleans", told(lambda header, _: first(header).update(shape=[True, True]))
    yield "dtype-unknown", told(lambda header, _: first(header).update(dtype="F8_E5M2"))
    yield "offsets-swapped", told(lambda header, _: first(header).update(data_offsets=[64, 0]))
    yield "offsets-overlap", told(lambda header, _: first(header).update(data_offsets=[4, 8]))
    yield "tensors-none", file({"__metadata__": json.loads(text)["__metadata__"]}, b"")
    yield "metadata-missing", file({k: v for k, v in json.loads(text).items() if k != "__metadata__"})
    yield "metadata-not-texts", file({**json.loads(text), "__metadata__": {"gancli": 7}})
    yield "variant-unknown", told(lambda _, ours: ours.update(variant="stylegan"))
    yield "variant-a-path", told(lambda _, ours: ours.update(variant="../../etc/passwd"))
    yield "variant-escape-codes", told(lambda _, ours: ours.update(variant=ESCAPE))
    yield "dataset-escape-codes", told(lambda _, ours: ours.update(dataset=ESCAPE))
    yield "classes-escape-codes", told(lambda _, ours: ours["images"].update(class_names=[ESCAPE] * 10))
    yield "versions-escape-codes", told(lambda _, ours: ours.update(versions={ESCAPE: ESCAPE}))
    yield "losses-escape-codes", told(lambda _, ours: ours.update(losses={ESCAPE: [[1, 1.0], [2, 2.0]]}))
    yield "losses-infinite", told(lambda _, ours: ours.update(losses={"d_loss": [[1, 1e999], [2, 1.0]]}))
    yield "losses-huge-steps", told(lambda _, ours: ours.update(losses={"d_loss": [[-(10**30), 1.0], [10**30, 2.0]]}))
    yield "epoch-text", told(lambda _, ours: ours.update(epoch="many"))
    yield "width-huge", told(lambda _, ours: ours["config"].update(width=10**12))
    yield "width-largest-allowed", told(lambda _, ours: ours["config"].update(width=16384, inner_width=16384))
    yield "width-a-boolean", told(lambda _, ours: ours["config"].update(width=True))
    yield "size-largest-allowed", told(lambda _, ours: ours["images"].update(size=8192))
    yield "option-unknown", told(lambda _, ours: ours["config"].update({"exec": "rm"}))
    yield "option-missing", told(lambda _, ours: ours["config"].pop("width"))
    yield "kind-unknown", told(lambda _, ours: ours.update(kind="pickle"))
    yield "names-escape-codes", told(lambda header, _: header.update({ESCAPE: header.pop("generator.0.weight")}))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes, *more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def pictures() -> Iterator[tuple[str, bytes]]:
    gradient = Image.linear_gradient("L").resize((20, 12))

    def saved(picture: Image.Image, kind: str, **how: Any) -> bytes:
        out = io.BytesIO()
        picture.save(out, kind, **how)
        return out.getvalue()

    jpeg = saved(gradient.convert("RGB"), "JPEG")
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [gradient.rotate(angle).convert("P") for angle in (0, 90, 180)]
    yield "grey.png", saved(gradient, "PNG")
    yield "grey-16-bit.png", saved(gradient.convert("I").point(lambda value: value * 256).convert("I;16"), "PNG")
    yield "one-bit.png", saved(gradient.convert("1"), "PNG")
    yield "alpha.png", saved(Image.merge("RGBA", [gradient] * 4), "PNG")
    yield "grey-alpha.png", saved(Image.merge("LA", [gradient] * 2), "PNG")
    yield "palette-transparent.png", saved(gradient.convert("P"), "PNG", transparency=3)
    yield "cmyk.jpg", saved(gradient.convert("CMYK"), "JPEG")
    yield "on-its-side.jpg", saved(gradient.convert("RGB"), "JPEG", exif=turned.tobytes())
    yield "animated.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "floats.tif", saved(gradient.convert("F"), "TIFF")
    yield "cut.jpg", jpeg[: len(jpeg) * 2 // 3]
    yield "cut.png", saved(gradient, "PNG")[:60]
    yield "head-only.webp", saved(gradient.convert("RGB"), "WEBP")[:30]
    yield "empty.png", b""
    yield "text.png", b"this is not a picture\n" * 20
    yield "svg.png", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "postscript.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n"
    yield "bomb-400-million-pixels.png", png(20_000, 20_000, zlib.compress(bytes(2501 * 1000), 9))
    yield "size-2-to-31.png", png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(100)))
    yield "size-0.png", png(0, 0, zlib.compress(b""))
    yield (
        "text-bomb.png",
        png(8, 8, zlib.compress(bytes(16)), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 24), 9))),
    )
    tiff = bytearray(saved(gradient, "TIFF"))
    entry = next(at for kind in (3, 4) if (at := tiff.find(struct.pack("<HHI", 257, kind, 1))) > 0)  # its height
    tiff[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, 5_000_000)
    yield "tall-100-million-pixels.tif", bytes(tiff)
    yield "checksum-wrong.png", saved(gradient, "PNG")[:-20] + bytes(20)
    yield "trailing-bytes.jpg", jpeg + bytes(1000)
    photo = gradient.convert("RGB")
    avif, jpeg_2000 = saved(photo, "AVIF"), saved(photo, "JPEG2000")
    yield "plain.avif", avif
    yield "animated.avif", saved(photo, "AVIF", save_all=True, append_images=[photo.rotate(90)])
    yield "cut.avif", avif[: len(avif) * 2 // 3]
    yield "plain.jp2", jpeg_2000
    yield "cut.jp2", jpeg_2000[: len(jpeg_2000) // 3]
    yield "plain.tga", saved(photo, "TGA", compression="tga_rle")
    yield "claims-900-million-pixels.tga", struct.pack("<3B5x4H2B", 0, 0, 10, 0, 0, 30_000, 30_000, 24, 0) + bytes(99)
    yield "text.tga", b"this is not a picture\n" * 20
    yield "claims-100-million-pixels.psd", struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 10_000, 10_000, 8, 3) + bytes(99)
    yield "claims-100-million-pixels.qoi", struct.pack(">4s2I2B", b"qoif", 10_000, 10_000, 3, 0) + b"\xfd" * 99


def archives(picture: bytes) -> Iterator[tuple[str, bytes]]:
    def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                dated = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
                archive.writestr(dated, content, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    link = zipfile.ZipInfo("link.png", (2026, 1, 1, 0, 0, 0))
    link.external_attr = 0o120777 << 16
    sound = zipped(*((f"{n}.png", picture) for n in range(12)))
    yield "sound.zip", sound
    yield "leads-outside.zip", zipped(*((f"../../outside/{n}.png", picture) for n in range(12)))
    yield "absolute.zip", zipped(*((f"/tmp/outside/{n}.png", picture) for n in range(12)))
    yield "leads-outside-by-backslashes.zip", zipped(*((f"..\\..\\outside\\{n}.png", picture) for n in range(12)))
    yield "link.zip", zipped((link, b"/etc/passwd"), *((f"{n}.png", picture) for n in range(12)))
    yield "name-escape-codes.zip", zipped((f"{ESCAPE}.png", b"no picture"), ("b.png", picture))
    yield "cut.zip", sound[: len(sound) // 2]
    yield "nothing.zip", zipped()
    yield "no-pictures.zip", zipped(("readme.txt", b"nothing here"))
    yield "nested.zip", zipped(("inner.zip", sound))
    yield "claims-4-gigabytes.zip", _claiming(sound, 0xFFFFFFF0)
    yield "encrypted-flag.zip", _flagged(sound, 1)
    yield "unknown-compression.zip", sound.replace(b"PK\x01\x02", b"PK\x01\x02", 1).replace(b"\x08\x00", b"\x63\x00")
    yield "gzip.zip", gzip.compress(sound, mtime=0)
    yield from tars(picture)
    yield from tables(picture)


def tars(picture: bytes) -> Iterator[tuple[str, bytes]]:
    def entry(name: str, content: bytes = picture, **said: Any) -> bytes:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(content), 1_767_225_600
        for key, value in said.items():
            setattr(info, key, value)
        kind: Literal[1, 2] = 2 if info.pax_headers else 1  # pax, GNU
        return info.tobuf(kind, errors="surrogateescape") + content + bytes(-len(content) % tarfile.BLOCKSIZE)

    def tar(*entries: bytes) -> bytes:
        return b"".join(entries) + bytes(2 * tarfile.BLOCKSIZE)

    plain = [entry(f"{n}.png") for n in range(12)]
    sound = tar(*plain)
    labelled = [entry(f"{n}.cls", str(n % 2).encode()) for n in range(12)]
    yield "sound.tar", sound
    yield "sound.tar.gz", gzip.compress(sound, mtime=0)
    yield "labelled.tar", tar(*plain, *labelled)
    yield "half-labelled.tar", tar(*plain, *labelled[:6])
    yield "leads-outside.tar", tar(*(entry(f"../../outside/{n}.png") for n in range(12)))
    yield "absolute.tar", tar(*(entry(f"/tmp/outside/{n}.png") for n in range(12)))
    yield "links.tar", tar(entry("a.png", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), *plain)
    yield "device.tar", tar(entry("a.png", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5), *plain)
    yield "holes.tar", tar(entry("a.png", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), *plain)
    yield "name-escape-codes.tar", tar(entry(f"{ESCAPE}.png", b"no picture"), *plain)
    yield "name-no-text.tar", tar(entry("\udcff/a.png"), *plain)
    yield "cut.tar", sound[: len(sound) // 2 - 300]
    yield "cut.tar.gz", gzip.compress(sound, mtime=0)[:200]
    yield "claims-8-gigabytes.tar", tar(*plain, entry("a.png", size=8**11 - 1))
    yield "claims-less-than-nothing.tar", tar(*plain, entry("a.png", pax_headers={"size": "-1024"}))
    yield "header-8-gigabytes.tar", tar(*plain, entry("x", b"", type=tarfile.XHDTYPE, size=8**11 - 1))
    yield "header-digits.tar", tar(*plain, entry("x", b"1" * 60_000, type=tarfile.XHDTYPE))
    yield "headers-only.tar.gz", gzip.compress(tar(*[entry("x", b"", type=tarfile.XHDTYPE)] * 2000), mtime=0)
    yield "json-deep.tar", tar(*plain, entry("1.json", b'{"label":' + b"[" * 30_000))
    yield "zeros.tar.gz", gzip.compress(bytes(1 << 24), mtime=0)
    yield "nested.tar", tar(entry("inner.tar", sound))
    yield "nothing.tar", tar()
    yield "text.tar", b"this is no archive\n" * 90


def tables(picture: bytes) -> Iterator[tuple[str, bytes]]:
    def table(columns: dict[str, list[Any]], metadata: dict[bytes, bytes] | None = None) -> bytes:
        out = io.BytesIO()
        parquet.write_table(pyarrow.table(columns).replace_schema_metadata(metadata), out, row_group_size=5)
        return out.getvalue()

    cells = [{"bytes": picture, "path": "../../outside/a.png"}] * 12
    numbers = [n % 2 for n in range(12)]
    classes = {"_type": "ClassLabel", "names": [ESCAPE, "b"]}
    said = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": classes}}}).encode()
    sound = table({"image": cells, "label": numbers})
    yield "sound.parquet", sound
    yield "classes-escape-codes.parquet", table({"image": cells, "label": numbers}, {b"huggingface": said})
    yield "metadata-deep.parquet", table({"image": cells, "label": numbers}, {b"huggingface": b"[" * 30_000})
    yield "column-escape-codes.parquet", table({ESCAPE: ["words"] * 12})
    yield "nulls.parquet", table({"image": [*cells[:11], None], "label": numbers})
    yield "no-label.parquet", table({"image": cells, "label": [*numbers[:11], None]})
    yield "paths-only.parquet", table({"image": [{"bytes": None, "path": "/etc/passwd"}] * 12})
    yield "two-columns.parquet", table({"left": cells, "right": cells})
    yield "no-column.parquet", table({"x": numbers})
    yield "no-rows.parquet", table({"image": []})
    yield "cut.parquet", sound[:-100]
    yield "footer-length-2-to-31.parquet", sound[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"
    yield "footer-zeros.parquet", sound[:-200] + bytes(192) + sound[-8:]
    yield "pages-zeros.parquet", sound[:8] + bytes(120) + sound[128:]
    yield "text.parquet", b"this is no table\n" * 90


def _central(sound: bytes) -> Iterator[int]:
    at = sound.find(b"PK\x01\x02")
    while at >= 0:
        yield at
        at = sound.find(b"PK\x01\x02", at + 4)


def _claiming(sound: bytes, size: int) -> bytes:
    """Every entry of the directory says that it unpacks to `size` bytes."""
    out = bytearray(sound)
    for at in _central(sound):
        out[at + 24 : at + 28] = size.to_bytes(4, "little")
    return bytes(out)


def _flagged(sound: bytes, bits: int) -> bytes:
    out = bytearray(sound)
    for at in _central(sound):
        out[at + 8] |= bits
    return bytes(out)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        tiny = ("--width", "2", "--inner-width", "2", "--latent-dim", "1", "--image-size", "4", "--batch-size", "4")
        where = ("--out", "run", "--data-root", "data", "--progress", "none", "--device", "cpu")
        if gan(["train", *tiny, "--steps", "2", *where]) != 0:
            sys.exit(1)
        sound = Path("run/ckpt.safetensors").read_bytes()
    shutil.rmtree(HERE, ignore_errors=True)
    pictured = dict(pictures())
    kinds = {
        "checkpoints": ((f"{name}.safetensors", content) for name, content in checkpoints(sound)),
        "pictures": iter(pictured.items()),
        "archives": archives(pictured["grey.png"]),
    }
    for kind, files in kinds.items():
        (HERE / kind).mkdir(parents=True)
        for name, content in files:
            (HERE / kind / name).write_bytes(content)


if __name__ == "__main__":
    main()
