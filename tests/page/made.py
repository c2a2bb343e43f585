"""Runs for the tests of pages: written here, not trained."""

import json
import math
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image

CONFIG = 'variant = "vanilla"\npreset = "default"\ndataset = "digits"\nsteps = 100\nseed = 3\n[vanilla]\nwidth = 16\n'
HOSTILE = "<script>alert('x')</script>&\"\x1b[2J\u202e</style>"


def row(step: int, **terms: object) -> dict[str, Any]:
    head = {"step": step, "epoch": step / 50, "phase": "train"}
    tail = {"images_per_s": 900.0 + step, "elapsed_s": step / 10, "memory_bytes": 10**8}
    return {**head, "d_loss": 1.4 - step / 200, "g_loss": 0.7 + math.sin(step / 9) / 9, "d_real": 0.6, "d_fake": 0.4, **tail,
            **terms}  # fmt: skip


def evaluation(step: int, **more: object) -> dict[str, Any]:
    return {
        "step": step, "time": "2026-11-27T11:03:44.123Z", "evaluated_on": "digits", "n": 2000, "split": "test",
        "figures": {"frechet distance": 41.234}, "errors": {"frechet distance": 0.51}, "real": {"frechet distance": 15.1},
        **more,
    }  # fmt: skip


def run(
    place: Path,
    rows: Iterable[Mapping[str, Any]] | None = None,
    config: str = CONFIG,
    log: Iterable[Mapping[str, Any]] = (),
    samples: Iterable[int] = (10, 50, 100),
    side: int = 20,
) -> Path:
    """A run directory of a run of 100 steps, by default with a row each 10."""
    (place / "samples").mkdir(parents=True)
    (place / "config.toml").write_text(config, "utf-8")
    rows = [row(step) for step in range(10, 101, 10)] if rows is None else rows
    (place / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (place / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in log))
    for step in samples:
        Image.new("L", (side, side), step % 256).save(place / "samples" / f"step-{step:08d}.png")
    return place


class Seen(HTMLParser):
    """The elements and the text of a page. `texts`: by the element that text stands in."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ""
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open, data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        """What is read, without the script and the style."""
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("script", "style")).split())

    @property
    def data(self) -> Any:
        """What the script draws from."""
        (found,) = (text for tag, text in self.texts if tag == "script" and text.startswith("{"))
        return json.loads(found)
