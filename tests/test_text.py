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
    counts = [
        counted(1, "step"),
        counted(2, "step"),
        counted(0, "class"),
        counted(1, "entry"),
        counted(2000, "entry", ","),
    ]
    assert counts == ["1 step", "2 steps", "0 classes", "1 entry", "2,000 entries"]


@given(st.text(), st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8", "cp437", "utf-16"]))
def test_any_text_can_be_written_in_any_encoding(text: str, encoding: str) -> None:
    text.encode(encoding, READABLE)


@given(st.binary(min_size=1, max_size=40))
def test_the_bytes_of_a_file_name_come_out_as_they_are(name: bytes) -> None:
    assert os.fsdecode(name).encode("utf-8", READABLE) == name


@given(st.text(alphabet=st.characters()))
def test_what_is_printable_is_one_line_that_every_stream_takes(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")


def test_bytes_that_are_no_text_are_shown_as_bytes() -> None:
    assert printable(os.fsdecode(b"caf\xe9\n")) == "caf\\xe9\\n"
