"""What is asked for when models are measured: by `gan evaluate`, and by `gancli.evaluate` in Python."""

from dataclasses import dataclass

from gancli.config import paths, suggestions
from gancli.config.option import option
from gancli.config.run import DATA_ROOT
from gancli.config.sample import MAX_COUNT, MAX_SEED
from gancli.errors import UsageError

METRICS = ("frechet", "kernel", "prdc", "parzen", "swd", "labels", "modes", "diversity", "nearest")
"""Groups of figures: see `metrics.yardstick`."""


def metric_names(text: object) -> tuple[str, ...]:
    """Groups of figures in a text with commas. Raises `ValueError` that says what there is."""
    names = tuple(part.strip() for part in str(text).split(","))
    for name in names:
        if name not in METRICS:
            hint = suggestions.of_value("--metrics", name, METRICS)
            raise ValueError(f"no such metric as {name}{hint}; there are {', '.join(METRICS)}")
    return names


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """With what, and how, models are compared."""

    dataset: str | None = option(
        None,
        "what to compare with; for srgan a folder, zip or tar of true pictures",
        short="-d",
        metavar="NAME|PATH",
        path=True,
        raw=True,
        default_text="what it was trained on",
    )
    count: int | None = option(
        None,
        "how many pictures to draw",
        ge=10,
        le=MAX_COUNT,
        short="-n",
        spelt="-n",
        default_text="10,000; of stacked-mnist 26,000, as the papers do",
    )
    seed: int = option(0, "seed of the first picture; the next has the next", ge=0, le=MAX_SEED)
    metrics: str | None = option(
        None,
        f"only these, with commas: {', '.join(METRICS)}",
        metavar="NAMES",
        default_text="all",
        reads=metric_names,
    )
    gan_train: bool = option(
        False,
        "also train a classifier on the model's pictures and test it on real ones; for conditional models",
        switch=True,
    )
    neighbours: str | None = option(
        None,
        "draw ten pictures, each beside the five training pictures nearest to it",
        metavar="FILE.png",
        path=True,
        raw=True,
    )
    inception: str | None = option(
        None,
        "also the canonical Inception FID, with torch-fidelity's weights (slow without a GPU)",
        metavar="FILE",
        path=True,
        raw=True,
    )
    low_res: str | None = option(
        None,
        "for srgan: the low-resolution pictures, named as the true ones",
        metavar="DIR|ZIP|TAR",
        path=True,
        raw=True,
        default_text="made of the true ones",
    )
    data_root: str = option(DATA_ROOT, "where data sets lie", env="GAN_DATA", metavar="DIR", path=True, raw=True)
    download: bool = option(True, "fetch a data set that is not there")

    def check_places(self) -> None:
        """Before any work: raises `UsageError` or `GancliError` where the picture of neighbours cannot be written."""
        if self.neighbours is None:
            return
        file = paths.expanded(self.neighbours, "--neighbours")
        paths.check_output(file, "--neighbours")
        if file.suffix.lower() != ".png" or not file.parent.is_dir():
            raise UsageError(f"--neighbours {file}: must be a .png file in a directory that exists")

    @property
    def wanted(self) -> tuple[str, ...]:
        """The groups of figures that are measured."""
        return METRICS if self.metrics is None else metric_names(self.metrics)
