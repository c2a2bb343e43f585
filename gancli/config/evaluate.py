"""The options of `gan evaluate`, and of `gancli.evaluate` in Python."""

from dataclasses import dataclass

from gancli.config import paths, suggestions
from gancli.config.option import option
from gancli.config.run import DATA_ROOT
from gancli.config.seeds import MAX_SEED, MAX_SEEDS
from gancli.errors import UsageError

METRICS = ("frechet", "kernel", "prdc", "parzen", "swd", "labels", "modes", "diversity", "nearest")
"""Groups of metrics: see `metrics.yardstick`."""


def metric_names(text: object) -> tuple[str, ...]:
    """The groups of metrics that a text names, separated by commas. Raises `ValueError` for an unknown one."""
    names = tuple(part.strip() for part in str(text).split(","))
    for name in names:
        if name not in METRICS:
            hint = suggestions.of_value("--metrics", name, METRICS)
            raise ValueError(f"no such metric as {name}{hint}; there are {', '.join(METRICS)}")
    return names


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What models are evaluated on, and which metrics are computed."""

    dataset: str | None = option(
        None, "dataset to compare with, also hf:OWNER/NAME; for srgan a folder, zip or tar of high-resolution images",
        short="-d", metavar="NAME|PATH", path=True, raw=True, default_text="the model's training data",
    )  # fmt: skip
    split: str | None = option(
        None,
        "split of an hf: dataset that stands for the training data",
        metavar="NAME",
        default_text="that of the run, or train",
    )
    image_column: str | None = option(
        None,
        "column of the images in Parquet files",
        metavar="NAME",
        default_text="that of the run, or by type and name",
    )
    label_column: str | None = option(
        None,
        "column of the labels in Parquet files",
        metavar="NAME",
        default_text="that of the run, or by type and name",
    )
    count: int | None = option(
        None, "number of images to generate", ge=10, le=MAX_SEEDS, short="-n", spelt="-n",
        default_text="10,000; 26,000 for stacked-mnist, as in the papers",
    )  # fmt: skip
    seed: int = option(0, "seed of the first image; each further image has the next seed", ge=0, le=MAX_SEED)
    metrics: str | None = option(
        None,
        f"comma-separated metrics: {', '.join(METRICS)}",
        metavar="NAMES",
        default_text="all",
        validate=metric_names,
    )
    gan_train: bool = option(
        False, "also train a classifier on generated images and test it on real ones (conditional models)", switch=True
    )
    neighbours: str | None = option(
        None, "write an image of ten samples, each with its five nearest training images",
        metavar="FILE.png", path=True, raw=True,
    )  # fmt: skip
    inception: str | None = option(
        None, "also compute the Inception FID, with torch-fidelity's weights file (slow without a GPU)",
        metavar="FILE", path=True, raw=True,
    )  # fmt: skip
    low_res: str | None = option(
        None, "for srgan: low-resolution images with the same names", metavar="DIR|ZIP|TAR", path=True, raw=True,
        default_text="downscaled high-resolution images",
    )  # fmt: skip
    data_root: str = option(
        DATA_ROOT, "folder of downloaded and cached datasets", env="GAN_DATA", metavar="DIR", path=True, raw=True
    )
    download: bool = option(True, "download a dataset that is missing")

    def check_places(self) -> None:
        """Check before any work that the file of `neighbours` can be written. Raises `UsageError` or `GancliError`."""
        if self.neighbours is None:
            return
        file = paths.expanded(self.neighbours, "--neighbours")
        paths.check_output(file, "--neighbours")
        if file.suffix.lower() != ".png" or not file.parent.is_dir():
            raise UsageError(f"--neighbours {file}: must be a .png file in a directory that exists")

    @property
    def wanted(self) -> tuple[str, ...]:
        """The groups of metrics to compute."""
        return METRICS if self.metrics is None else metric_names(self.metrics)
