import io

from hypothesis import given
from hypothesis import strategies as st

from gancli.report.area import Area
from tests.report.screen import Screen

LINES = st.lists(st.text("ab─", max_size=8), max_size=6)


class Watched:
    """An area and the screen it is on."""

    def __init__(self) -> None:
        self.stream, self.screen, self.sent = io.StringIO(), Screen(), 0
        self.area = Area(self.stream)

    def look(self) -> str:
        output = self.stream.getvalue()[self.sent :]
        self.sent += len(output)
        self.screen.feed(output)
        return output


@given(st.lists(LINES, max_size=6), st.lists(st.text("xy", min_size=1, max_size=8), max_size=3))
def test_the_screen_shows_the_last_lines_drawn_below_all_that_was_put_above(
    frames: list[list[str]], notes: list[str]
) -> None:
    watched = Watched()
    for index, lines in enumerate(frames):
        watched.area.draw(lines, 80)
        if index < len(notes):
            watched.area.above(notes[index])
    watched.area.close()
    watched.look()
    shown = [*notes[: len(frames)], *(frames[-1] if frames else [])]
    assert watched.screen.text == "\n".join(shown).rstrip("\n")
    assert watched.screen.row == len(shown)


def test_only_lines_that_changed_are_sent() -> None:
    watched = Watched()
    watched.area.draw(["a long line that stays", "one"], 80)
    watched.look()
    watched.area.draw(["a long line that stays", "two"], 80)
    sent = watched.look()
    assert "two" in sent
    assert "stays" not in sent
    watched.area.forget()
    watched.area.draw(["a long line that stays", "two"], 80)
    assert "stays" in watched.look()


def test_lines_that_a_narrower_terminal_wrapped_are_all_taken_back() -> None:
    watched = Watched()
    watched.area.draw(["\x1b[1m" + "x" * 70, "y" * 30], 80)
    watched.look()
    watched.area.draw(["x"], 30)
    assert "\x1b[4A" in watched.look()  # 70 characters in 3 rows of 30, 30 in one


def test_the_cursor_is_hidden_only_while_lines_are_sent() -> None:
    watched = Watched()
    watched.area.draw(["a"], 80)
    watched.look()
    assert watched.screen.cursor_shown


def test_a_terminal_that_is_gone_does_not_end_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, text)

    area = Area(Gone())
    area.draw(["a"], 80)
    area.above("b")
    area.close()
