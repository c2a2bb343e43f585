"""Hostile and odd files, one idea each: they are read, or refused in one line, within two seconds."""

import hashlib
import json
import pickle
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancli.data.decode import decode, decode_layers, read_head
from gancli.data.formats import is_unsupported_image
from gancli.errors import DataError
from tests.conftest import TINY, Finished
from tests.reliability import fuzz
from tests.reliability.fuzz import CORPUS, MAX_SECONDS, command

ESCAPE = "\x1b]0;owned\x07\x1b[31m[red]bold[/red]\u202e"
Damage = Callable[[bytes], bytes]


def end_of_header(sound: bytes) -> int:
    return 8 + int.from_bytes(sound[:8], "little")


def raw(change: Damage) -> Damage:
    """Changes the JSON text of a checkpoint's header, whose length stays right."""

    def damage(sound: bytes) -> bytes:
        end = end_of_header(sound)
        text = change(sound[8:end])
        return len(text).to_bytes(8, "little") + text + sound[end:]

    return damage


def header(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Changes the header as a dictionary, of which only the metadata stays as it is."""

    def damage(text: bytes) -> bytes:
        found = json.loads(text)
        change(found)
        return json.dumps(found).encode()

    return raw(damage)


def tensor(**changed: Any) -> Damage:
    """Changes the entry of the first tensor."""
    return header(lambda found: next(entry for name, entry in found.items() if name != "__metadata__").update(changed))


def facts(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Changes what the checkpoint says of itself."""

    def damage(found: dict[str, Any]) -> None:
        ours = json.loads(found["__metadata__"]["gancli"])
        change(ours)
        found["__metadata__"]["gancli"] = json.dumps(ours)

    return header(damage)


def last_weight(value: float) -> Damage:
    """Changes the last weight, and the checksum with it."""

    def damage(sound: bytes) -> bytes:
        end, changed = end_of_header(sound), sound[:-4] + struct.pack("<f", value)
        return facts(lambda ours: ours.update(sha256=hashlib.sha256(changed[end:]).hexdigest()))(changed)

    return damage


def no_tensors(sound: bytes) -> bytes:
    """Leaves the metadata alone."""
    changed = header(lambda found: [found.pop(name) for name in list(found) if name != "__metadata__"])(sound)
    return changed[: end_of_header(changed)]


REFUSED: dict[str, Damage] = {
    "empty": lambda _: b"",
    "only a length": lambda sound: sound[:8],
    "header cut": lambda sound: sound[:300],
    "tensors cut": lambda sound: sound[:-7],
    "bytes after": lambda sound: sound + b"\0" * 9,
    "length 2^63": lambda sound: (2**63).to_bytes(8, "little") + sound[8:],
    "length 0": lambda sound: bytes(8) + sound[8:],
    "pickle": lambda _: pickle.dumps({"state_dict": [1.0] * 9}),
    "zip like torch.save": lambda _: b"PK\x03\x04" + b"\0" * 60,
    "not UTF-8": raw(lambda text: b"\xff\xfe" + text[2:]),
    "byte order mark": raw(lambda text: b"\xef\xbb\xbf" + text),
    "JSON list": raw(lambda _: b"[1, 2]"),
    "deep JSON": raw(lambda _: b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "long JSON number": raw(lambda _: b'{"a": ' + b"9" * 20_000 + b"}"),
    "key twice": raw(lambda text: text.rstrip()[:-1] + b', "generator.conditional.layers.0.weight": 1}'),
    "NaN": last_weight(float("nan")),
    "infinity": last_weight(float("inf")),
    "a bit flipped": lambda sound: sound[:-1] + bytes([sound[-1] ^ 1]),
    "shape 2^62": tensor(shape=[0, 2**62]),
    "negative shape": tensor(shape=[-1]),
    "shape of booleans": tensor(shape=[True, True]),
    "unknown dtype": tensor(dtype="F8_E5M2"),
    "offsets swapped": tensor(data_offsets=[64, 0]),
    "offsets overlap": tensor(data_offsets=[4, 8]),
    "no tensors": no_tensors,
    "no metadata": header(lambda found: found.pop("__metadata__")),
    "metadata no text": header(lambda found: found.update(__metadata__={"gancli": 7})),
    "escape codes in names": header(
        lambda found: found.update({ESCAPE: found.pop("generator.conditional.layers.0.weight")})
    ),
    "unknown variant": facts(lambda ours: ours.update(variant="stylegan")),
    "variant a path": facts(lambda ours: ours.update(variant="../../etc/passwd")),
    "variant of escape codes": facts(lambda ours: ours.update(variant=ESCAPE)),
    "infinite losses": facts(lambda ours: ours.update(losses={"d_loss": [[1, 1e999], [2, 1.0]]})),
    "epoch a text": facts(lambda ours: ours.update(epoch="many")),
    "huge width": facts(lambda ours: ours["config"].update(width=10**12)),
    "largest width": facts(lambda ours: ours["config"].update(width=16384, inner_width=16384)),
    "width a boolean": facts(lambda ours: ours["config"].update(width=True)),
    "largest size": facts(lambda ours: ours["images"].update(size=8192)),
    "unknown option": facts(lambda ours: ours["config"].update(exec="rm")),
    "missing option": facts(lambda ours: ours["config"].pop("width")),
    "unknown kind": facts(lambda ours: ours.update(kind="pickle")),
}
READ: dict[str, Damage] = {
    "sound": lambda sound: sound,
    "escape codes in the dataset": facts(lambda ours: ours.update(dataset=ESCAPE)),
    "escape codes in classes": facts(lambda ours: ours["images"].update(class_names=[ESCAPE] * 10)),
    "escape codes in versions": facts(lambda ours: ours.update(versions={ESCAPE: ESCAPE})),
    "escape codes in losses": facts(lambda ours: ours.update(losses={ESCAPE: [[1, 1.0], [2, 2.0]]})),
    "losses at huge steps": facts(lambda ours: ours.update(losses={"d_loss": [[-(10**30), 1.0], [10**30, 2.0]]})),
}


def files(kind: str) -> list[Path]:
    return sorted(path for path in (CORPUS / kind).glob("*/*"))


@pytest.mark.parametrize("name", [*REFUSED, *READ])
def test_a_hostile_checkpoint_is_refused_in_one_line(finished: Finished, tmp_path: Path, name: str) -> None:
    tiny = ("--width", 2, "--inner-width", 2, "--latent-dim", 1, "--image-size", 4, "--batch-size", 4, "--steps", 2)
    sound = finished("train", *tiny, "--progress", "none", "--device", "cpu") / "ckpt.safetensors"
    path = tmp_path / "odd.safetensors"
    path.write_bytes((REFUSED | READ)[name](sound.read_bytes()))
    began = time.perf_counter()
    command("inspect", path)
    command("inspect", path, "--json")
    verified = command("inspect", path, "--verify")
    sampled = command("sample", path, "-n", 1, "-o", tmp_path / "a.png")
    assert time.perf_counter() - began < 4 * MAX_SECONDS
    assert (verified == "inspect: done") == (sampled == "sample: done") == (name in READ)
    assert (tmp_path / "a.png").exists() == (name in READ)


@pytest.mark.parametrize("path", files("images"), ids=lambda path: path.name)
def test_an_odd_image_is_decoded_or_refused_in_one_line(path: Path) -> None:
    if is_unsupported_image(path.name):
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
    assert bool(errors) == (path.parent.name == "refused")


@pytest.mark.parametrize("path", files("archives"), ids=lambda path: path.name)
def test_an_odd_archive_is_trained_on_or_refused_and_writes_nowhere_else(tmp_path: Path, path: Path) -> None:
    began = time.perf_counter()
    end = command("train", "-d", path, *TINY, "--steps", 1, "--out", tmp_path / "run", "--progress", "none")
    assert time.perf_counter() - began < 5 * MAX_SECONDS  # a step of training and its files included
    assert (end == "train: done") == (path.parent.name == "readable")
    assert not Path("/tmp/outside").exists()
    assert {entry.name for entry in tmp_path.iterdir()} <= {"run"}
    assert not (tmp_path.parent / "outside").exists()


def test_modes_and_orientation_are_decoded_to_the_same_grey() -> None:
    def decoded(name: str) -> Any:
        return decode((CORPUS / "images" / "readable" / name).read_bytes(), name)

    grey = decoded("grey.png")
    assert grey.size == (20, 12)
    for name in ("grey-16-bit.png", "palette-transparent.png"):
        same = decoded(name).convert("L")
        assert max(abs(a - b) for a, b in zip(same.tobytes(), grey.tobytes(), strict=True)) <= 16, name
    assert decoded("on-its-side.jpg").size == (12, 20)


def test_fuzzed_files_end_in_success_or_one_line(tmp_path: Path) -> None:
    """Fewer than by hand: `python -m tests.reliability.fuzz`."""
    (tmp_path / "archives").mkdir()
    for tally in (
        fuzz.checkpoints(100, random.Random(1), tmp_path),
        fuzz.images(150, random.Random(1)),
        fuzz.archives(50, random.Random(1), tmp_path / "archives"),
    ):
        assert tally.bad == []
        assert len(tally.ends) > 1
