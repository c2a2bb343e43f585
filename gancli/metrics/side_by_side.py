"""An enlarged picture beside what it was made of: input, bicubic, model and, where it is known, the true one, with captions,
and PSNR and SSIM measured as `gan evaluate` does."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancli import images
from gancli.config.sample import EnlargeConfig
from gancli.data.decode import add_remarks, decode_first, read_shape
from gancli.data.formats import is_image
from gancli.errors import DataError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.metrics.upscaled import Likeness, bicubic, likeness, whole_steps
from gancli.sampling.enlarging import Told, content, read
from gancli.sampling.jobs import Job
from gancli.sampling.upscale import Upscaler, check_memory
from gancli.store import pretrained
from gancli.text import few

MARGIN = 8  # pixels around panels and captions
SMALLEST_LETTERS, LARGEST_LETTERS = 12, 28  # pixels
LINES = 2  # of a caption: a name and figures


@dataclass(frozen=True)
class Panel:
    """A picture, Pillow's mode L or RGB, and the two lines above it."""

    picture: Image.Image
    name: str
    figures: str = ""


@dataclass
class Comparer:
    """Makes the comparison of each picture, and keeps what it measured, by input: of `bicubic` and of `model`. `model_name`:
    in captions; `true`: a picture, or a folder that has one for each below `source`."""

    model_name: str
    source: Path
    true: Path | None = None
    measured: dict[str, dict[str, Likeness]] = field(default_factory=dict)

    def make(self, upscaler: Upscaler, job: Job, suffix: str, told: Told, emit: Emit) -> Image.Image:
        """The comparison for one picture. Raises `DataError` and `UsageError`, before it is enlarged where that is known."""
        name = str(job.source)
        data = content(job)
        width, height, pixel = read_shape(data, name)
        check_memory(upscaler, (width * (4 if self.true else 3), height, pixel), suffix, name)
        first = decode_first(data, name)
        add_remarks(told, first.remarks, job.source.name)
        low_res = images.from_pil(first.picture)
        truth = None if self.true is None else self._truth(job.source, low_res, upscaler)
        emit(Preparing(f"comparing {job.source.name}", 0, 0, "files"))
        made = compared(upscaler, low_res, truth, self.model_name)
        if made.figures:
            self.measured[name] = made.figures
        longest, limit = max(made.image.size), images.MAX_SIDE[suffix]
        if longest > limit:
            raise UsageError(f"-o {job.target}: {suffix} holds {limit} pixels a side, and {name} comes to {longest}")
        return made.image

    def means(self) -> dict[str, Likeness]:
        """Of all pictures that there was a true one of: bicubic's and the model's."""
        kinds = {kind for found in self.measured.values() for kind in found}
        values = {kind: [found[kind] for found in self.measured.values()] for kind in sorted(kinds)}
        return {
            kind: Likeness(*(sum(each) / len(each) for each in zip(*some, strict=True)))
            for kind, some in values.items()
        }

    def told(self, found: Mapping[str, Likeness]) -> str:
        """`bicubic 26.12 dB  SSIM 0.7450, srgan-x4 27.50 dB  SSIM 0.7900`."""
        names = {"bicubic": "bicubic", "model": self.model_name}
        return ", ".join(f"{names[kind]} {_told(one)}" for kind, one in found.items())

    def _truth(self, source: Path, low_res: Tensor, upscaler: Upscaler) -> Tensor:
        """The true picture of an input, of the size that this has enlarged."""
        assert self.true is not None
        path = self.true if self.true.is_file() else _named_alike(self.true, source, self.source)
        return fitting(images.from_pil(decode_first(read(path), str(path)).picture), low_res, upscaler, f" {path}")


def check_true(wish: EnlargeConfig, place: Path) -> None:
    """Raises `UsageError` where `place`, of `--true`, is not of the kind that `-i` is."""
    assert wish.input is not None
    if not place.exists():
        raise UsageError(f"--true {place}: does not exist")
    if place.is_dir() and not Path(wish.input).expanduser().is_dir():
        return  # a folder has it by its name
    if place.is_file() and Path(wish.input).expanduser().is_dir():
        raise UsageError(f"--true {place}: must be a folder, as -i {wish.input} is one")


