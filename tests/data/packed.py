"""Data sets in every form that holds pictures: folder, zip, tars, Parquet files; and tars that no honest program writes."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from gancli.data.dataset import Dataset
from gancli.data.names import Split
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions
from tests.conftest import warned

Files = Mapping[str, bytes]


def png(value: int) -> bytes:
    """A picture of 8×8 pixels, different for each value up to 255."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (value, 255 - value, 7)).save(out, "PNG")
    return out.getvalue()


def pets(*splits: str) -> dict[str, bytes]:
    """Three cats and three dogs in class folders, by name; in each of the splits, if some are named."""
    names = [f"{split}{pet}/{n}.png" for split in splits or ("",) for pet in ("cat", "dog") for n in range(3)]
    return {name: png(index * 9) for index, name in enumerate(names)}


def samples(files: Files, ending: str, label: Mapping[str, str]) -> dict[str, bytes]:
    """The files of class folders as WebDataset's samples: `000000.png` beside `000000.cls`."""
    found: dict[str, bytes] = {}
    for index, (name, content) in enumerate(files.items()):
        found[f"{index:06d}.png"] = content
        found[f"{index:06d}{ending}"] = label[name.split("/")[-2]].encode()
    return found


def opened(
    path: Path,
    split: Split = "train",
    bad: Literal["fail", "skip"] = "fail",
    root: Path | None = None,
    size: int | None = 8,
) -> tuple[Dataset, list[str]]:
    """A data set, and the warnings on the way."""
    options = DatasetOptions(root or path.parent / "root", size, on_bad_image=bad, split=split)
    return warned(open_dataset, str(path), options)


def in_folder(path: Path, files: Files) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def in_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def in_tar(path: Path, files: Files, kind: int = tarfile.GNU_FORMAT) -> Path:
    """A tar by Python's own hand, gzipped if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w", format=kind) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"", kind: Literal[0, 1, 2] = tarfile.GNU_FORMAT, **said: Any) -> bytes:
    """A member of a tar whose header says what it is told to."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in said.items():
        setattr(info, key, value)
    return info.tobuf(kind, errors="surrogateescape") + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def tar_of(path: Path, *members: bytes) -> Path:
    path.write_bytes(b"".join(members) + bytes(2 * tarfile.BLOCKSIZE))
    return path


def features(**columns: Sequence[str] | None) -> dict[bytes, bytes]:
    """What `datasets` writes into a schema: None is a column of pictures, names are those of a column of classes."""
    said = {
        name: {"_type": "Image"} if names is None else {"_type": "ClassLabel", "names": list(names)}
        for name, names in columns.items()
    }
    return {b"huggingface": json.dumps({"info": {"features": said}}).encode()}


def in_parquet(path: Path, columns: Mapping[str, Iterable[Any]], metadata: Mapping[bytes, bytes] | None = None) -> Path:
    """A Parquet file of rows, in groups of four."""
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table({name: list(values) for name, values in columns.items()}).replace_schema_metadata(metadata)
    parquet.write_table(table, path, row_group_size=4)
    return path


def rows(files: Files) -> dict[str, list[Any]]:
    """Pictures in class folders as hubs serve them: a column of structs, and one of class numbers."""
    names = sorted({name.split("/")[-2] for name in files})
    return {
        "image": [{"bytes": content, "path": name} for name, content in files.items()],
        "label": [names.index(name.split("/")[-2]) for name in files],
    }
