"""From a name or a path to one uint8 tensor with labels, decoded once."""

import errno
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from torch import Tensor

from gancli.batches.batch import ImageSpec
from gancli.config.paths import expanded
from gancli.data import fingerprint
from gancli.data.names import DRAWN, TORCHVISION, source_names
from gancli.data.names import Split as Split
from gancli.errors import DataError, UsageError, did_you_mean
from gancli.events import Event

Opening = Generator[Event, None, "Source"]


@dataclass(frozen=True)
class Source:
    """One data set, decoded. `images`: uint8 `[N, C, H, W]`; `labels`: int64 `[N]`, all 0 where there are none.

    `mapped`: the images are a map of a file too large for memory, not memory. `digest`: of the images, where it is known.
    """

    name: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    mapped: bool = False
    digest: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """What a resume knows these pictures and labels by, wherever they lie."""
        pixels = self.digest or fingerprint.digest(self.images)
        return fingerprint.fingerprint(pixels, [self.labels], self.class_names)

    @property
    def spec(self) -> ImageSpec:
        _, channels, height, _ = self.images.shape
        return ImageSpec(channels, height, self.class_names)

    @property
    def num_images(self) -> int:
        return len(self.images)

    @property
    def num_bytes(self) -> int:
        return self.images.numel() + 8 * len(self.labels)


def open_source(
    dataset: str,
    *,
    data_root: Path,
    image_size: int | None,
    download: bool,
    on_bad_image: Literal["fail", "skip"],
    split: Split = "train",
) -> Opening:
    """Open a data set by name or path, as a generator of progress and warnings that returns the `Source`.

    `image_size` None keeps the data set's own (for a folder: see `folder.common_size`). Raises `UsageError` for a name or
    path that does not exist, and `DataError` for data that cannot be had or read. Closing it early cleans up.
    """
    if dataset in DRAWN:
        from gancli.data import drawn

        source = yield from drawn.open_drawn(dataset, image_size, split)
    elif dataset in TORCHVISION:
        from gancli.data import torchvision_sets

        source = yield from torchvision_sets.open_torchvision(dataset, data_root, image_size, download, split)
    elif (path := existing(dataset)) is not None:
        from gancli.data import folder

        source = yield from folder.open_folder(path, data_root, image_size, on_bad_image, split)
    else:
        raise UsageError(_unknown(dataset))
    if len(source.images) == 0:
        raise DataError(f"--dataset {dataset}: holds no images")
    return source


def existing(dataset: str) -> Path | None:
    """The folder or file that a data set's name stands for, if there is one. Raises `UsageError` for a home of nobody."""
    path = expanded(dataset, "--dataset")
    try:
        return path if path.exists() else None
    except ValueError:  # a name no file can have
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise DataError(f"--dataset {dataset}: cannot be read ({error.strerror})") from None


def _unknown(dataset: str) -> str:
    """The message about a name or path that is not there, with the near miss among names or the path's neighbours."""
    path = expanded(dataset, "--dataset") if "/" in dataset else Path(dataset)
    try:
        if path.is_symlink():
            return f"--dataset {dataset}: a link to what does not exist"
        neighbours = {entry.name: str(entry) for entry in sorted(path.parent.iterdir())[:10_000]}
    except OSError:
        neighbours = {}
    hint = did_you_mean(dataset, source_names()) or did_you_mean(path.name, neighbours)
    known = ", ".join(source_names())
    return f"--dataset {dataset}: neither a data set ({known}) nor a folder or zip that exists{hint}"
