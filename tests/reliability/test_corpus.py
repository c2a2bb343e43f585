"""The corpus of hostile and odd files (see make_corpus.py): each is read, or refused in one line, within two seconds."""

import io
import time
from pathlib import Path

import pytest
from PIL import Image

from gancli.data.decode import decode, decode_layers, read_head
from gancli.data.formats import is_other_picture
from gancli.errors import DataError
from tests.conftest import TINY, Gan, Outcome

CORPUS = Path(__file__).parent / "corpus"
MAX_SECONDS = 2.0
READ = {
    "checkpoints": {"sound"},
    "pictures": {
        "alpha.png", "animated.avif", "animated.gif", "cmyk.jpg", "floats.tif", "grey-16-bit.png", "grey-alpha.png",
        "grey.png", "on-its-side.jpg", "one-bit.png", "palette-transparent.png", "plain.avif", "plain.jp2", "plain.tga",
        "trailing-bytes.jpg",
    },
    "archives": {
        "sound.zip", "absolute.zip", "sound.tar", "sound.tar.gz", "labelled.tar", "absolute.tar", "links.tar", "device.tar",
        "name-no-text.tar", "json-deep.tar", "sound.parquet", "classes-escape-codes.parquet",
        "metadata-deep.parquet",
    },
}  # fmt: skip


def corpus(kind: str) -> list[Path]:
    return sorted((CORPUS / kind).iterdir())


def check(outcome: Outcome) -> None:
    """Success, or one line; nothing that a terminal would obey."""
    assert outcome.code in (0, 1, 2), outcome
    assert "please report it" not in outcome.err
    assert "Traceback" not in outcome.err
    assert all(c.isprintable() or c == "\n" for c in outcome.out + outcome.err), ascii(outcome)
    if outcome.code:
        assert outcome.err.count("\n") == 1, outcome.err
        assert outcome.err.startswith("gan: ")


@pytest.mark.parametrize("path", corpus("checkpoints"), ids=lambda path: path.stem)
def test_a_hostile_checkpoint_is_refused_in_one_line(gan: Gan, tmp_path: Path, path: Path) -> None:
    began = time.perf_counter()
    outcomes = {
        "inspect": gan("inspect", path),
        "json": gan("inspect", path, "--json"),
        "verify": gan("inspect", path, "--verify"),
        "sample": gan("sample", path, "-n", 1, "-o", tmp_path / "a.png"),
    }
    assert time.perf_counter() - began < 4 * MAX_SECONDS
    for outcome in outcomes.values():
        check(outcome)
    sound = path.stem in READ["checkpoints"]
    harmless = path.stem in (
        "dataset-escape-codes", "classes-escape-codes", "versions-escape-codes", "losses-escape-codes", "losses-huge-steps",
    )  # fmt: skip
    assert (outcomes["sample"].code == 0) == (outcomes["verify"].code == 0) == (sound or harmless)
    assert (tmp_path / "a.png").exists() == (sound or harmless)


@pytest.mark.parametrize("path", corpus("pictures"), ids=lambda path: path.name)
def test_an_odd_picture_is_decoded_or_refused_in_one_line(path: Path) -> None:
    if is_other_picture(path.name):
        pytest.skip(f"this Pillow was built without {path.suffix}")
    data, name = path.read_bytes(), f"odd picture{path.suffix}"
    began = time.perf_counter()
    errors = []
    for way in (read_head, decode, decode_layers):
        try:
            way(data, name)
        except DataError as error:
            errors.append(str(error))
    assert time.perf_counter() - began < MAX_SECONDS
    assert all(error.startswith(f"{name}: ") and error.isprintable() for error in errors)
    assert bool(errors) == (path.name not in READ["pictures"])


@pytest.mark.parametrize("path", corpus("archives"), ids=lambda path: path.name)
def test_an_odd_archive_is_trained_on_or_refused_and_writes_nowhere_else(gan: Gan, tmp_path: Path, path: Path) -> None:
    began = time.perf_counter()
    outcome = gan("train", "-d", path, *TINY, "--steps", 1, "--out", tmp_path / "run", "--progress", "none")
    assert time.perf_counter() - began < 5 * MAX_SECONDS  # a step of training and its files included
    check(outcome)
    assert (outcome.code == 0) == (path.name in READ["archives"]), outcome
    assert not Path("/tmp/outside").exists()
    assert {entry.name for entry in tmp_path.iterdir()} <= {"run"}
    assert not (tmp_path.parent / "outside").exists()


def test_the_decoded_pictures_look_right() -> None:
    grey = decode((CORPUS / "pictures" / "grey.png").read_bytes(), "grey")
    same = ("grey-16-bit.png", "palette-transparent.png")
    for name in same:
        picture = decode((CORPUS / "pictures" / name).read_bytes(), name).convert("L")
        assert max(abs(a - b) for a, b in zip(picture.tobytes(), grey.tobytes(), strict=True)) <= 16, name
    turned = decode((CORPUS / "pictures" / "on-its-side.jpg").read_bytes(), "turned")
    assert turned.size == grey.size[::-1]
    with Image.open(io.BytesIO((CORPUS / "pictures" / "grey.png").read_bytes())) as plain:
        assert plain.size == (20, 12)
