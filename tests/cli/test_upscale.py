"""`gan sample CKPT -i …`: files and folders enlarged."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from gancli import images
from gancli.cli import sample as cli
from gancli.config import paths
from gancli.errors import GancliError
from gancli.files import atomic
from gancli.sampling import upscale
from tests.conftest import Gan, sha256


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    return Image.effect_noise(size, 60).convert(mode)


def test_a_photograph_becomes_four_times_larger(gan: Gan, enlarger: Path) -> None:
    noise("RGB", (20, 12)).save("photo.jpg")
    outcome = gan("sample", enlarger, "-i", "photo.jpg", "-o", "large.png")
    assert (outcome.code, outcome.out) == (0, "large.png\n")
    with Image.open("large.png") as image:
        assert (image.size, image.mode) == ((80, 48), "RGB")


def test_without_a_name_it_lies_beside_the_original_and_overwrites_nothing(gan: Gan, enlarger: Path) -> None:
    noise("L", (8, 8)).save("photo.png")
    assert gan("sample", enlarger, "-i", "photo.png").out == "photo_x4.png\n"
    before = sha256(Path("photo_x4.png"))
    again = gan("sample", enlarger, "-i", "photo.png")
    assert again.code == 2
    assert "there already" in again.err
    assert sha256(Path("photo_x4.png")) == before
    assert gan("sample", enlarger, "-i", "photo.png", "-o", "photo.png").code == 2


def test_alpha_and_colour_profile_are_kept(gan: Gan, enlarger: Path) -> None:
    picture = noise("RGB", (10, 10))
    alpha = Image.linear_gradient("L").resize((10, 10))
    picture.putalpha(alpha)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save("clear.png", icc_profile=profile)
    for name in ("large.png", "large.webp"):
        assert gan("sample", enlarger, "-i", "clear.png", "-o", name).code == 0
        with Image.open(name) as image:
            assert (image.size, image.mode) == ((40, 40), "RGBA")
            expected = alpha.resize((40, 40), Image.Resampling.BICUBIC)
            assert image.getchannel("A").tobytes() == expected.tobytes()
            assert image.info["icc_profile"] == profile
    refused = gan("sample", enlarger, "-i", "clear.png", "-o", "large.jpg")
    assert refused.code == 2
    assert "transparency" in refused.err


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16"])
def test_every_kind_of_picture_is_enlarged(gan: Gan, enlarger: Path, mode: str) -> None:
    name = "photo.tif" if mode in ("CMYK", "I;16") else "photo.png"
    (noise("L", (9, 6)).convert("I").convert("I;16") if mode == "I;16" else noise("L", (9, 6)).convert(mode)).save(name)
    assert gan("sample", enlarger, "-i", name, "-o", "large.png").code == 0
    with Image.open("large.png") as image:
        assert image.size == (36, 24)
        assert image.mode == ("LA" if mode == "LA" else "RGB" if mode in ("P", "CMYK") else "L")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    place = tmp_path / "album"
    (place / "deep" / "er").mkdir(parents=True)
    for name in ("a.jpg", "a.png", "b.png", "deep/c.jpg", "deep/er/d.png"):
        noise("RGB", (8, 8)).save(place / name)
    (place / "notes.txt").write_text("no picture")
    return place


def files(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def test_a_folder_keeps_its_subfolders_and_names(gan: Gan, enlarger: Path, album: Path, tmp_path: Path) -> None:
    flat = gan("sample", enlarger, "-i", album)
    assert (flat.code, flat.out) == (0, f"{album}_x4\n")
    assert files(tmp_path / "album_x4") == ["a.jpg.png", "a.png.png", "b.png"]
    deep = gan("sample", enlarger, "-i", album, "-o", album / "out", "--recursive")
    assert deep.code == 0, deep.err
    assert files(album / "out") == ["a.jpg.png", "a.png.png", "b.png", "deep/c.png", "deep/er/d.png"]
    assert "5/5" in deep.err


def test_what_is_there_is_skipped_or_refused_and_never_overwritten(gan: Gan, enlarger: Path, album: Path) -> None:
    assert gan("sample", enlarger, "-i", album, "-o", "out").code == 0
    Path("out/b.png").write_bytes(b"mine")
    refused = gan("sample", enlarger, "-i", album, "-o", "out")
    assert refused.code == 2
    assert "--skip-existing" in refused.err
    more = gan("sample", enlarger, "-i", album, "-o", "out", "--recursive", "--skip-existing", "--json")
    assert more.code == 0
    document = json.loads(more.out)
    assert [Path(one["output"]).name for one in document["files"]] == ["c.png", "d.png"]
    assert len(document["skipped"]) == 3
    assert Path("out/b.png").read_bytes() == b"mine"


def test_a_bad_file_does_not_stop_the_rest(gan: Gan, enlarger: Path, album: Path) -> None:
    (album / "a.jpg").write_bytes((album / "a.jpg").read_bytes()[:200])
    outcome = gan("sample", enlarger, "-i", album, "-o", "out", "--json")
    assert outcome.code == 3
    assert "1 of 3 pictures failed" in outcome.err
    assert "a.jpg" in outcome.err
    document = json.loads(outcome.out)
    assert (len(document["files"]), list(document["failed"])) == (2, [str(album / "a.jpg")])
    assert files(Path("out")) == ["a.png.png", "b.png"]


def test_usage_is_explained(gan: Gan, enlarger: Path, trained: Path, album: Path) -> None:
    for args, word in (
        (("sample", enlarger, "-n", 4), "-i FILE"),
        (("sample", trained, "-i", album), "reads none"),
        (("sample", enlarger, "-i", "albun"), "did you mean album"),
        (("sample", enlarger, "-i", album, "--label", "3"), "--label 3"),
        (("sample", enlarger, "-i", album, "-o", album), "originals"),
        (("sample", enlarger, "-i", album / "b.png", "-o", "x.npz"), "must end in"),
        (("sample", enlarger, "-i", album, "--tile", 0), "--tile 0"),
    ):
        outcome = gan(*args)
        assert outcome.code == 2, args
        assert word in outcome.err
        assert outcome.err.count("\n") == 1
    (album / "only").mkdir()
    empty = gan("sample", enlarger, "-i", album / "only")
    assert empty.code == 1
    assert "--recursive" in empty.err


def test_samples_of_a_run_show_low_bicubic_sharp_and_true_side_by_side(enlarger: Path) -> None:
    with Image.open(enlarger / "samples" / "step-00000004.png") as image:
        # digits of 28 px: 6 rows of 4 tiles of 28 px (twice the crop would be 32), with gaps of 2
        assert image.size == (4 * 28 + 3 * 2, 6 * 28 + 5 * 2)
        tiles = [image.crop((i * 30, 0, i * 30 + 28, 28)) for i in range(4)]
    assert len({tile.tobytes() for tile in tiles}) >= 3


def plain(path: str, size: tuple[int, int] = (8, 8), grey: int = 128) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, grey, grey)).save(path)


def outputs(text: str) -> dict[str, str]:
    return {one["input"]: one["output"] for one in json.loads(text)["files"]}


def test_like_named_pictures_are_all_written(gan: Gan, enlarger: Path) -> None:
    for width, name in enumerate(("a.jpg", "a.png", "a.jpg.png", "A.png", "a.PNG", "a.webp"), 2):
        plain(f"in/{name}", (width, 3))
    outcome = gan("sample", enlarger, "-i", "in", "-o", "out", "--json")
    assert outcome.code == 0, outcome.err
    found = outputs(outcome.out)
    assert len({name.lower() for name in found.values()}) == len(files(Path("out"))) == 6
    for source, target in found.items():
        with Image.open(source) as small, Image.open(target) as large:
            assert large.size == (small.width * 4, 12)
    again = gan("sample", enlarger, "-i", "in", "-o", "out", "--json", "--skip-existing")
    assert (again.code, len(json.loads(again.out)["skipped"])) == (0, 6)


def test_the_longest_names_are_no_obstacle(gan: Gan, enlarger: Path) -> None:
    for name in ("a" * 251 + ".jpg", "a" * 251 + ".png", "b" * 246 + ".jpeg", "c.png"):
        plain(f"in/{name}")
    outcome = gan("sample", enlarger, "-i", "in", "-o", "out")
    assert outcome.code == 0, outcome.err
    assert len(files(Path("out"))) == 4
    alone = gan("sample", enlarger, "-i", "in/" + "a" * 251 + ".jpg")
    assert alone.code == 2
    assert "give another one with -o" in alone.err


def test_what_is_in_the_way_of_one_picture_does_not_stop_the_rest(gan: Gan, enlarger: Path) -> None:
    for name in ("a.png", "b.png", "c/d.png", "e.png", "f.png"):
        plain(f"in/{name}")
    Path("out/a.png").mkdir(parents=True)  # a directory where a picture must go
    Path("out/c").write_text("mine")  # a file where a subfolder must
    Path("out/e.png").symlink_to("nowhere.png")
    Path("in/gone.png").symlink_to("nowhere.png")
    Path("in/f.png").write_bytes(b"no picture")
    outcome = gan("sample", enlarger, "-i", "in", "-o", "out", "--recursive", "--skip-existing", "--json")
    assert outcome.code == 3
    document = json.loads(outcome.out)
    assert [one["output"] for one in document["files"]] == ["out/b.png"]
    assert sorted(document["failed"]) == ["in/a.png", "in/c/d.png", "in/e.png", "in/f.png", "in/gone.png"]
    assert "out/c is or lies in a file" in document["failed"]["in/c/d.png"]
    assert "5 of 6 pictures failed" in outcome.err
    assert "unexpected" not in outcome.err
    assert (Path("out/c").read_text(), Path("out/e.png").readlink()) == ("mine", Path("nowhere.png"))


def test_a_subfolder_that_cannot_be_listed_is_named(gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain("in/a.png")
    plain("in/secret/b.png")
    scandir: Callable[..., Iterator[os.DirEntry[str]]] = os.scandir

    def refusing(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "secret":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    outcome = gan("sample", enlarger, "-i", "in", "-o", "out", "--recursive", "--json")
    assert outcome.code == 3
    assert "in/secret: cannot be listed (Permission denied)" in outcome.err
    assert list(json.loads(outcome.out)["failed"]) == ["in/secret"]
    assert files(Path("out")) == ["a.png"]


def refusing_write(code: int, name: str) -> Callable[..., None]:
    """`atomic.write` on a disk that refuses one name."""
    write = atomic.write

    def refused(path: Path, pieces: list[bytes], **how: bool) -> None:
        if path.name == name:
            error = OSError(code, os.strerror(code))
            raise GancliError(f"{path}: cannot be written ({error.strerror})") from error
        write(path, pieces, **how)

    return refused


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_ends_the_work_at_once(
    gan: Gan, enlarger: Path, album: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(atomic, "write", refusing_write(code, "a.png.png"))
    outcome = gan("sample", enlarger, "-i", album, "-o", "out", "--json")
    assert outcome.code == 1
    assert os.strerror(code) in outcome.err
    assert "1 of 3 pictures are done, --skip-existing goes on" in outcome.err
    assert list(outputs(outcome.out).values()) == ["out/a.jpg.png"]
    assert files(Path("out")) == ["a.jpg.png"]


def test_one_picture_that_may_not_be_written_does_not(
    gan: Gan, enlarger: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "write", refusing_write(errno.EACCES, "a.png.png"))
    assert gan("sample", enlarger, "-i", album, "-o", "out").code == 3
    assert files(Path("out")) == ["a.jpg.png", "b.png"]


def test_a_folder_that_takes_no_files_is_told_before_the_work(
    gan: Gan, enlarger: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("mine")
    inside = gan("sample", enlarger, "-i", album, "-o", "file/out")
    assert inside.code == 1
    assert "-o file/out: cannot be written into" in inside.err

    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(atomic, "check_writable", refuse)
    monkeypatch.setattr(upscale.Upscaler, "parts", None)
    for source in (album, album / "b.png"):
        outcome = gan("sample", enlarger, "-i", source)
        assert outcome.code == 1
        assert "Permission denied" in outcome.err
        assert outcome.err.count("\n") == 1


def test_an_interrupt_leaves_whole_files_and_the_rest_can_be_done_later(
    gan: Gan, enlarger: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, calls = images.encode, list[str]()

    def interrupted(picture: Image.Image, suffix: str) -> bytes:
        calls.append(suffix)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(picture, suffix)

    monkeypatch.setattr(images, "encode", interrupted)
    assert gan("sample", enlarger, "-i", album, "-o", "out").code == 130
    assert files(Path("out")) == ["a.jpg.png"]
    first = sha256(Path("out/a.jpg.png"))
    Path("out/b.png").touch()  # of no bytes: what a power cut may leave
    assert gan("sample", enlarger, "-i", album, "-o", "out", "--skip-existing").code == 0
    assert files(Path("out")) == ["a.jpg.png", "a.png.png", "b.png"]
    assert sha256(Path("out/a.jpg.png")) == first
    assert Path("out/b.png").stat().st_size > 0


@pytest.mark.parametrize(("name", "width"), [("x.webp", 4096), ("x.jpg", 16_376), ("x.png", 250_001)])
def test_what_no_file_can_hold_is_refused_before_the_work(
    gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    plain("in/wide.png", (width, 1))
    plain("in/small.png")
    with monkeypatch.context() as patch:
        patch.setattr(upscale.Upscaler, "parts", None)
        outcome = gan("sample", enlarger, "-i", "in/wide.png", "-o", name)
    assert outcome.code == 2
    assert str(width * 4) in outcome.err
    assert ("take .png" in outcome.err) == (name != "x.png")
    assert not Path(name).exists()
    if name == "x.png":
        assert gan("sample", enlarger, "-i", "in", "-o", "out").code == 3
        assert files(Path("out")) == ["small.png"]


def test_transparency_that_jpeg_cannot_hold_is_refused_before_the_work(
    gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGBA", (8, 8)).save("clear.png")
    monkeypatch.setattr(upscale.Upscaler, "parts", None)
    assert gan("sample", enlarger, "-i", "clear.png", "-o", "x.jpg").code == 2


def test_what_does_not_fit_into_memory_is_refused_before_the_work_and_says_how_much_it_takes(
    gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain("in/a.png", (300, 200))
    plain("in/b.png")
    monkeypatch.setattr(upscale, "free_bytes", lambda _: 1_500_000)
    alone = gan("sample", enlarger, "-i", "in/a.png")
    assert alone.code == 1
    assert "1200×800 pixels" in alone.err
    assert "2 MB are free" in alone.err
    assert alone.err.count("\n") == 1
    both = gan("sample", enlarger, "-i", "in")
    assert both.code == 3
    assert files(Path("in_x4")) == ["b.png"]


def test_running_out_of_memory_in_python_is_told(gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain("a.png")

    def greedy(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(images, "encode", greedy)
    outcome = gan("sample", enlarger, "-i", "a.png")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "memory ran out" in outcome.err


def test_tiles_larger_than_memory_allows_are_made_smaller_with_a_word(
    gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain("a.png", (100, 90))
    whole = gan("sample", enlarger, "-i", "a.png", "-o", "whole.png", "--tile", "100")
    assert (whole.code, whole.err) == (0, "")
    monkeypatch.setattr(upscale, "free_bytes", lambda _: 30_000_000)
    less = gan("sample", enlarger, "-i", "a.png", "-o", "less.png", "--tile", "100")
    assert less.code == 0
    assert "--tile 100: a.png is enlarged in tiles of 4" in less.err


def test_a_slow_picture_shows_how_far_it_is_and_a_quick_one_does_not(
    gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain("a.png", (64, 64))
    quick = gan("sample", enlarger, "-i", "a.png", "-o", "x.png", "--tile", "32")
    assert (quick.code, quick.err) == (0, "")
    monkeypatch.setattr(cli, "QUIET_S", 0.0)
    slow = gan("sample", enlarger, "-i", "a.png", "-o", "y.png", "--tile", "32")
    assert "enlarging a.png: 1 of 4 tiles" in slow.err
    assert "writing y.png" in slow.err
    assert sha256(Path("x.png")) == sha256(Path("y.png"))


def test_what_is_said_of_a_picture_is_kept_and_what_is_lost_is_told(gan: Gan, enlarger: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Canon", 6
    profile = (1_500_000).to_bytes(4, "big") + ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()[4:]
    noise("RGB", (8, 6)).save("a.jpg", exif=exif, dpi=(300, 300), icc_profile=profile.ljust(1_500_000, b"\0"))
    outcome = gan("sample", enlarger, "-i", "a.jpg", "-o", "large.png")
    assert (outcome.code, outcome.out) == (0, "large.png\n")
    assert "warning: a.jpg: its colour profile of 1.5 MB is left out" in outcome.err
    with Image.open("large.png") as image:
        image.load()
        assert image.size == (24, 32)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert (image.getexif()[0x010F], image.getexif()[0x0112]) == ("Canon", 1)
        assert "icc_profile" not in image.info
    assert gan("sample", enlarger, "-i", "a.jpg", "-o", "large.jpg").err == ""


def test_the_folder_one_stands_in_is_enlarged_beside_itself(
    gan: Gan, enlarger: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album)
    outcome = gan("sample", enlarger, "-i", ".")
    assert outcome.code == 0, outcome.err
    assert len(files(album.parent / "album_x4")) == 3


def test_an_input_that_may_not_be_read_is_told(gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain("a.png")

    read = paths.read_file

    def refuse(path: Path) -> bytes:
        if path.name == "a.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(path)

    monkeypatch.setattr(paths, "read_file", refuse)
    outcome = gan("sample", enlarger, "-i", "a.png")
    assert (outcome.code, outcome.err) == (1, "gan: a.png: cannot be read (Permission denied)\n")


LIMITED = """
import resource, sys
from gancli.cli import upscale
from gancli.cli.app import main
run = upscale._run

def limited(*args):
    held = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) * 1024
    more = held + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_DATA, (more, more))
    return run(*args)

upscale._run = limited
sys.exit(main(sys.argv[2:]))
"""
