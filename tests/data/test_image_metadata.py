"""Metadata of images: kept if it is whole and fits, else left out and reported."""

import io
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms

from gancli import images
from gancli.data.decode import ImageLayers, decode, decode_layers
from gancli.data.image_metadata import MAX_PROFILE_BYTES, NO_EXIF, NO_PROFILE, read_metadata

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
LARGE = (MAX_PROFILE_BYTES + 1).to_bytes(4, "big") + SRGB[4:] + bytes(MAX_PROFILE_BYTES + 1 - len(SRGB))


def camera() -> Image.Exif:
    """As a camera held upright writes it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Copyright] = "me"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.ImageWidth] = 8
    exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = 240.0
    exif[ExifTags.Base.ResolutionUnit] = 2
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: "2026:11:26 10:00:00",
        ExifTags.Base.ExposureTime: 0.008,
        ExifTags.Base.ExifImageWidth: 8,
        ExifTags.Base.SubjectLocation: (4, 3),
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (47.0, 22.0, 0.5)}
    read = Image.Exif()
    read.load(exif.tobytes())
    return read


def file(kind: str = "JPEG", mode: str = "RGB", **info: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((8, 6), 60).convert(mode).save(buffer, kind, **info)
    return buffer.getvalue()


def layers(data: bytes) -> ImageLayers:
    return decode_layers(data, "x")


def written(data: bytes, suffix: str) -> Image.Image:
    """An enlarged image with the metadata of an encoded one, written and read again."""
    picture = Image.new("RGB", (24, 32))
    picture.info.update(layers(data).info)
    opened = Image.open(io.BytesIO(images.encode(picture, suffix)))
    opened.load()
    return opened


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_is_kept_as_of_an_upright_picture_of_any_size(kind: str, suffix: str) -> None:
    data = file(kind, exif=camera())
    assert layers(data).remarks == ()
    exif = written(data, suffix).getexif()
    assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.Copyright]) == ("Canon", "me")
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.DateTimeOriginal] == "2026:11:26 10:00:00"
    assert float(details[ExifTags.Base.ExposureTime]) == 0.008
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (47.0, 22.0, 0.5)
    assert ExifTags.Base.ImageWidth not in exif
    assert not {ExifTags.Base.ExifImageWidth, ExifTags.Base.SubjectLocation} & set(details)


def test_a_thumbnail_is_left_out() -> None:
    bare = camera().tobytes()
    ended = bare[6:]
    exif = b"Exif\0\0" + ended  # a second directory of a thumbnail, linked from the first
    count = int.from_bytes(ended[8:10], "big")
    link = 6 + 10 + 12 * count
    thumbnail = file("JPEG")
    second = (2).to_bytes(2, "big")
    second += (0x0201).to_bytes(2, "big") + (4).to_bytes(2, "big") + (1).to_bytes(4, "big")
    second += (len(ended) + 30).to_bytes(4, "big")
    second += (0x0202).to_bytes(2, "big") + (4).to_bytes(2, "big") + (1).to_bytes(4, "big")
    second += len(thumbnail).to_bytes(4, "big") + bytes(4)
    exif = exif[:link] + len(ended).to_bytes(4, "big") + exif[link + 4 :] + second + thumbnail
    with Image.open(io.BytesIO(file(exif=exif))) as image:
        assert 0x0201 in image.getexif().get_ifd(ExifTags.IFD.IFD1), "the test's own picture has one"
    opened = written(file(exif=exif), ".jpg")
    assert opened.getexif().get_ifd(ExifTags.IFD.IFD1) == {}
    assert opened.getexif()[ExifTags.Base.Make] == "Canon"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_the_resolution_and_the_colour_profile_stay(kind: str) -> None:
    for suffix in (".png", ".jpg"):
        opened = written(file(kind, dpi=(300, 200), icc_profile=SRGB), suffix)
        assert opened.info["dpi"] == pytest.approx((300, 200), abs=0.1)
        assert opened.info["icc_profile"] == SRGB
    assert written(file(kind, icc_profile=SRGB), ".webp").info["icc_profile"] == SRGB


@pytest.mark.parametrize(
    "profile",
    [b"none at all", SRGB[:200], LAB, SRGB[:36] + b"xxxx" + SRGB[40:], LARGE],
    ids=["short", "cut", "lab", "unsigned", "large"],
)
def test_what_is_no_profile_of_such_a_picture_is_left_out_and_told(profile: bytes) -> None:
    found = layers(file(icc_profile=profile))
    assert (dict(found.info), found.remarks) == ({}, (NO_PROFILE,))


def test_a_colour_profile_on_a_grey_picture_is_none_for_it() -> None:
    assert "icc_profile" not in layers(file("PNG", "L", icc_profile=SRGB)).info
    assert layers(file("PNG", "P", icc_profile=SRGB)).info["icc_profile"] == SRGB


def test_exif_that_is_too_much_for_a_jpeg_is_left_out_and_told() -> None:
    exif = camera()
    exif[ExifTags.Base.ImageDescription] = "x" * 70_000
    data = file("PNG", exif=exif)
    assert layers(data).remarks == (NO_EXIF,)
    assert len(written(data, ".jpg").getexif()) == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Truncated")
def test_broken_exif_costs_the_exif_and_not_the_picture() -> None:
    for exif in (b"Exif\0\0nonsense", b"Exif\0\0" + camera().tobytes()[6:30], b"Exif\0\0II*\0\xff\xff\xff\x7f"):
        data = file(exif=exif)
        assert layers(data).colour.size == decode(data, "x").size == (8, 6)
        written(data, ".jpg")


def test_absurd_resolutions_are_none() -> None:
    for dpi in ((0.0, 0.0), (1e9, 1e9), (float("nan"), 72), "72", None, (72,)):
        image = Image.new("L", (1, 1))
        image.info["dpi"] = dpi
        assert "dpi" not in read_metadata(image, grey=True)[0]
