"""The options of the commands that use models, `gan sample`, `gan export` and `gan demo`, and of a `Model` in Python."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gancli.config.option import option
from gancli.config.seeds import MAX_SEED, MAX_SEEDS, parse_seeds
from gancli.errors import UsageError
from gancli.text import counted

GENERATING, ENLARGING = "Generating images", "Enlarging images (srgan)"
DEMO_PORT = 7860  # as Gradio's users know it
OPSET = 20  # the default of torch's exporter since 2.9


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Which images are generated, and how they are arranged."""

    count: int = option(64, "number of images", ge=1, le=MAX_SEEDS, short="-n", spelt="-n", panel=GENERATING)
    seed: int = option(
        0, "seed of the first image; each further image has the next seed", ge=0, le=MAX_SEED, panel=GENERATING
    )
    seeds: str | None = option(
        None, "seeds and ranges of seeds, such as 1,5,9-12, instead of -n and --seed",
        metavar="LIST", panel=GENERATING, validate=parse_seeds,
    )  # fmt: skip
    label: tuple[str, ...] | None = option(
        None, "classes, for a conditional model: a name, 7, 0-9, 3,5 or all; can be repeated",
        short="-l", metavar="TEXT", panel=GENERATING, default_text="all, in turn", raw=True,
    )  # fmt: skip
    columns: int | None = option(
        None,
        "columns of the grid",
        ge=1,
        le=10_000,
        panel=GENERATING,
        default_text="a square grid; one column per class",
    )
    captions: bool = option(
        False, "write the class and the seed under each image of the grid", panel=GENERATING, switch=True
    )
    walk: int | None = option(
        None,
        "number of seeds to interpolate between in latent space",
        ge=2,
        le=10_000,
        metavar="STOPS",
        panel=GENERATING,
    )
    fps: int | None = option(
        None, "frames per second of a walk", ge=1, le=120, panel=GENERATING, default_text="20", only_with="walk"
    )
    zoom: int | None = option(None, "enlarge each pixel to N×N pixels", ge=1, le=64, panel=GENERATING, default_text="1")
    levels: bool = option(
        False, "show the levels of each image side by side, coarse to fine (lapgan)", panel=GENERATING, switch=True
    )
    truncation: float | None = option(
        None, "truncate the noise to ±this: more typical images, less variety", gt=0, le=10, panel=GENERATING
    )
    batch_size: int = option(
        1024, "images generated at a time; does not change the images", ge=1, le=2**20, panel=GENERATING
    )

    def all_seeds(self) -> Sequence[int]:
        """Return the seed of each image."""
        if self.seeds is not None:
            return parse_seeds(self.seeds)
        return [(self.seed + number) % (MAX_SEED + 1) for number in range(self.count)]


def sample_config(given: Mapping[str, Any]) -> SampleConfig:
    """Return a configuration with the given options. `seeds` sets `count`, and `seed` to its first. Raises `UsageError` if
    these are given too, with other values."""
    if given.get("seeds") is None:
        return SampleConfig(**given)
    if given.get("walk") is not None:
        raise UsageError(
            f"--seeds {given['seeds']}: does not apply with --walk, which visits consecutive seeds; use --seed"
        )
    seeds = parse_seeds(given["seeds"])
    implied = {"count": len(seeds), "seed": seeds[0]}
    for name, flag, has in (
        ("count", "-n", f"has {counted(len(seeds), 'seed')}"),
        ("seed", "--seed", f"begins with {seeds[0]}"),
    ):
        if given.get(name, implied[name]) != implied[name]:
            raise UsageError(f"{flag} {given[name]}: contradicts --seeds, which {has}; give one of the two")
    return SampleConfig(**{**given, **implied})


@dataclass(frozen=True, kw_only=True)
class EnlargeConfig:
    """Which images are enlarged, and how."""

    input: str | None = option(
        None, "image, folder, zip or tar to enlarge with srgan; -o is then an image or a folder",
        short="-i", spelt="-i", metavar="FILE|DIR", panel=ENLARGING, path=True, raw=True,
    )  # fmt: skip
    tile: int | None = option(
        None,
        "side of the tiles, in pixels of the input",
        ge=1,
        le=2**20,
        panel=ENLARGING,
        default_text="by available memory",
    )
    compare: bool = option(
        False, "write one image of input, bicubic and model side by side; with --true also report PSNR and SSIM",
        panel=ENLARGING, switch=True,
    )  # fmt: skip
    true: str | None = option(
        None, "the high-resolution original, or a folder of originals with the inputs' names",
        metavar="FILE|DIR", panel=ENLARGING, path=True, raw=True, only_with="compare",
    )  # fmt: skip
    recursive: bool = option(False, "include subfolders", panel=ENLARGING, switch=True)
    skip_existing: bool = option(False, "skip images that are already enlarged", panel=ENLARGING, switch=True)


def license_name(text: object) -> str:
    """The licence in lower case, as model hubs name it. Raises `ValueError` for what is not such a name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}", str(text)):
        raise ValueError("must be a licence's short name, such as mit, apache-2.0, cc-by-4.0 or other")
    return str(text).lower()


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """How a model is exported."""

    opset: int | None = option(None, "ONNX opset version, for .onnx", ge=18, le=25, default_text=str(OPSET))
    license: str | None = option(
        None, "licence of the weights, written into the exported model: mit, cc-by-4.0, …",
        metavar="NAME", default_text="none; mit for a pretrained model", validate=license_name,
    )  # fmt: skip
    push: str | None = option(
        None,
        "upload the folder for a model hub, as OWNER/NAME on the Hugging Face Hub (extra hub)",
        metavar="OWNER/NAME",
    )
    private: bool = option(False, "make the repository private", switch=True, only_with="push")
    dry_run: bool = option(False, "show what would be uploaded", switch=True, only_with="push")
    space: bool = option(
        False, "add what a Hugging Face Space needs to show the page of gan demo, for a folder", switch=True
    )


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Where the page of `gan demo` is served."""

    host: str = option(
        "127.0.0.1",
        "address to serve the page at; 0.0.0.0: for every machine that can reach this one",
        metavar="ADDRESS",
    )
    port: int | None = option(None, "port", ge=0, le=65535, default_text=f"{DEMO_PORT}, or a free one; 0: a free one")