def _named_alike(folder: Path, source: Path, inputs: Path) -> Path:
    """The picture in a folder that is called as an input is, whatever its ending, in the same subfolder."""
    below = source.relative_to(inputs).parent if inputs != source else Path()
    try:
        found = sorted(p for p in (folder / below).iterdir() if p.stem == source.stem and is_image(p.name))
    except OSError as error:
        raise DataError(os_problem(f"--true {folder / below}", "listed", error)) from None
    if len(found) != 1:
        several = f"several pictures named {source.stem} ({few([p.name for p in found])})"
        raise DataError(f"--true {folder / below}: has {several if found else f'no picture named {source.stem}'}")
    return found[0]


def name_of(file: Path) -> str:
    """What a model is called in captions: as it comes along, else as its run, or its file where that is called otherwise."""
    return pretrained.pretrained_name(file) or (
        file.resolve().parent.name if file.name == "ckpt.safetensors" else file.stem
    )


def fitting(truth: Tensor, low_res: Tensor, upscaler: Upscaler, path: str = "") -> Tensor:
    """A true picture, uint8 `[C, H, W]`, cut to whole steps of the scale. Raises `DataError` where that is not the size of
    the enlarged one."""
    scale = upscaler.variant.scale
    truth = whole_steps(truth, scale)
    height, width = (side * scale for side in low_res.shape[1:])
    if truth.shape[1:] != (height, width):
        has, wanted = f"{truth.shape[2]}×{truth.shape[1]}", f"{width}×{height}"
        raise DataError(f"--true{path}: {has} pixels, where the picture enlarged {scale} times has {wanted}")
    return truth


@dataclass(frozen=True)
class Compared:
    """Images side by side. `figures`: PSNR and SSIM of `"bicubic"` and `"model"`; empty without a true image."""

    image: Image.Image
    figures: dict[str, Likeness]


def compared(upscaler: Upscaler, low_res: Tensor, truth: Tensor | None, model_name: str) -> Compared:
    """A picture, uint8 `[C, h, w]`, as it is with each pixel enlarged, by bicubic interpolation, by the model and as it
    truly is, side by side; and how near the second (`bicubic`) and third (`model`) are to the fourth."""
    scale = upscaler.variant.scale
    made = {"bicubic": bicubic(low_res, scale), "model": upscaler.enlarge(low_res)}
    found: dict[str, Likeness] = {}
    if truth is not None:
        try:
            found = {kind: likeness(*_of_one_kind(pixels, truth), scale) for kind, pixels in made.items()}
        except ValueError as error:
            raise UsageError(f"--true: {error}") from None
    # "x": the font that comes with Pillow has no "×".
    panels = [Panel(images.to_pil(low_res, scale), "input", f"{low_res.shape[2]}x{low_res.shape[1]} pixels")]
    for kind, name in (("bicubic", "bicubic"), ("model", model_name)):
        panels.append(Panel(images.to_pil(made[kind]), name, _told(found.get(kind))))
    if truth is not None:
        panels.append(Panel(images.to_pil(truth), "true"))
    return Compared(laid_out(panels), found)


def _of_one_kind(pixels: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Both in colour where one is."""
    channels = max(len(pixels), len(truth))
    return pixels.expand(channels, -1, -1), truth.expand(channels, -1, -1)


def _told(found: Likeness | None) -> str:
    if found is None:
        return ""
    psnr = f"{found.psnr:.2f} dB" if math.isfinite(found.psnr) else "equal"
    return f"{psnr}  SSIM {found.ssim:.4f}"


def laid_out(panels: list[Panel]) -> Image.Image:
    """Panels side by side on white, each under its caption."""
    height = max(panel.picture.height for panel in panels)
    letters = max(SMALLEST_LETTERS, min(LARGEST_LETTERS, height // 12))
    font = ImageFont.load_default(letters)
    widths = [
        max(panel.picture.width, *(math.ceil(font.getlength(line)) for line in (panel.name, panel.figures)))
        for panel in panels
    ]
    line = round(letters * 1.3)
    top = MARGIN + LINES * line + MARGIN
    mode = "L" if all(panel.picture.mode == "L" for panel in panels) else "RGB"
    white = 255 if mode == "L" else (255, 255, 255)
    canvas = Image.new(mode, (sum(widths) + MARGIN * (len(panels) + 1), top + height + MARGIN), white)
    pen, left = ImageDraw.Draw(canvas), MARGIN
    for panel, width in zip(panels, widths, strict=True):
        canvas.paste(panel.picture.convert(mode), (left, top))
        for index, words in enumerate((panel.name, panel.figures)):
            pen.text((left, MARGIN + index * line), words, fill=0 if mode == "L" else (0, 0, 0), font=font)
        left += width + MARGIN
    return canvas
