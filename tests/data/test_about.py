"""What a file says about its picture: kept where it is sound and fits, told where it is lost."""

import io
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from gancli import images
from gancli.data.about import MAX_PNG_PROFILE, About, read_about
from gancli.data.decode import decode, decode_layers
from gancli.data.formats import GREY_MODES

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:rights="mine" tiff:Orientation="6" '
    b'exif:PixelXDimension="8"><tiff:ImageWidth>8</tiff:ImageWidth></rdf:Description></x:xmpmeta>'
)


def camera() -> Image.Exif:
    """As a camera held upright writes it, with a thumbnail."""
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
        ExifTags.Base.ExifImageHeight: 6,
        ExifTags.Base.SubjectLocation: (4, 3),
        ExifTags.IFD.Interop: {1: "R98"},
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (47.0, 22.0, 0.5)}
    read = Image.Exif()
    read.load(exif.tobytes())
    return read


def file(kind: str = "JPEG", mode: str = "RGB", **told: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((8, 6), 60).convert(mode).save(buffer, kind, **told)
    return buffer.getvalue()


def about(data: bytes) -> About:
    return decode_layers(data, "x").about


def written(told: About, suffix: str, size: tuple[int, int] = (24, 32)) -> Image.Image:
    """A picture with what `told` says of it, written and read again."""
    picture = Image.new("RGB", size)
    picture.info.update(told.for_file(suffix).of_size(*size).info())
    opened = Image.open(io.BytesIO(images.encode(picture, suffix)))
    opened.load()
    return opened


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_is_kept_as_of_an_upright_picture_of_the_new_size(kind: str, suffix: str) -> None:
    told = about(file(kind, exif=camera()))
    assert told.lost == ()
    exif = written(told, suffix).getexif()
    assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.Copyright]) == ("Canon", "me")
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert ExifTags.Base.ImageWidth not in exif
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert (ExifTags.IFD.Interop in details) == (kind != "TIFF")  # Pillow does not write it right in a TIFF
    assert details[ExifTags.Base.DateTimeOriginal] == "2026:11:26 10:00:00"
    assert float(details[ExifTags.Base.ExposureTime]) == 0.008
    assert (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]) == (24, 32)
    assert ExifTags.Base.SubjectLocation not in details
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (47.0, 22.0, 0.5)


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
    opened = written(about(file(exif=exif)), ".jpg")
    assert opened.getexif().get_ifd(ExifTags.IFD.IFD1) == {}
    assert opened.getexif()[ExifTags.Base.Make] == "Canon"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_the_resolution_stays(kind: str, suffix: str) -> None:
    opened = written(about(file(kind, dpi=(300, 200))), suffix)
    if suffix == ".webp":
        exif = opened.getexif()
        found = (float(exif[0x011A]), float(exif[0x011B]))
        assert exif[0x0128] == 2
    else:
        found = opened.info["dpi"]
    assert found == pytest.approx((300, 200), abs=0.1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_xmp_is_kept_without_what_says_how_the_original_lay(kind: str, suffix: str) -> None:
    kept = written(about(file(kind, xmp=XMP)), suffix).info["xmp"]
    assert b'dc:rights="mine"' in kept
    for gone in (b"Orientation", b"PixelXDimension", b"ImageWidth"):
        assert gone not in kept


def test_comments_are_kept() -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", "Åsa")
    notes.add_text("Comment", "三月 ☀")
    notes.add_text("Thumb::Size", "8")
    told = about(file("PNG", pnginfo=notes))
    assert getattr(written(told, ".png"), "text", None) == {"Author": "Åsa", "Comment": "三月 ☀"}
    assert written(told, ".jpg").info["comment"].decode() == "三月 ☀"
    assert getattr(written(about(file(comment=b"caf\xe9")), ".png"), "text", None) == {"Comment": "café"}


def large_profile() -> bytes:
    size = MAX_PNG_PROFILE + 500_000
    return size.to_bytes(4, "big") + SRGB[4:] + bytes(size - len(SRGB))


def test_a_profile_that_readers_refuse_is_left_out_of_png_and_told() -> None:
    told = about(file(icc_profile=large_profile()))
    assert "icc_profile" not in written(told, ".png").info
    [words] = told.for_file(".png").lost
    assert "1.5 MB" in words
    for suffix in (".jpg", ".webp"):
        assert told.for_file(suffix).lost == ()
        assert written(told, suffix).info["icc_profile"] == large_profile()


@pytest.mark.parametrize(
    "profile",
    [b"none at all", SRGB[:200], LAB, SRGB[:36] + b"xxxx" + SRGB[40:]],
    ids=["short", "cut", "lab", "unsigned"],
)
def test_what_is_no_profile_of_such_a_picture_is_left_out_and_told(profile: bytes) -> None:
    told = about(file(icc_profile=profile))
    assert told.profile is None
    assert "colour profile" in told.lost[0]


def test_a_colour_profile_on_a_grey_picture_is_none_for_it() -> None:
    assert about(file("PNG", "L", icc_profile=SRGB)).profile is None
    assert about(file("PNG", "P", icc_profile=SRGB)).profile == SRGB


def test_exif_that_is_too_much_for_a_jpeg_is_left_out_and_told() -> None:
    exif = camera()
    exif[ExifTags.Base.ImageDescription] = "x" * 70_000
    told = about(file("PNG", exif=exif))
    assert "EXIF" in told.for_file(".jpg").lost[0]
    assert len(written(told, ".jpg").getexif()) == 0
    assert written(told, ".png").getexif()[ExifTags.Base.ImageDescription] == "x" * 70_000


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Truncated")
def test_broken_exif_costs_the_exif_and_not_the_picture() -> None:
    for exif in (b"Exif\0\0nonsense", b"Exif\0\0" + camera().tobytes()[6:30], b"Exif\0\0II*\0\xff\xff\xff\x7f"):
        data = file(exif=exif)
        layers = decode_layers(data, "x")
        assert layers.colour.size == decode(data, "x").size == (8, 6)
        written(layers.about, ".jpg")


def test_absurd_resolutions_are_none() -> None:
    for dpi in ((0.0, 0.0), (1e9, 1e9), (float("nan"), 72), "72", None, (72,)):
        image = Image.new("L", (1, 1))
        image.info["dpi"] = dpi
        assert read_about(image, image.mode in GREY_MODES).dpi is None
