"""The named datasets: images, classes, size of the download, and what the data root has. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gancli.data.names import source_names


@dataclass(frozen=True)
class NamedSet:
    """A dataset with a name. `channels`, `size`: of an image, in pixels; `num_train`, `num_test`: images; `num_classes`:
    0 if there are no labels. `downloads`: the sizes in bytes of the files to download, by their paths below the data
    root; `folder`: of the same files unpacked, which are then not needed."""

    what: str
    channels: int
    size: int
    num_train: int
    num_test: int
    num_classes: int
    downloads: Mapping[str, int] = field(default_factory=dict)
    folder: str = ""

    @property
    def download_bytes(self) -> int:
        return sum(self.downloads.values())

    def present_bytes(self, data_root: Path) -> int:
        """How much of the download is in a data root."""
        return sum(num_bytes for path, num_bytes in self.downloads.items() if self._has(data_root / path, data_root))

    def _has(self, file: Path, data_root: Path) -> bool:
        """Whether a file is there, or what it unpacks to."""
        unpacked = data_root / self.folder if self.folder else file.with_suffix("")
        try:
            return file.is_file() or (unpacked.is_dir() if self.folder else file.suffix == ".gz" and unpacked.is_file())
        except OSError:
            return False

    def status(self, data_root: Path) -> Literal["generated", "downloaded", "incomplete", "not downloaded"]:
        """Whether the dataset can be used without a download."""
        if not self.downloads:
            return "generated"
        found = self.present_bytes(data_root)
        return "downloaded" if found == self.download_bytes else "incomplete" if found else "not downloaded"


def _idx(folder: str, sizes: Sequence[int]) -> dict[str, int]:
    """The four files of MNIST and its kin, with their sizes."""
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return {f"{folder}/raw/{name}-ubyte.gz": size for name, size in zip(names, sizes, strict=True)}


MNIST = _idx("MNIST", (9_912_422, 28_881, 1_648_877, 4_542))
NAMED_SETS = {
    "digits": NamedSet("digits of one font", 1, 28, 6_400, 4_000, 10),
    "shapes": NamedSet("shapes in colour", 3, 64, 10_000, 2_000, 10),
    "leaves": NamedSet("dead leaves, for srgan", 3, 64, 10_000, 2_000, 0),
    "mnist": NamedSet("handwritten digits", 1, 28, 60_000, 10_000, 10, MNIST),
    "fashion-mnist": NamedSet(
        "clothes", 1, 28, 60_000, 10_000, 10, _idx("FashionMNIST", (26_421_880, 29_515, 4_422_102, 5_148))
    ),
    "kmnist": NamedSet(
        "cursive Japanese characters", 1, 28, 60_000, 10_000, 10, _idx("KMNIST", (18_165_135, 29_497, 3_041_136, 5_120))
    ),
    "cifar10": NamedSet(
        "small photographs", 3, 32, 50_000, 10_000, 10, {"cifar-10-python.tar.gz": 170_498_071}, "cifar-10-batches-py"
    ),
    "cifar100": NamedSet(
        "small photographs", 3, 32, 50_000, 10_000, 100, {"cifar-100-python.tar.gz": 169_001_437}, "cifar-100-python"
    ),
    "svhn": NamedSet(
        "house numbers", 3, 32, 73_257, 26_032, 10, {"train_32x32.mat": 182_040_794, "test_32x32.mat": 64_275_384}
    ),
    "stl10": NamedSet("photographs", 3, 96, 5_000, 8_000, 10, {"stl10_binary.tar.gz": 2_640_397_119}, "stl10_binary"),
    "stacked-mnist": NamedSet("three digits as red, green and blue", 3, 28, 128_000, 26_000, 1_000, MNIST),
}
assert tuple(NAMED_SETS) == source_names()

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
    """The way to have a well-known dataset that has no name here; `""` for other names."""
    word = "".join(c for c in name.lower() if c.isalnum())
    repository = ELSEWHERE.get(ALIASES.get(word, word))
    if repository is None:
        return ""
    return (
        f"no dataset of gan; use a folder of its images, or -d hf:{repository} (not ours; see its licence on the hub)"
    )
