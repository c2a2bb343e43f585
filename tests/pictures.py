"""Pictures for tests, and what became of them."""

from pathlib import Path

from PIL import Image


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    return Image.effect_noise(size, 60).convert(mode)


def plain(path: str, size: tuple[int, int] = (8, 8), grey: int = 128) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, grey, grey)).save(path)


def files(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
