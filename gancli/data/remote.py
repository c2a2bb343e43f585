"""Where torchvision's data sets come from and lie: addresses, places and checksums as torchvision 0.29 has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from gancli.data.names import Split


@dataclass(frozen=True)
class RemoteFile:
    """A file at `path` below the data root, to be had from any of `urls`."""

    path: str
    md5: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class IdxSet:
    """Images and labels as one gzipped IDX file each."""

    files: Mapping[Split, tuple[RemoteFile, RemoteFile]]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class ArchiveSet:
    """A tar of files below `folder`; torchvision unpacks it beside itself. `md5` has the files that are read."""

    archive: RemoteFile
    folder: str
    md5: Mapping[str, str]


DIGITS = tuple("0123456789")


def _idx_set(folder: str, mirrors: tuple[str, ...], sums: tuple[str, str, str, str], names: tuple[str, ...]) -> IdxSet:
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = [
        RemoteFile(f"{folder}/raw/{stem}-ubyte.gz", md5, tuple(f"{mirror}{stem}-ubyte.gz" for mirror in mirrors))
        for stem, md5 in zip(stems, sums, strict=True)
    ]
    return IdxSet({"train": (files[0], files[1]), "test": (files[2], files[3])}, names)


IDX_SETS = {
    "mnist": _idx_set(
        "MNIST",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        DIGITS,
    ),
    "fashion-mnist": _idx_set(
        "FashionMNIST",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "kmnist": _idx_set(
        "KMNIST",
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        (
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
}

CIFAR10 = ArchiveSet(
    RemoteFile(
        "cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    ),
    "cifar-10-batches-py",
    {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)
CIFAR100 = ArchiveSet(
    RemoteFile(
        "cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
    ),
    "cifar-100-python",
    {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
)
STL10 = ArchiveSet(
    RemoteFile(
        "stl10_binary.tar.gz",
        "91f7769df0f17e558f3565bffb0c7dfb",
        ("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
    ),
    "stl10_binary",
    {
        "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
        "train_y.bin": "5a34089d4802c674881badbb80307741",
        "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
        "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
    },
)
STL10_NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SVHN: Mapping[Split, RemoteFile] = {
    "train": RemoteFile(
        "train_32x32.mat",
        "e26dedcc434d2e4c54c9b2d4a06d8373",
        ("http://ufldl.stanford.edu/housenumbers/train_32x32.mat",),
    ),
    "test": RemoteFile(
        "test_32x32.mat",
        "eb5a983be6a315427106f1b164d9cef3",
        ("http://ufldl.stanford.edu/housenumbers/test_32x32.mat",),
    ),
}
