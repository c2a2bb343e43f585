"""What is printed fits the columns there are, without a word broken, and without trailing blanks."""

import re
from pathlib import Path

import pytest

from gancli import catalogue
from gancli.config import RunConfig, fields_of
from tests.conftest import SMALL, Gan, gan_process

PAGES = [
    (),
    *((name,) for name in ("sample", "evaluate", "inspect", "report", "runs", "export", "variants", "cache", "demo")),
    *(("train", "-v", name) for name in catalogue.names()),
]


def lines_that_fit(text: str, columns: int) -> list[str]:
    """The lines of a text, which must fit and have no trailing blanks."""
    lines = text.splitlines()
    assert [line for line in lines if len(line) > columns or line != line.rstrip()] == []
    return lines


@pytest.mark.parametrize("args", PAGES, ids=lambda args: " ".join(args) or "gan")
def test_help_fits_and_breaks_no_word(gan: Gan, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    wide = set(gan(*args, "--help").out.split())
    monkeypatch.setenv("COLUMNS", "80")
    shown = gan(*args, "--help")
    assert shown.code == 0
    assert set(" ".join(lines_that_fit(shown.out, 80)).split()) == wide


def test_help_lists_every_option_of_every_variant(gan: Gan) -> None:
    for name in catalogue.names():
        page = gan("train", "-v", name, "--help").out
        for field in (*fields_of(RunConfig), *fields_of(catalogue.variant_info(name).config_class)):
            assert re.search(rf"(^|\s){field.long}(\s|,|$)", page, re.MULTILINE), field.long


@pytest.mark.parametrize("columns", [80, 100])
def test_what_is_piped_fits_the_columns_that_are_exported(
    gan: Gan, trained: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(trained)
    pages = [("variants",), ("inspect", "."), ("inspect", "digits", "--tensors")]
    for args in (*pages, *(("variants", name) for name in catalogue.names())):
        lines_that_fit(gan(*args).out, columns)
    for args in (("train", "--dry-run", *SMALL),):
        lines_that_fit(gan(*args).out, columns)
    done = gan("train", *SMALL, "--steps", 10, "--out", "x", "--progress", "plain")
    assert done.code == 0
    rows = [line for line in done.err.splitlines() if "step 5/10" in line]
    assert len(rows) == 1, "a log is searched: none of its lines is broken"
    assert "g_loss" in rows[0]


@pytest.mark.parametrize("columns", ["0", "7", "many", "", "-80", "9" * 5000, "²"])
def test_columns_that_are_no_sound_number_are_no_columns(columns: str) -> None:
    shown = gan_process("sample", "--help", COLUMNS=columns, FORCE_COLOR="1")
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"\x1b" not in shown.stdout
    assert 70 < max(map(len, shown.stdout.decode().splitlines())) <= 80
