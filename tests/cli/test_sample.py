"""`gan sample`: files that other programs open, and images that depend on their seed alone."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import TINY, Gan, gan_process, sha256


def opened(file: "str | Path | io.BytesIO") -> Image.Image:
    """An image file as Pillow reads it, closed again."""
    with Image.open(file) as image:
        image.load()
        return image


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a.PNG", "PNG")])
def test_the_suffix_decides_the_format(gan: Gan, trained: Path, name: str, kind: str) -> None:
    outcome = gan("sample", trained / "ckpt.safetensors", "-n", 64, "-o", name)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{name}\n", "")
    assert (opened(name).format, opened(name).size) == (kind, (8 * 10 - 2, 8 * 10 - 2))


def test_a_directory_gets_one_file_per_image_named_by_seed(gan: Gan, trained: Path, tmp_path: Path) -> None:
    assert gan("sample", trained, "-n", 10, "-o", "out/", "--seed", 7).code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"seed-{seed:06d}.png" for seed in range(7, 17)]
    assert opened(tmp_path / "out" / names[0]).size == (8, 8)


def test_the_image_of_a_seed_depends_on_nothing_else(gan: Gan, trained: Path, tmp_path: Path) -> None:
    for out, *args in (
        ("all", "-n", 40),
        ("few", "-n", 3, "--seed", 21),
        ("one", "-n", 1, "--seed", 22),
        ("small", "-n", 40, "--batch-size", 7),
    ):
        assert gan("sample", trained, "-o", f"{out}/", *args).code == 0
    for other in ("few", "one", "small"):
        for path in (tmp_path / other).iterdir():
            assert sha256(path) == sha256(tmp_path / "all" / path.name), path


def test_a_dash_is_a_png_on_stdout(trained: Path) -> None:
    done = gan_process("sample", trained, "-n", 4, "-o", "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert opened(io.BytesIO(done.stdout)).format == "PNG"


def test_an_npz_holds_images_labels_and_seeds(gan: Gan, trained: Path) -> None:
    assert gan("sample", trained, "-n", 6, "-o", "a.npz", "--seed", 2).code == 0
    with np.load("a.npz", allow_pickle=False) as loaded:
        assert loaded["images"].shape == (6, 8, 8, 1)
        assert loaded["images"].dtype == np.uint8
        assert loaded["seeds"].tolist() == [2, 3, 4, 5, 6, 7]
        assert loaded["labels"].shape == (6,)


@pytest.mark.parametrize("name", ["walk.gif", "walk.webp"])
def test_a_walk_is_an_animation_that_loops(gan: Gan, trained: Path, name: str) -> None:
    assert gan("sample", trained, "-n", 4, "--walk", 2, "-o", name).code == 0
    with Image.open(name) as animation:
        frames = animation.n_frames  # type: ignore[attr-defined]
        assert frames == 32 if name.endswith(".gif") else 16 < frames <= 32  # WebP merges equal frames
        assert animation.info["loop"] == 0
        first = animation.convert("L").tobytes()
        animation.seek(8)
        assert animation.convert("L").tobytes() != first


def test_a_file_that_the_user_names_is_replaced_and_nothing_else_is(gan: Gan, trained: Path) -> None:
    for name in ("samples.png\n", "samples-2.png\n"):
        assert gan("sample", trained, "-n", 1).out == name
    for name in ("grid.png", "a.npz"):
        Path(name).write_bytes(b"mine")
        assert gan("sample", trained, "-n", 1, "-o", name).code == 0
        assert Path(name).read_bytes() != b"mine"
    assert gan("sample", trained, "-n", 2, "-o", "out/").code == 0
    refused = gan("sample", trained, "-n", 3, "-o", "out")
    assert (refused.code, refused.out) == (2, "")
    assert "-o out: already has 2 of these 3 files; choose another directory" in refused.err
    assert len(list(Path("out").iterdir())) == 2
    assert gan("sample", trained, "-n", 2, "--seed", 2, "-o", "out").code == 0


@pytest.mark.usefixtures("toys")
def test_labels_choose_the_class_of_a_conditional_model(gan: Gan, tmp_path: Path) -> None:
    assert gan("train", "-v", "two_phases", *TINY, "--steps", 4, "--out", "run").code == 0
    assert gan("sample", "run", "--label", "0-9", "-n", 20, "-o", "grid.png").code == 0
    assert opened("grid.png").size == (10 * 10 - 2, 2 * 10 - 2)  # a column per class
    assert gan("sample", "run", "--label", "7", "-n", 2, "-o", "seven/").code == 0
    assert sorted(p.name for p in (tmp_path / "seven").iterdir()) == [
        "seed-000000-label-7.png",
        "seed-000001-label-7.png",
    ]
    refused = gan("sample", "run", "--label", "12", "-o", "a.png")
    assert refused.code == 2
    assert "the model knows 0, 1, 2" in refused.err


def test_sampling_needs_neither_the_data_nor_the_run(
    gan: Gan, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((trained / "ckpt.safetensors").read_bytes())
    monkeypatch.setenv("GAN_DATA", str(tmp_path / "absent"))
    shutil.rmtree(trained)
    assert gan("sample", alone, "-n", 2, "-o", "a.png").code == 0
    assert not Path("absent").exists()
