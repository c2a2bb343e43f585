"""What lies in other people's folders and zips: runs of ours, links, names from other systems, files of other programs."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gancli.data.formats import is_image
from gancli.errors import DataError, UsageError
from tests.data.packed import Files, in_folder, in_tar, in_zip, opened


def encoded(kind: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, kind, **how)
    return out.getvalue()


def folder(root: Path, *names: str, content: bytes | None = None) -> Path:
    """A folder of images with these names."""
    return in_folder(root, dict.fromkeys(names, content or encoded()))


def zipped(path: Path, *names: str) -> Path:
    """A zip of images with these names."""
    return in_zip(path, {name: b"" if name.endswith(("/", "\\")) else encoded() for name in names})


def test_runs_inside_a_dataset_are_no_data(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", "cat/1.png", "dog/1.png")
    for run, part in (("runs/a", "state/x.safetensors"), ("runs/b", "ckpt.safetensors"), ("mine", "metrics.jsonl")):
        folder(pets / run, "samples/1.png", "config.toml", part)
    files = {path.relative_to(pets).as_posix(): path.read_bytes() for path in pets.rglob("*.*")}
    for path in (pets, in_zip(tmp_path / "pets.zip", files), in_tar(tmp_path / "pets.tar", files)):
        source, told = opened(path)
        assert (source.class_names, len(source.images)) == (("cat", "dog"), 2)
        assert told == ["3 folders skipped: run directories of gan, whose images are samples (mine, runs/a, runs/b)"]
    with pytest.raises(DataError, match=r"holds no images .*; 1 folder skipped: run directories of gan"):
        opened(pets / "runs" / "b")


def test_a_zip_made_on_windows_keeps_its_classes(tmp_path: Path) -> None:
    names = ("pets\\", "pets\\cat\\", "pets\\cat\\1.png", "pets\\dog\\1.png", "pets\\dog\\2.PNG", "pets\\fox\\")
    source, told = opened(zipped(tmp_path / "a.zip", *names))
    assert (source.class_names, source.labels.tolist(), told) == (("cat", "dog"), [0, 1, 1], [])


def test_names_in_zips_are_those_that_unpacking_gives(tmp_path: Path) -> None:
    source, told = opened(zipped(tmp_path / "a.zip", "./cat/1.png", "/dog//1.png", "C:/x/../dog/2.png", "dog/./1.png"))
    assert (source.class_names, len(source.images)) == (("cat", "dog"), 2)
    assert told == [
        "1 name skipped: another link or entry leads to the same (dog/1.png)",
        "1 entry skipped: a link, a device, a file with holes, or a name outside of the archive (C:/x/../dog/2.png)",
    ]


def test_names_in_zips_of_macos_are_utf_8(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", "Zo\u00eb/1.png", "dog/1.png", "__MACOSX/dog/._1.png", "dog/.DS_Store", "dog/Thumbs.db")
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    for head, flags in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
        at = -1
        while (at := raw.find(head, at + 1)) >= 0:
            raw[at + flags] &= ~8  # "names are UTF-8"
    (tmp_path / "a.zip").write_bytes(raw)
    source, told = opened(tmp_path / "a.zip", bad="skip")
    assert source.class_names == ("dog", "Zo\u00eb")
    assert told == []


def test_locked_entries_are_named(tmp_path: Path) -> None:
    raw = bytearray(zipped(tmp_path / "a.zip", "1.png", "2.png").read_bytes())
    raw[raw.rindex(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(DataError, match=r"2\.png: cannot be read .*encrypted"):
        opened(tmp_path / "a.zip")
    _, told = opened(tmp_path / "a.zip", bad="skip")
    assert "2.png" in told[0]


@pytest.mark.parametrize(
    ("packed", "name"), [(in_folder, "set"), (in_zip, "set.zip"), (in_tar, "s.tar"), (in_tar, "s.tgz")]
)
def test_a_stylegan_dataset_has_the_classes_of_its_json(
    packed: Callable[[Path, Files], Path], name: str, tmp_path: Path
) -> None:
    names = [f"0000{shard}/img{index:08d}.png" for shard in (0, 1) for index in range(3)]
    text = json.dumps({"labels": [[name, index % 2 * 9] for index, name in enumerate(names)]}).encode()
    source, told = opened(packed(tmp_path / name, {**dict.fromkeys(names, encoded()), "dataset.json": text}))
    assert (source.class_names, source.labels.tolist(), told) == (("0", "9"), [0, 1, 0, 1, 0, 1], [])


def test_other_labels_in_the_manifest_are_other_data(tmp_path: Path) -> None:
    path = folder(tmp_path / "set", "0/a.png", "0/b.png")
    for labels in ([0, 1], [1, 0], [4, 7]):
        (path / "dataset.json").write_text(json.dumps({"labels": [["0/a.png", labels[0]], ["0/b.png", labels[1]]]}))
        source, _ = opened(path)
        assert [int(source.class_names[label]) for label in source.labels.tolist()] == labels
    (path / "dataset.json").write_text('{"labels": [["0/a.png"')
    with pytest.raises(DataError, match=r"set/dataset\.json: cannot be read"):
        opened(path)


def test_a_class_more_in_training_is_seen_by_the_cached_test_split(tmp_path: Path) -> None:
    path = folder(tmp_path / "set", *(f"{split}/{pet}/1.png" for split in ("train", "test") for pet in ("a", "b")))
    assert opened(path, "test")[0].class_names == ("a", "b")
    folder(path, "train/c/1.png")
    assert opened(path, "test")[0].class_names == ("a", "b", "c")


def test_the_same_folder_by_two_names_counts_once_by_its_own(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", "cat/1.png", "dog/1.png")
    (pets / "ant").symlink_to(pets / "cat")
    (pets / "dog" / "up").symlink_to(pets)
    source, told = opened(pets)
    assert (source.class_names, len(source.images)) == (("cat", "dog"), 2)
    assert told == ["2 names skipped: another link or entry leads to the same (ant, dog/up)"]
    (pets / "emu").symlink_to(folder(tmp_path / "elsewhere", "1.png"))
    (pets / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert opened(pets)[0].class_names == ("cat", "dog", "emu")


def test_a_folder_that_cannot_be_listed_is_named_and_can_be_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets = folder(tmp_path / "pets", "cat/1.png", "dog/1.png", "fox/1.png")
    scandir = os.scandir

    def closed(path: Path) -> Any:
        if path.name == "fox":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("gancli.data.walk.os.scandir", closed)
    with pytest.raises(DataError, match=r"pets/fox: cannot be listed \(Permission denied\); --on-bad-image skip"):
        opened(pets)
    source, told = opened(pets, bad="skip")
    assert source.class_names == ("cat", "dog")
    assert told == ["1 folder skipped: cannot be listed (fox)"]


def test_hidden_folders_and_the_data_root_are_no_classes(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", "cat/1.png", "dog/1.png", ".git/1.png", "@eaDir/1.png", "lost+found/1.png")
    for _ in range(2):
        source, told = opened(pets, root=pets)
        assert (source.class_names, len(source.images), told) == (("cat", "dog"), 2, [])


FORMATS = {
    ".jfif": "JPEG", ".jpe": "JPEG", ".JPG": "JPEG", ".avif": "AVIF", ".jp2": "JPEG2000", ".tga": "TGA", ".pcx": "PCX",
    ".qoi": "QOI", ".sgi": "SGI", ".dib": "DIB", ".pbm": "PPM", ".webp": "WEBP", ".apng": "PNG", ".tiff": "TIFF",
}  # fmt: skip


def test_what_pillow_decodes_is_data(tmp_path: Path) -> None:
    here = {suffix: kind for suffix, kind in FORMATS.items() if is_image(f"x{suffix}")}
    assert len(here) >= len(FORMATS) - 3  # a Pillow may be built without AVIF, JPEG 2000, WebP
    for suffix, kind in here.items():
        folder(tmp_path / "set", f"{kind}{suffix}", content=encoded(kind))
    source, told = opened(tmp_path / "set")
    assert (len(source.images), told) == (len(here), [])
    assert (source.images[:, 0] > 200).all()
    assert (source.images[:, 1] < 60).all()


def test_what_is_not_decoded_is_counted_and_named_once(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", "cat/1.png", "dog/1.png", "cat/2.HEIC", "dog/3.jxl", "dog/4.svg", "dog/5.jxl")
    folder(pets, "cat/notes.txt", "labels.csv", "a.json", "film.mp4", content=b"words")
    source, told = opened(pets)
    assert len(source.images) == 2
    assert told == [
        "4 images left out: .heic, .jxl, .svg cannot be decoded here; convert to .png or .jpg, or install "
        "pillow-heif (cat/2.HEIC, dog/3.jxl, dog/4.svg, …)"
    ]
    with pytest.raises(DataError, match=r"holds no images .*; 1 image left out: \.heic cannot be decoded here"):
        opened(folder(tmp_path / "phone", "1.heic"))


def test_pillow_says_nothing_by_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    odd = bytearray(encoded("TIFF"))
    at = odd.index(struct.pack("<HHI", 277, 3, 1)) + 8  # samples per pixel
    odd[at : at + 2] = struct.pack("<H", 54)
    with pytest.raises(DataError, match=r"1\.tif: not an image"):
        opened(folder(tmp_path / "set", "1.tif", content=bytes(odd)))
    assert capfd.readouterr() == ("", "")


def test_text_is_no_picture_whatever_its_name(tmp_path: Path) -> None:
    """Some formats have no first bytes to know them by: they are tried only where the name says so."""
    for suffix in (".png", ".tga", ".psd", ".jp2", ".avif", ".ras"):
        path = folder(tmp_path / suffix[1:], f"1{suffix}", content=b"no picture, just words, so many words" * 9)
        with pytest.raises(DataError, match=rf"1\{suffix}: (not an image|cannot be)"):
            opened(path)
    with pytest.raises(DataError, match=r"1\.png: not an image"):
        opened(folder(tmp_path / "disguised", "1.png", content=encoded("TGA")))


def test_of_animated_files_the_first_frame_is_taken_and_that_is_told_once(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "APNG"):
        out = io.BytesIO()
        frames[0].save(out, kind.removeprefix("A"), save_all=True, append_images=frames[1:])
        folder(tmp_path / "set", f"moving.{kind.lower()}", content=out.getvalue())
    folder(tmp_path / "set", "still.png", "still.jpg")
    folder(tmp_path / "set", "still.gif", content=encoded("GIF"))
    for _ in range(2):  # the second time from the cache
        source, told = opened(tmp_path / "set")
        assert (source.images[:, 0] > 200).all()
        assert (source.images[:, 1:] < 60).all()
        assert told == [
            "5 images with several frames or pages: the first is taken (moving.apng, moving.gif, moving.png, …)",
        ]


def test_a_zip_entry_that_lies_is_a_bad_image(tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped(tmp_path / "set.zip", "good.png"), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("liar.png", bytes(100_000))
    raw = bytearray((tmp_path / "set.zip").read_bytes())
    where = raw.rindex(b"PK\x01\x02") + 24  # its size in the directory: of 100,000 bytes only 1,000 are admitted
    raw[where : where + 4] = (1000).to_bytes(4, "little")
    (tmp_path / "set.zip").write_bytes(raw)
    with pytest.raises(DataError, match=r"liar\.png"):
        opened(tmp_path / "set.zip")
    assert len(opened(tmp_path / "set.zip", bad="skip")[0].images) == 1


def test_what_is_no_data_set_is_one_line_with_the_near_miss(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"--dataset .*empty: holds no images"):
        opened(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(DataError, match=r"notes\.txt: neither a folder nor a zip"):
        opened(tmp_path / "notes.txt")
    for name, words in (
        ("mnits", r"--dataset mnits: neither .* \(did you mean mnist\?\)"),
        (str(tmp_path / "empt"), r"did you mean empty\?"),
        ("x" * 5000, "neither a dataset"),
    ):
        with pytest.raises(UsageError, match=words):
            opened(Path(name))


def test_names_of_files_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(DataError) as failure:
        opened(folder(tmp_path / "set", "\x1b[2J.png", content=b"no picture"))
    assert str(failure.value).isprintable()
