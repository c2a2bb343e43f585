"""`gan sample CKPT -i …` with obstacles: files in the way, permissions, full disks, too little memory, an interrupt."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from gancli import images
from gancli.errors import GancliError
from gancli.files import atomic
from gancli.sampling import upscale
from tests.cli.test_errors import assert_one_line
from tests.conftest import Gan, sha256
from tests.pictures import files, plain


def test_an_image_that_fails_does_not_stop_the_others(gan: Gan, enlarger: Path) -> None:
    for name in ("a.png", "b.png", "c/d.png", "e.png", "f.png"):
        plain(f"in/{name}")
    Path("out/a.png").mkdir(parents=True)  # a directory with the name of a file
    Path("out/c").write_text("mine")  # a file with the name of a folder
    Path("out/e.png").symlink_to("nowhere.png")
    Path("in/gone.png").symlink_to("nowhere.png")
    Path("in/f.png").write_bytes(b"no image")
    outcome = gan("sample", enlarger, "-i", "in", "-o", "out", "--recursive", "--skip-existing", "--json")
    assert outcome.code == 3
    document = json.loads(outcome.out)
    assert [one["output"] for one in document["files"]] == ["out/b.png"]
    assert sorted(document["failed"]) == ["in/a.png", "in/c/d.png", "in/e.png", "in/f.png", "in/gone.png"]
    assert "out/c is a file or in a file" in document["failed"]["in/c/d.png"]
    assert "5 of 6 images failed" in outcome.err
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


def test_a_full_disk_ends_the_work(gan: Gan, enlarger: Path, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = atomic.write

    def refused(path: Path, pieces: list[bytes], **how: bool) -> None:
        if path.name == "a.png.png":
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise GancliError(f"{path}: cannot be written ({full.strerror})") from full
        write(path, pieces, **how)

    monkeypatch.setattr(atomic, "write", refused)
    outcome = gan("sample", enlarger, "-i", album, "-o", "out", "--json")
    assert outcome.code == 1
    assert os.strerror(errno.ENOSPC) in outcome.err
    assert "1 of 3 images are done; continue with --skip-existing" in outcome.err
    assert [one["output"] for one in json.loads(outcome.out)["files"]] == ["out/a.jpg.png"]
    assert files(Path("out")) == ["a.jpg.png"]


def test_an_interrupt_leaves_whole_files_and_skip_existing_continues(
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
def test_a_size_that_no_file_can_have_is_refused_before_the_work(
    gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    plain("in/wide.png", (width, 1))
    plain("in/small.png")
    with monkeypatch.context() as patch:
        patch.setattr(upscale.Upscaler, "parts", None)
        outcome = gan("sample", enlarger, "-i", "in/wide.png", "-o", name)
    assert outcome.code == 2
    assert str(width * 4) in outcome.err
    assert ("use .png" in outcome.err) == (name != "x.png")
    assert not Path(name).exists()
    if name == "x.png":
        assert gan("sample", enlarger, "-i", "in", "-o", "out").code == 3
        assert files(Path("out")) == ["small.png"]


def test_an_image_that_does_not_fit_into_memory_is_refused_before_the_work(
    gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain("in/a.png", (300, 200))
    plain("in/b.png")
    monkeypatch.setattr(upscale, "free_bytes", lambda _: 1_500_000)
    assert_one_line(gan("sample", enlarger, "-i", "in/a.png"), 1, "1200×800 pixels", "only 2 MB are free")
    assert gan("sample", enlarger, "-i", "in").code == 3
    assert files(Path("in_x4")) == ["b.png"]
