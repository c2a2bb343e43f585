"""Folders and zips of images: every mode, size and orientation, decoded once."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gancli.data.decode import decode, layers_of, read_head
from gancli.data.folder import open_folder
from gancli.data.opening import open_source
from gancli.data.source import Source
from gancli.errors import DataError
from gancli.events import Event, Warned
from tests.conftest import heard


def opened(
    path: Path, root: Path, size: int | None = None, bad: Literal["fail", "skip"] = "fail"
) -> tuple[Source, list[Event]]:
    """The source of a folder, and the events on the way."""
    return heard(open_folder(path, root, size, bad))


def encoded(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def sixteen_bit(value: int) -> bytes:
    return encoded(Image.frombytes("I;16", (8, 8), value.to_bytes(2, "little") * 64))


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two classes of colour squares: 3 cats, 2 dogs."""
    for name, count, colour in (("cat", 3, "red"), ("dog", 2, "blue")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (16, 16), colour).save(tmp_path / "pets" / name / f"{index}.png")
    return tmp_path / "pets"


def test_subfolders_are_classes(classes: Path, tmp_path: Path) -> None:
    source, _ = opened(classes, tmp_path)
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [0, 0, 0, 1, 1]
    assert source.images.shape == (5, 3, 16, 16)
    assert source.images[0, :, 0, 0].tolist() == [255, 0, 0]
    assert source.images[4, :, 0, 0].tolist() == [0, 0, 255]


