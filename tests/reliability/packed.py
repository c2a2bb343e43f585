"""A small data set in every kind of archive, for the fuzzer to damage."""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any

import pyarrow
from PIL import Image
from pyarrow import parquet


def packed() -> Iterator[tuple[str, bytes]]:
    """A small data set with labels as a zip, tars and Parquet files, and a name for each."""
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((8, 8)).save(picture, "PNG")
    files = [(f"{n}{end}", picture.getvalue() if end == ".png" else b"1") for n in range(6) for end in (".png", ".cls")]
    for name, mode, kind in (("a.tar", "w", 0), ("a.tar", "w", 1), ("a.tar", "w", 2), ("a.tgz", "w:gz", 2)):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode, format=kind) as tar:  # type: ignore[call-overload]
            for own, content in files:
                info = tarfile.TarInfo(f"{'é' * 60 * (kind > 0)}{own}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        yield name, out.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for own, content in files:
            archive.writestr(own, content)
    yield "a.zip", out.getvalue()
    cells = [{"bytes": picture.getvalue(), "path": None}] * 6
    labels: tuple[list[Any], ...] = ([0, 1] * 3, ["a", "b"] * 3)
    for own_labels, codec in zip(labels, ("snappy", "zstd"), strict=True):
        out = io.BytesIO()
        table = pyarrow.table({"image": cells, "label": own_labels})
        parquet.write_table(table, out, row_group_size=2, compression=codec)
        yield "a.parquet", out.getvalue()
