"""The named datasets: images, classes, files to download, and what the data root has of them. Imports no torch."""

import importlib.resources
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from gancli.data.names import dataset_names


@dataclass(frozen=True)
class NamedSet:
    """A dataset with a name. `channels`, `size`: of an image, in pixels; `num_train`, `num_test`: images; `num_classes`:
    0 if there are no labels; `files_of`: the entry of `named_sets.toml` with its files, "" if it is generated."""

    what: str
    channels: int
    size: int
    num_train: int
    num_test: int
    num_classes: int
    files_of: str = ""

    @property
    def downloads(self) -> dict[str, str]:
        """The address of each file to download, by its path below the data root."""
        if not self.files_of:
            return {}
        remote = _remote_files()[self.files_of]
        names = [remote["archive"]] if "archive" in remote else _split_files(remote)
        folder = "" if "archive" in remote or not remote["folder"] else f"{remote['folder']}/"
        return {f"{folder}{name}": f"{remote['mirrors'][0]}{name}" for name in names}

    def status(self, data_root: Path) -> Literal["generated", "downloaded", "incomplete", "not downloaded"]:
        """Whether the dataset can be used without a download."""
        if not self.files_of:
            return "generated"
        try:
            found = list(self._files_found(data_root))
        except OSError:
            found = [False]
        return "downloaded" if all(found) else "incomplete" if any(found) else "not downloaded"

    def _files_found(self, data_root: Path) -> Iterator[bool]:
        """Yield whether each file is in a data root, or what it unpacks to."""
        remote = _remote_files()[self.files_of]
        folder = data_root / remote["folder"]
        if "archive" in remote and (data_root / remote["archive"]).is_file():
            yield True
            return
        for file in (folder / name for name in _split_files(remote)):
            yield file.is_file() or (file.suffix == ".gz" and file.with_suffix("").is_file())


@cache
def _remote_files() -> Mapping[str, Any]:
    table = importlib.resources.files("gancli.data").joinpath("named_sets.toml")
    return tomllib.loads(table.read_text("utf-8"))


def _split_files(remote: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for files in remote["splits"].values() for name in files))


NAMED_SETS = {
    "digits": NamedSet("digits of one font", 1, 28, 6_400, 4_000, 10),
    "shapes": NamedSet("shapes in colour", 3, 64, 10_000, 2_000, 10),
    "leaves": NamedSet("dead leaves, for srgan", 3, 64, 10_000, 2_000, 0),
    "mnist": NamedSet("handwritten digits", 1, 28, 60_000, 10_000, 10, "mnist"),
    "fashion-mnist": NamedSet("clothes", 1, 28, 60_000, 10_000, 10, "fashion-mnist"),
    "kmnist": NamedSet("cursive Japanese characters", 1, 28, 60_000, 10_000, 10, "kmnist"),
    "cifar10": NamedSet("small photographs", 3, 32, 50_000, 10_000, 10, "cifar10"),
    "cifar100": NamedSet("small photographs", 3, 32, 50_000, 10_000, 100, "cifar100"),
    "svhn": NamedSet("house numbers", 3, 32, 73_257, 26_032, 10, "svhn"),
    "stl10": NamedSet("photographs", 3, 96, 5_000, 8_000, 10, "stl10"),
    "stacked-mnist": NamedSet("three digits as red, green and blue", 3, 28, 128_000, 26_000, 1_000, "mnist"),
}
assert tuple(NAMED_SETS) == dataset_names()

# Datasets that people look for by these names, and repositories of the Hugging Face Hub that have them.
ELSEWHERE = {
    "afhq": "huggan/AFHQ",
    "afhqv2": "huggan/AFHQv2",
    "anime": "huggan/anime-faces",
    "celeba": "nielsr/CelebA-faces",
    "celebahq": "korexyz/celeba-hq-256x256",
    "ffhq": "merkol/ffhq-256",
    "flowers": "huggan/flowers-102-categories",
    "imagenet": "benjamin-paine/imagenet-1k-64x64",
    "imagenet64": "benjamin-paine/imagenet-1k-64x64",
    "imagenet32": "benjamin-paine/imagenet-1k-32x32",
    "lsun": "pcuenq/lsun-bedrooms",
    "lsunbedroom": "pcuenq/lsun-bedrooms",
    "lsunchurch": "tglcourse/lsun_church_train",
    "tinyimagenet": "zh-plus/tiny-imagenet",
}
ALIASES = {
    "afhq2": "afhqv2", "animefaces": "anime", "celebfaces": "celeba", "celebaface": "celeba", "celebafaces": "celeba",
    "ffhq64": "ffhq", "ffhq128": "ffhq", "ffhq256": "ffhq", "ffhq1024": "ffhq", "flowers102": "flowers",
    "oxfordflowers": "flowers", "ilsvrc": "imagenet", "ilsvrc2012": "imagenet", "imagenet1k": "imagenet",
    "lsunbedrooms": "lsunbedroom", "bedroom": "lsunbedroom", "bedrooms": "lsunbedroom",
    "lsunchurches": "lsunchurch", "church": "lsunchurch", "churches": "lsunchurch", "celebahq256": "celebahq",
}  # fmt: skip


def elsewhere(name: str) -> str:
    """Return how to get a well-known dataset that has no name here; `""` for other names."""
    word = "".join(c for c in name.lower() if c.isalnum())
    repository = ELSEWHERE.get(ALIASES.get(word, word))
    if repository is None:
        return ""
    return (
        f"no dataset of gan; use a folder of its images, or -d hf:{repository} (not ours; see its licence on the hub)"
    )


def own_size(name: str) -> int | None:
    """Return the side of a named dataset's images in pixels, or None for a path."""
    return NAMED_SETS[name].size if name in NAMED_SETS else None


def channels_of(name: str) -> int | None:
    """Return the number of channels of a named dataset's images, or None for a path."""
    return NAMED_SETS[name].channels if name in NAMED_SETS else None