def test_a_zip_gives_what_its_folder_gives(classes: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in sorted(classes.rglob("*.png"), reverse=True):
            archive.write(path, path.relative_to(classes))
        archive.writestr("__MACOSX/cat/._0.png", b"shadow")
        archive.writestr(".hidden.png", b"hidden")
        archive.writestr("notes.txt", b"text")
    folder, _ = opened(classes, tmp_path)
    archived, _ = opened(tmp_path / "pets.zip", tmp_path)
    assert torch.equal(folder.images, archived.images)
    assert (folder.class_names, folder.name) == (archived.class_names, archived.name)


def test_images_without_subfolders_have_no_labels(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    Image.new("L", (8, 8), 9).save(tmp_path / "flat" / "a.png")
    source, _ = opened(tmp_path / "flat", tmp_path)
    assert source.class_names == ()
    assert source.spec.num_classes == 0


def test_the_second_time_nothing_is_decoded(classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, events = opened(classes, tmp_path)
    assert events
    monkeypatch.setattr("gancli.data.folder.decode_first", None)
    again, events = opened(classes, tmp_path)
    assert events == []
    assert torch.equal(first.images, again.images)
    assert first.class_names == again.class_names


def test_a_changed_file_is_decoded_anew(classes: Path, tmp_path: Path) -> None:
    opened(classes, tmp_path)
    Image.new("RGB", (16, 16), "lime").save(classes / "cat" / "0.png")
    source, _ = opened(classes, tmp_path)
    assert source.images[0, :, 0, 0].tolist() == [0, 255, 0]


def test_a_damaged_cache_is_rebuilt(classes: Path, tmp_path: Path) -> None:
    first, _ = opened(classes, tmp_path)
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    again, _ = opened(classes, tmp_path)
    assert torch.equal(first.images, again.images)
    (description,) = (tmp_path / "cache").glob("*.json")
    description.write_text(json.dumps({"shape": [5, 3, 16], "labels": "x", "class_names": 3}))
    again, _ = opened(classes, tmp_path)
    assert torch.equal(first.images, again.images)


def test_a_data_root_that_cannot_be_written_is_only_a_warning(classes: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    source, events = opened(classes, tmp_path / "file")
    assert len(source.images) == 5
    assert any("cannot be written" in e.message for e in events if isinstance(e, Warned))


def test_closing_early_leaves_nothing_behind(classes: Path, tmp_path: Path) -> None:
    opening = open_folder(classes, tmp_path, None, "fail")
    next(opening)
    opening.close()
    assert not list((tmp_path / "cache").iterdir()) if (tmp_path / "cache").exists() else True


def test_sixteen_bit_grey_keeps_its_range() -> None:
    for value, expected in ((0, 0), (257 * 100, 100), (32768, 128), (65535, 255)):
        assert decode(sixteen_bit(value), "x").getpixel((3, 3)) == expected


def test_the_camera_was_held_upright() -> None:
    photo = Image.new("RGB", (8, 4), "black")
    photo.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to view
    data = encoded(photo, exif=exif.tobytes())
    head = read_head(data, "x")
    assert (head.width, head.height) == (4, 8)
    upright = decode(data, "x")
    assert upright.size == (4, 8)
    assert upright.getpixel((3, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_every_mode_becomes_grey_or_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "YCbCr", "I", "F", "I;16") else "PNG"
    image = Image.new("RGB", (6, 5), "red").convert(mode) if mode == "HSV" else Image.new(mode, (6, 5))
    data = encoded(image.convert("RGB") if mode == "HSV" else image, kind)
    assert decode(data, "x").mode in ("L", "RGB")


def test_alpha_lies_on_white() -> None:
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert decode(encoded(half), "x").getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert decode(encoded(palette, transparency=1), "x").getpixel((0, 0)) == (255, 255, 255)


def white_disc(mode: str) -> Image.Image:
    """A white disc on black that is transparent."""
    disc = Image.radial_gradient("L").resize((32, 32)).point(lambda value: 255 if value < 150 else 0)
    if mode in ("LA", "La", "RGBA", "RGBa"):
        straight = Image.merge("LA", (disc, disc)).convert("RGBA" if mode.startswith("RGB") else "LA")
        return straight if mode.endswith("A") else straight.convert(mode)
    if mode == "PA":
        return Image.merge("LA", (disc, disc)).convert("RGBA").quantize(2).convert("PA")
    image = disc.convert("I").point(lambda value: value * 257).convert("I;16") if mode == "I;16" else disc.convert(mode)
    image.info["transparency"] = (0, 0, 0) if mode == "RGB" else 0
    return image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "I;16"])
def test_colour_under_transparency_is_that_of_what_is_visible_around_it(mode: str) -> None:
    layers = layers_of(white_disc(mode))
    assert layers.alpha is not None
    assert layers.alpha.getextrema() == (0, 255)
    assert set(layers.colour.tobytes()) == {255}


def test_visible_colours_stay_as_they_are() -> None:
    image = Image.merge("RGBA", [Image.effect_noise((33, 21), 90) for _ in range(4)])
    colour = layers_of(image).colour
    where = [n for n, value in enumerate(image.getchannel("A").tobytes()) if value > 31]
    before, after = image.convert("RGB").tobytes(), colour.tobytes()
    assert all(before[3 * n : 3 * n + 3] == after[3 * n : 3 * n + 3] for n in where)
    assert layers_of(Image.new("RGBA", (5, 1))).colour.size == (5, 1)


def test_transparency_and_more_than_8_bits_are_told_once_for_all(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for index in range(3):
        white_disc("RGBA").save(tmp_path / "f" / f"clear{index}.png")
        (tmp_path / "f" / f"deep{index}.png").write_bytes(sixteen_bit(500))
        Image.new("RGBA", (8, 8), "red").save(tmp_path / "f" / f"opaque{index}.png")
    expected = [
        "3 images with transparency: composited on white (clear0.png, clear1.png, clear2.png)",
        "3 images with more than 8 bits per channel: reduced to 8 bits (deep0.png, deep1.png, deep2.png)",
    ]
    for _ in range(2):  # the second time from the cache
        assert [e.message for e in opened(tmp_path / "f", tmp_path)[1] if isinstance(e, Warned)] == expected


def test_an_all_grey_folder_has_one_channel_and_one_colour_picture_makes_three(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    Image.new("L", (8, 8), 9).save(tmp_path / "f" / "a.png")
    (tmp_path / "f" / "b.png").write_bytes(sixteen_bit(500))
    assert opened(tmp_path / "f", tmp_path)[0].images.shape == (2, 1, 8, 8)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "f" / "c.png")
    assert opened(tmp_path / "f", tmp_path)[0].images.shape == (3, 3, 8, 8)


def test_mixed_sizes_are_cropped_to_the_centre_and_resized(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    wide = Image.new("RGB", (40, 20), "red")
    wide.paste("lime", (10, 0, 30, 20))
    wide.save(tmp_path / "f" / "a.png")
    Image.new("RGB", (9, 30), "blue").save(tmp_path / "f" / "b.jpg")
    source, _ = opened(tmp_path / "f", tmp_path)
    assert source.images.shape == (2, 3, 64, 64)
    assert (source.images[0, 1] > 200).all()  # only the green middle is left
    assert opened(tmp_path / "f", tmp_path, 12)[0].images.shape == (2, 3, 12, 12)


def test_an_unreadable_image_is_named_and_can_be_left_out(classes: Path, tmp_path: Path) -> None:
    whole = (classes / "cat" / "1.png").read_bytes()
    (classes / "cat" / "1.png").write_bytes(whole[:-30])
    (classes / "dog" / "zzz.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"(1\.png|zzz\.jpg).*--on-bad-image skip"):
        opened(classes, tmp_path)
    source, events = opened(classes, tmp_path, bad="skip")
    assert source.labels.tolist() == [0, 0, 1, 1]
    (warning,) = (e.message for e in events if isinstance(e, Warned))
    assert "2 unreadable" in warning
    assert "1.png" in warning


def test_a_bomb_is_refused_by_its_header() -> None:
    header = bytearray(encoded(Image.new("1", (8, 8))))
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(DataError, match="x: "):
        read_head(bytes(header), "x")


@settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
def test_a_mangled_image_is_decoded_or_one_error(kind: str, data: st.DataObject) -> None:
    raw = bytearray(encoded(Image.linear_gradient("L").resize((24, 24)).convert("RGB"), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(len(raw) // 2, len(raw))) :]
    try:
        read_head(bytes(raw), "x")
        image = decode(bytes(raw), "x")
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way is right
    else:
        assert image.mode in ("L", "RGB")


@pytest.mark.slow
def test_ten_thousand_jpegs_of_the_colour_zip(tmp_path: Path, mnist_root: Path) -> None:
    archive = mnist_root / "cifar10-test-jpg.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is not there")
    source, _ = opened(archive, tmp_path)
    assert source.images.shape == (10_000, 3, 32, 32)
    assert len(source.class_names) == 10
    assert torch.bincount(source.labels).tolist() == [1000] * 10


def test_a_path_opens_through_the_front_door(classes: Path, tmp_path: Path) -> None:
    source, _ = heard(
        open_source(str(classes), data_root=tmp_path, image_size=None, download=False, on_bad_image="fail")
    )
    assert source.name == "pets"
