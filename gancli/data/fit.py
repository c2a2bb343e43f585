"""How a picture that is not square becomes one."""

from typing import Literal

from PIL import Image

Fit = Literal["crop", "pad", "stretch"]


def square(image: Image.Image, size: int, fit: Fit = "crop") -> Image.Image:
    """An image of mode L or RGB as a square of `size` pixels, antialiased: its centre; or all of it, between two bars; or
    all of it, its sides stretched to one length."""
    if fit == "stretch":
        return _resized(image, size, size)
    if fit == "pad":
        width, height = (max(1, round(size * side / max(image.size))) for side in image.size)
        return _padded(_resized(image, width, height), size)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    centre = image.crop((left, top, left + side, top + side))  # first, so that nothing outside bleeds in
    return _resized(centre, size, size)


def no_effect(fit: Fit) -> str:
    """What to warn of where it has none."""
    return f"--fit {fit}: changes nothing, as all the pictures are squares"


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.LANCZOS)


def _padded(image: Image.Image, size: int) -> Image.Image:
    """An image with one side of `size`, in the middle of a square. Each bar has the mean colour of the edge that it lies at,
    so that a plain background goes on: in black, G would learn to draw frames."""
    (width, height), whole = image.size, Image.new(image.mode, (size, size))
    left, top = (size - width) // 2, (size - height) // 2
    if width < size:
        bars = (((0, 0, 1, height), (0, 0, left, size)), ((width - 1, 0, width, height), (left, 0, size, size)))
    else:
        bars = (((0, 0, width, 1), (0, 0, size, top)), ((0, height - 1, width, height), (0, top, size, size)))
    for edge, bar in bars:
        if bar[2] and bar[3]:
            whole.paste(image.crop(edge).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) or 0, bar)
    whole.paste(image, (left, top))
    return whole
