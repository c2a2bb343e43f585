import pytest

from gancli.report import words


@pytest.mark.parametrize(
    ("name", "shown"),
    [("d_real", "D(real)"), ("d0_fake", "D0(fake)"), ("g_loss", "G loss"), ("d2_loss", "D2 loss"),
     ("content", "content"), ("[red]\x1b[31m", "[red]\\x1b[31m")],
)  # fmt: skip
def test_known_terms_get_the_papers_names_and_others_stay(name: str, shown: str) -> None:
    assert words.label(name) == shown


def test_amounts_without_a_total_name_what_is_done() -> None:
    assert words.amount(1200, 0, "images") == "1,200 images"
    assert words.amount(0, 0, "files") == words.amount(3, 4, "") == ""
    assert words.amount(0, 25, "images") == "0 of 25 images"
    assert words.amount(12_000_000, 34_000_000, "bytes") == "12 MB of 34 MB"
