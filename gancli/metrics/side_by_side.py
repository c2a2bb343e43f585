"""The image that `gan sample -i … --compare` writes: input, bicubic, model and, if given, the original, side by side under
captions, with PSNR and SSIM as in `gan evaluate`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancli import images
from gancli.config.sample import EnlargeConfig
from gancli.data.decode import add_remarks, decode, decode_image, read_shape
from gancli.data.formats import is_image
from gancli.errors import DataError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.metrics.super_resolution import Similarity, bicubic, crop_to_multiple, similarity
from gancli.sampling.enlarge import Remarks, check_side, read_image
from gancli.sampling.jobs import Job
from gancli.sampling.upscale import Upscaler, check_memory
from gancli.text import few

MARGIN = 8  # pixels around panels and captions
MIN_FONT, MAX_FONT = 12, 28  # pixels
LINES = 2  # of a caption: a name and metrics


@dataclass
class Comparer:
    """Makes the comparison of each image. `model_name` is for captions; `true` is an image, or a folder with an image for
    each below `source`. `measured`: the metrics of `"bicubic"` and `"model"`, by input."""

    model_name: str
    source: Path
    true: Path | None = None
    measured: dict[str, dict[str, Similarity]] = field(default_factory=dict)

    def make(self, upscaler: Upscaler, job: Job, suffix: str, remarks: Remarks, emit: Emit) -> Image.Image:
        """Return the comparison of one image. Raises `DataError` and `UsageError`."""
        name = str(job.source)
        data = read_image(job)
        width, height, pixel_bytes = read_shape(data, name)
        check_memory(upscaler, (width * (4 if self.true else 3), height, pixel_bytes), suffix, name)
        first = decode_image(data, name)
        add_remarks(remarks, first.remarks, job.source.name)
        low_res = images.from_pil(first.image)
        truth = None if self.true is None else self._original(self.true, job.source, low_res, upscaler)
        emit(Preparing(f"comparing {job.source.name}", 0, 0, "files"))
        result = make_side_by_side(upscaler, low_res, truth, self.model_name)
        check_side(result.image.size, suffix, job)
        if result.figures:
            self.measured[name] = result.figures
        return result.image

    def means(self) -> dict[str, Similarity]:
        """Return the mean metrics of `"bicubic"` and `"model"`."""
        found = list(self.measured.values())
        return {
            kind: Similarity(
                *(sum(values) / len(found) for values in zip(*(each[kind] for each in found), strict=True))
            )
            for kind in (sorted(found[0]) if found else ())
        }

    def describe(self, found: Mapping[str, Similarity]) -> str:
        """Return `bicubic 26.12 dB  SSIM 0.7450, srgan-x4 27.50 dB  SSIM 0.7900`."""
        names = {"bicubic": "bicubic", "model": self.model_name}
        return ", ".join(f"{names[kind]} {_text(one)}" for kind, one in found.items())

    def _original(self, true: Path, source: Path, low_res: Tensor, upscaler: Upscaler) -> Tensor:
        path = true if true.is_file() else _same_stem(true, source, self.source)
        job = Job(path, path)
        return crop_original(images.from_pil(decode(read_image(job), str(path))), low_res, upscaler, f" {path}")


def check_true(config: EnlargeConfig, place: Path) -> None:
    """Raises `UsageError` if `place`, of `--true`, does not exist, or is a file while `-i` is a folder."""
    if not place.exists():
        raise UsageError(f"--true {place}: does not exist")
    if place.is_file() and Path(str(config.input)).expanduser().is_dir():
        raise UsageError(f"--true {place}: must be a folder, as -i {config.input} is one")


def _same_stem(folder: Path, source: Path, inputs: Path) -> Path:
    """Return the image in `folder` with the name of an input, in the same subfolder; its suffix may differ."""
    folder /= source.relative_to(inputs).parent if inputs != source else Path()
    try:
        found = sorted(p for p in folder.iterdir() if p.stem == source.stem and is_image(p.name))
    except OSError as error:
        raise DataError(os_problem(f"--true {folder}", "listed", error)) from None
    if len(found) != 1:
        several = f"several images named {source.stem} ({few([p.name for p in found])})"
        raise DataError(f"--true {folder}: has {several if found else f'no image named {source.stem}'}")
    return found[0]


def crop_original(truth: Tensor, low_res: Tensor, upscaler: Upscaler, path: str = "") -> Tensor:
    """Crop an original, uint8 `[C, H, W]`, to multiples of the scale. Raises `DataError` if that is not the size of the
    enlarged image."""
    scale = upscaler.variant.scale
    truth = crop_to_multiple(truth, scale)
    height, width = (side * scale for side in low_res.shape[1:])
    if truth.shape[1:] != (height, width):
        has, wanted = f"{truth.shape[2]}×{truth.shape[1]}", f"{width}×{height}"
        raise DataError(f"--true{path}: {has} pixels, but the image enlarged {scale} times has {wanted}")
    return truth


@dataclass(frozen=True)
class SideBySide:
    """Images side by side. `figures`: PSNR and SSIM of `"bicubic"` and `"model"`; empty without a true image."""

    image: Image.Image
    figures: dict[str, Similarity]


def make_side_by_side(upscaler: Upscaler, low_res: Tensor, truth: Tensor | None, model_name: str) -> SideBySide:
    """Return an image, uint8 `[C, h, w]`, with its pixels enlarged, by bicubic interpolation, by the model, and its original
    `truth`, side by side. Raises `UsageError` for an original that is too small to measure."""
    scale = upscaler.variant.scale
    enlarged = {"bicubic": bicubic(low_res, scale), "model": upscaler.enlarge(low_res)}
    found: dict[str, Similarity] = {}
    if truth is not None:
        channels = max(len(low_res), len(truth))  # in colour if one of them is
        try:
            for kind, pixels in enlarged.items():
                found[kind] = similarity(pixels.expand(channels, -1, -1), truth.expand(channels, -1, -1), scale)
        except ValueError as error:
            raise UsageError(f"--true: {error}") from None
    # "x", because Pillow's font has no "×".
    panels = [(images.to_pil(low_res, scale), "input", f"{low_res.shape[2]}x{low_res.shape[1]} pixels")]
    for kind, name in (("bicubic", "bicubic"), ("model", model_name)):
        panels.append((images.to_pil(enlarged[kind]), name, _text(found[kind]) if found else ""))
    if truth is not None:
        panels.append((images.to_pil(truth), "true", ""))
    return SideBySide(_side_by_side(panels), found)


def _text(found: Similarity) -> str:
    psnr = f"{found.psnr:.2f} dB" if math.isfinite(found.psnr) else "equal"
    return f"{psnr}  SSIM {found.ssim:.4f}"


def _side_by_side(panels: list[tuple[Image.Image, str, str]]) -> Image.Image:
    """Lay images out in a row on white, each below the two lines of its caption."""
    height = max(image.height for image, *_ in panels)
    font_size = max(MIN_FONT, min(MAX_FONT, height // 12))
    font, line = ImageFont.load_default(font_size), round(font_size * 1.3)
    widths = [max(image.width, *(math.ceil(font.getlength(text)) for text in caption)) for image, *caption in panels]
    top = MARGIN + LINES * line + MARGIN
    mode = "L" if all(image.mode == "L" for image, *_ in panels) else "RGB"
    canvas = Image.new(mode, (sum(widths) + MARGIN * (len(panels) + 1), top + height + MARGIN), "white")
    draw, left = ImageDraw.Draw(canvas), MARGIN
    for (image, *caption), width in zip(panels, widths, strict=True):
        canvas.paste(image.convert(mode), (left, top))
        for index, text in enumerate(caption):
            draw.text((left, MARGIN + index * line), text, fill="black", font=font)
        left += width + MARGIN
    return canvas
