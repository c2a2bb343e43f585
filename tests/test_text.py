"""Text for poor terminals, and file names that are no text."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.text import READABLE, counted, printable


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("8×8², ±1, a → b, …, –", "8x8^2, +-1, a -> b, ..., -"),
        ("↑ ↓", "^ v"),
        ("×10⁻³", "x10^-3"),
        ("╭─╮", "+-+"),
        ("café", "caf\\xe9"),  # a name: not ours to spell otherwise
        ("日本", "\\u65e5\\u672c"),
        ("▁▄█", "_=@"),
    ],
)
def test_what_ascii_lacks_becomes_what_reads_like_it(text: str, ascii_text: str) -> None:
    assert text.encode("ascii", READABLE) == ascii_text.encode()


def test_one_thing_is_not_called_many() -> None:
    counts = [counted(1, "step"), counted(2, "step"), counted(0, "class"), counted(2000, "entry", ",")]
    assert counts == ["1 step", "2 steps", "0 classes", "2,000 entries"]


@given(st.text(), st.binary(min_size=1, max_size=40))
def test_any_text_and_any_file_name_can_be_written_in_any_encoding(text: str, name: bytes) -> None:
    for encoding in ("ascii", "latin-1", "cp1252", "utf-8", "cp437", "utf-16"):
        text.encode(encoding, READABLE)
    assert os.fsdecode(name).encode("utf-8", READABLE) == name
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")


def test_bytes_that_are_no_text_are_shown_as_bytes() -> None:
    assert printable(os.fsdecode(b"caf\xe9\n")) == "caf\\xe9\\n"
