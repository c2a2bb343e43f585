"""Options of the commands that use one model, `gan sample` and `gan export`, and of a `Model` in Python."""

import re
from dataclasses import dataclass

from gancli.config.option import option

DRAWING, ENLARGING = "Drawing pictures", "Enlarging pictures (srgan)"
MAX_COUNT, MAX_SEED = 1_000_000, 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Which pictures are drawn, and how they are laid out."""

    count: int = option(64, "how many pictures", ge=1, le=MAX_COUNT, short="-n", spelt="-n", panel=DRAWING)
    seed: int = option(0, "seed of the first picture; the next has the next", ge=0, le=MAX_SEED, panel=DRAWING)
    label: tuple[str, ...] | None = option(
        None,
        "which classes, for a conditional model: a name, 7, 0-9, 3,5, all; several times for several",
        short="-l",
        metavar="TEXT",
        panel=DRAWING,
        default_text="all, in turn",
        raw=True,
    )
    columns: int | None = option(
        None, "columns of the grid", ge=1, le=10_000, panel=DRAWING, default_text="as for a square, each with one class"
    )
    walk: int | None = option(
        None, "walk through latent space over so many seeds", ge=2, le=10_000, metavar="STOPS", panel=DRAWING
    )
    fps: int | None = option(
        None, "frames per second of a walk", ge=1, le=120, panel=DRAWING, default_text="20", only_with="walk"
    )
    zoom: int | None = option(
        None, "make each pixel N pixels wide and high", ge=1, le=64, panel=DRAWING, default_text="1"
    )
    levels: bool = option(
        False,
        "show each picture's levels side by side, coarse to fine, for a variant that works in levels",
        panel=DRAWING,
        switch=True,
    )
    truncation: float | None = option(
        None, "keep the noise within ±this: likelier, less varied", gt=0, le=10, panel=DRAWING
    )
    batch_size: int = option(
        1024, "pictures held at a time; the pictures do not depend on it", ge=1, le=2**20, panel=DRAWING
    )


@dataclass(frozen=True, kw_only=True)
class EnlargeConfig:
    """Which pictures are enlarged, and how."""

    input: str | None = option(
        None,
        "picture, folder, zip or tar to enlarge, for srgan; -o is then a picture or a folder",
        short="-i",
        spelt="-i",
        metavar="FILE|DIR",
        panel=ENLARGING,
        path=True,
        raw=True,
    )
    tile: int | None = option(
        None,
        "enlarge in tiles of this side, in pixels of the input",
        ge=1,
        le=2**20,
        panel=ENLARGING,
        default_text="as memory allows",
    )
    compare: bool = option(
        False,
        "instead, one picture of input, bicubic and model side by side; with --true PSNR and SSIM are told",
        panel=ENLARGING,
        switch=True,
    )
    true: str | None = option(
        None,
        "the true picture, or a folder of them named as the inputs",
        metavar="FILE|DIR",
        panel=ENLARGING,
        path=True,
        raw=True,
        only_with="compare",
    )
    recursive: bool = option(False, "a folder's subfolders, too", panel=ENLARGING, switch=True)
    skip_existing: bool = option(False, "leave alone what was enlarged before", panel=ENLARGING, switch=True)


OPSET = 20  # the default of torch's exporter since 2.9


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
        None,
        "licence of the weights, written into the exported model: mit, cc-by-4.0, …",
        metavar="NAME",
        default_text="none; mit for a pretrained model",
        reads=license_name,
    )
