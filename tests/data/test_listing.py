"""What subfolders mean, and which files count."""

import io
import threading
import zipfile
from pathlib import Path
from typing import Literal

import pytest
import torch
from PIL import Image

from gancli.data.decode import First, decode
from gancli.data.names import Split
from gancli.data.opening import open_source
from gancli.data.source import Source
from gancli.errors import DataError, UsageError
from gancli.events import Event, Preparing, Warned
from tests.conftest import heard


def opened(
    path: Path, root: Path, split: Split = "train", bad: Literal["fail", "skip"] = "fail"
) -> tuple[Source, list[Event]]:
    opening = open_source(str(path), data_root=root, image_size=None, download=False, on_bad_image=bad, split=split)
    return heard(opening)


def warnings(seen: list[Event]) -> list[str]:
    return [event.message for event in seen if isinstance(event, Warned)]


def picture(path: Path, colour: str = "red") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)


def test_a_folder_that_holds_everything_is_no_class(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        picture(tmp_path / "set" / "photos" / name / "1.png")
    assert opened(tmp_path / "set", tmp_path)[0].class_names == ("cat", "dog")
    assert opened(tmp_path / "set" / "photos" / "cat", tmp_path)[0].class_names == ()


def test_many_pictures_beside_the_folders_make_them_no_classes(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/1.png", "2.png", "3.png"):
        picture(tmp_path / "set" / name)
    source, seen = opened(tmp_path / "set", tmp_path)
    assert source.class_names == ()
    assert len(source.images) == 4
    assert warnings(seen) == ["without classes: 2 of 4 pictures are not in class folders (2.png, 3.png)"]


def test_train_beside_test_are_splits(tmp_path: Path) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "train/dog/2.png", "test/cat/1.png", "test/dog/1.png"):
        picture(tmp_path / "set" / name)
    train, test = (opened(tmp_path / "set", tmp_path, split)[0] for split in ("train", "test"))
    assert train.class_names == test.class_names == ("cat", "dog")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 1], [0, 1])


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "1.png")
    picture(tmp_path / "set" / "cat" / "1.png")
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "cat" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    source, _ = opened(tmp_path / "set", tmp_path)
    assert (source.class_names, len(source.images)) == (("cat", "dog"), 2)


def test_an_empty_folder_and_a_file_that_is_no_zip_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"--dataset .*empty: holds no images"):
        opened(tmp_path / "empty", tmp_path)
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(DataError, match=r"notes\.txt: neither a folder nor a zip"):
        opened(tmp_path / "notes.txt", tmp_path)


def test_a_name_that_is_not_there_gets_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--dataset mnits: neither .* \(did you mean mnist\?\)"):
        opened(Path("mnits"), tmp_path)
    (tmp_path / "flowers").mkdir()
    with pytest.raises(UsageError, match=r"did you mean flowers\?"):
        opened(tmp_path / "flower", tmp_path)
    with pytest.raises(UsageError, match="neither a data set"):
        opened(Path("x" * 5000), tmp_path)


def test_what_was_left_out_is_said_every_time(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "1.png")
    (tmp_path / "set" / "2.png").write_text("no picture")
    for _ in range(2):
        seen = opened(tmp_path / "set", tmp_path, bad="skip")[1]
        (warning,) = (event.message for event in seen if isinstance(event, Warned))
        assert "2.png" in warning


def test_names_of_files_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "\x1b[2J.png").write_text("no picture")
    with pytest.raises(DataError) as failure:
        opened(tmp_path / "set", tmp_path)
    assert str(failure.value).isprintable()


def test_a_zip_entry_that_lies_or_is_locked_is_a_bad_image(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "1.png", "good.png")
        archive.writestr("liar.png", bytes(100_000))
    raw = bytearray((tmp_path / "set.zip").read_bytes())
    where = raw.rindex(b"PK\x01\x02") + 24  # its size in the directory: of 100,000 bytes only 1,000 are admitted
    raw[where : where + 4] = (1000).to_bytes(4, "little")
    (tmp_path / "set.zip").write_bytes(raw)
    with pytest.raises(DataError, match=r"liar\.png"):
        opened(tmp_path / "set.zip", tmp_path)
    assert len(opened(tmp_path / "set.zip", tmp_path, bad="skip")[0].images) == 1


def test_a_postscript_file_in_disguise_is_not_run() -> None:
    with pytest.raises(DataError, match=r"x\.png: not a picture"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "x.png")


def test_a_large_photograph_decoded_at_a_fraction_looks_the_same() -> None:
    photo = Image.effect_mandelbrot((1600, 1200), (-2, -1.2, 1, 1.2), 60).convert("RGB")
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=95)
    quick = decode(buffer.getvalue(), "x", 64).resize((64, 64), Image.Resampling.LANCZOS)
    slow = decode(buffer.getvalue(), "x").resize((64, 64), Image.Resampling.LANCZOS)
    quick_pixels, slow_pixels = (torch.tensor(list(i.tobytes())).float() for i in (quick, slow))
    assert (quick_pixels - slow_pixels).abs().mean() < 2


def test_progress_comes_while_pictures_are_decoded_and_closing_stops_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(400):
        picture(tmp_path / "set" / f"{index}.png")

    def slow(*args: object) -> First:
        done.append(args)
        pause.wait(0.05)
        return First(Image.new("RGB", (8, 8)), remarks=())

    done: list[object] = []
    pause = threading.Event()
    monkeypatch.setattr("gancli.data.folder.decode_first", slow)
    opening = open_source(
        str(tmp_path / "set"), data_root=tmp_path, image_size=None, download=False, on_bad_image="fail"
    )
    while not (isinstance(event := next(opening), Preparing) and event.what.startswith("decoding")):
        pass
    opening.close()
    assert len(done) < 400
    assert not any(path.name.endswith(".part") for path in (tmp_path / "cache").iterdir())
