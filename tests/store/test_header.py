"""Headers of untrusted files: a valid one is read, any other is an error of one line."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gancli.errors import CheckpointError
from gancli.store.header import json_object, read_header

TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def file_of(path: Path, header: object, data: bytes = b"\0" * 8) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_a_valid_header_is_read(tmp_path: Path) -> None:
    header = read_header(file_of(tmp_path / "a", {"__metadata__": {"format": "pt"}, "w": TENSOR}))
    assert header.tensors["w"].shape == (2,)
    assert header.metadata == {"format": "pt"}


@pytest.mark.parametrize(
    ("header", "data", "complaint"),
    [
        ({"w": TENSOR}, b"\0" * 7, "cut short"),
        ({"w": TENSOR}, b"\0" * 9, "followed by other bytes"),
        ({"w": {**TENSOR, "shape": [0, 2**62]}}, b"\0" * 8, "impossible shape"),
        ({"w": {**TENSOR, "shape": [-2]}}, b"\0" * 8, "impossible shape"),
        ({"w": {**TENSOR, "shape": [True, 2]}}, b"\0" * 8, "impossible shape"),
        ({"w": {**TENSOR, "shape": [3]}}, b"\0" * 8, "do not match"),
        ({"w": {**TENSOR, "dtype": "F8"}}, b"\0" * 8, "unsupported dtype"),
        ({"w": {**TENSOR, "data_offsets": [-8, 0]}}, b"\0" * 8, "do not match"),
        ({"w": TENSOR, "v": TENSOR}, b"\0" * 8, "overlap"),
        ({"w": {**TENSOR, "more": 1}}, b"\0" * 8, "malformed"),
        ({"w": [1]}, b"\0" * 8, "malformed"),
        ({"__metadata__": {"a": 1}}, b"", "map of strings"),
        (b'{"w": 1, "w": 2}', b"", "is repeated"),
        (b"[" * 100_000, b"", "too deeply"),
        (b'{"w": NaN}', b"", "NaN"),
        (b"\xff\xfe{}", b"", "UTF-8"),
        (b"[]", b"", "not a JSON object"),
        (b'{"w": ' + b"9" * 5000 + b"}", b"", "not a safetensors"),
    ],
)
def test_an_invalid_header_is_refused_in_one_line(tmp_path: Path, header: object, data: bytes, complaint: str) -> None:
    path = file_of(tmp_path / "bad.safetensors", header, data)
    with pytest.raises(CheckpointError) as caught:
        read_header(path)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 9, b"hello, this is a text\n" * 10, (2**63).to_bytes(8, "little") * 2]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_header(path)


def test_a_header_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write((9 << 20).to_bytes(8, "little"))
        file.truncate(10 << 20)
    with pytest.raises(CheckpointError, match="over the limit"):
        read_header(path)


@settings(deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_are_a_header_or_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz"
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        read_header(path)


@given(st.text(max_size=50))
def test_json_object_raises_only_value_errors(text: str) -> None:
    with contextlib.suppress(ValueError):
        json_object(text)
