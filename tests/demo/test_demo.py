"""`gan demo` as a process of its own: its page through Gradio's client and in a browser, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SMALL, Finished, Gan
from tests.demo.browser import Browser, browser

# A `gan` that says to which other machines it connects, or whose names it looks up.
LOCAL = """
import signal, sys
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        place = args[1] if event == "socket.connect" else args[0]
        host = place[0] if isinstance(place, tuple) else place
        if host not in ("127.0.0.1", "localhost", "::1", None) and not str(host).startswith("/"):
            print("connects to", place, file=sys.stderr)
sys.addaudithook(hook)
signal.signal(signal.SIGINT, signal.default_int_handler)
from gancli.__main__ import entry
entry()
"""


@contextmanager
def demo(*args: object) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`gan demo` with a free port: its process, and the address of its page."""
    words = [sys.executable, "-c", LOCAL, "demo", *map(str, args), "--no-open", "--port", "0", "--device", "cpu"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def needs_gradio() -> None:
    pytest.importorskip("gradio", reason="the extra demo")


@pytest.fixture
def models(finished: Finished, enlarger: Path) -> list[Path]:
    return [finished("train", "-v", "cgan", *SMALL, "--steps", 4), enlarger]


def test_a_demo_without_a_model_says_what_to_give(gan: Gan) -> None:
    outcome = gan("demo")
    assert outcome.code == 2
    assert "give the models to show: run directories, checkpoints, or a pretrained model (" in outcome.err
    assert " digits, " in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.usefixtures("needs_gradio")
def test_an_address_that_cannot_be_used_is_one_line(gan: Gan) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        cases = {
            ("--port", port): (1, f"--port {port}: is in use; give another one, or 0 for a free one"),
            ("--port", 70000): (2, "--port 70000: must be"),
            ("--host", "no such host"): (2, "--host no such host: is not a known name or address"),
            ("--host", "192.0.2.1"): (2, "--host 192.0.2.1: is not an address of this machine"),
        }
        for words, (code, message) in cases.items():
            outcome = gan("demo", "digits", *words)
            assert (outcome.code, outcome.out) == (code, ""), words
            assert message in outcome.err
            assert len(outcome.err.splitlines()) == 1


def test_without_gradio_the_extra_is_named(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    outcome = gan("demo", "digits")
    assert (outcome.code, outcome.err) == (
        1,
        "gan: gradio is missing, which gan demo needs: pip install 'gancli[demo]'\n",
    )


@pytest.mark.slow
@pytest.mark.usefixtures("needs_gradio")
@pytest.mark.filterwarnings("default")  # those of the client are not ours
def test_the_page_answers_gradios_client_and_ends_quietly(gan: Gan, models: list[Path], tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    folder = tmp_path / "temporary"
    folder.mkdir()
    Path("text.png").write_text("hello")
    Image.effect_noise((20, 13), 60).convert("RGB").save("photo.png")
    for number in (signal.SIGINT, signal.SIGTERM):
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("TMPDIR", str(folder))
            with demo(*models) as (process, address):
                client = Client(
                    address, verbose=False, download_files=str(tmp_path / "client"), analytics_enabled=False
                )
                values = (16, -1, 3.0)  # number, label, truncation
                first, line = client.predict(0, *values, api_name="/images")
                second, _ = client.predict(1, *values, api_name="/images")
                assert gan(*line.split()[1:], "-o", "grid.png").code == 0
                with Image.open(first) as one, Image.open(second) as other, Image.open("grid.png") as expected:
                    assert np.array_equal(np.asarray(one), np.asarray(expected))
                    assert not np.array_equal(np.asarray(one), np.asarray(other))
                _, told = client.predict(handle_file("text.png"), api_name="/enlarge")
                assert "text.png: not an image, or a damaged one</p>" in told
                (plain, large), told = client.predict(handle_file("photo.png"), api_name="/enlarge")
                assert "photo.png: 20×13 pixels enlarged to 80×52" in told
                with Image.open(plain) as one, Image.open(large) as other:
                    assert one.size == other.size == (80, 52)
                process.send_signal(number)
                out, err = process.communicate(timeout=30)
            assert (process.returncode, out, err) == (0, "", "Ctrl-C ends\n")
        assert list(folder.glob("gan-demo-*")) == [], "what was generated and uploaded is removed"
        client.close()


GRID = "[...document.querySelectorAll('.gan-pick img')].find((image) => image.offsetParent && image.naturalWidth)"
MOVED = """(async () => {
  const grid = () => %s;
  while (!grid()) await new Promise((done) => setTimeout(done, 10));
  const before = grid().src, seed = [...document.querySelectorAll("input[type=range]")].find((each) => each.max == 99999);
  seed.value = 5;
  seed.dispatchEvent(new Event("input", { bubbles: true }));
  const start = performance.now();
  while (true) {
    const image = grid();
    if (image && image.src !== before && image.complete) return performance.now() - start;
    if (performance.now() - start > 20000) return null;
    await new Promise((done) => setTimeout(done, 1));
  }
})()"""


def click(page: Browser, x: float, y: float) -> None:
    """Click the visible grid, at shares of its width and height."""
    place = f"""(async () => {{
      const grid = () => {GRID};
      while (!grid()) await new Promise((done) => setTimeout(done, 10)); // it is replaced while it is drawn anew
      grid().scrollIntoView({{ block: "center" }});
      const at = grid().getBoundingClientRect();
      return [at.left + {x} * at.width, at.top + {y} * at.height];
    }})()"""
    left, top = page.run(place)
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=left, y=top, button="left", clickCount=1)


@pytest.mark.slow
@pytest.mark.usefixtures("needs_gradio")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the browser is talked to by pipes")
def test_in_a_browser_a_slider_moves_a_click_wanders_and_nothing_comes_from_elsewhere(
    models: list[Path], tmp_path: Path
) -> None:
    Path("text.png").write_text("hello")
    with demo(*models) as (process, address), browser(tmp_path / "profile") as page:
        for width in (1280, 390):
            page.open(address, width)
            page.until(f"!!{GRID}")
            assert page.run(MOVED % GRID), "another seed shows another image"
            click(page, 0.25, 0.25)  # the third of ten columns
            page.until("document.body.innerText.includes('First image: seed 7.')")
            click(page, 0.6, 0.1)
            page.until("document.body.innerText.includes('seed 7, moved')")
            assert page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        page.run("[...document.querySelectorAll('button[role=tab]')].find((tab) => tab.innerText == 'Enlarge').click()")
        page.until("!!document.querySelector('input[type=file]')")
        page.upload("input[type=file]", tmp_path / "text.png")
        page.until("document.body.innerText.includes('text.png: not an image')")
        assert [url for url in page.requests if not url.startswith((address, "data:", "blob:"))] == []
        assert page.errors == []
        process.send_signal(signal.SIGINT)  # with a page open
        assert process.communicate(timeout=30) == ("", "Ctrl-C ends\n")
        assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("needs_gradio")
@pytest.mark.filterwarnings("default")
def test_an_exported_space_shows_the_same_page(gan: Gan, models: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio_client import Client

    yaml = pytest.importorskip("yaml", reason="the extra test")
    outcome = gan("export", models[0], "-o", "space/", "--space", "--license", "mit")
    assert outcome.code == 0, outcome.err
    found = {path.name for path in Path("space").iterdir()}
    assert found == {"app.py", "requirements.txt", "README.md", "config.json", "model.safetensors", "samples.png"}
    front = yaml.safe_load(Path("space/README.md").read_text("utf-8").split("---\n")[1])
    assert front["sdk"] == "gradio"
    assert front["app_file"] == "app.py"
    assert Path("space/requirements.txt").read_text("utf-8").startswith("gancli[demo]==")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("GRADIO_SERVER_PORT", str(port))
    process = subprocess.Popen([sys.executable, "space/app.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert str(port) in process.stdout.readline()
        client = Client(f"http://127.0.0.1:{port}", verbose=False, analytics_enabled=False)
        grid, line = client.predict(3, 16, -1, 3.0, api_name="/images")
        assert line.startswith("gan sample model.safetensors -n 16 --seed 3")
        assert gan("sample", models[0], *line.split()[3:], "-o", "grid.png").code == 0
        with Image.open(grid) as one, Image.open("grid.png") as expected:
            assert np.array_equal(np.asarray(one), np.asarray(expected))
        client.close()
    finally:
        process.kill()
        process.communicate()


def test_a_space_is_a_folder(gan: Gan) -> None:
    outcome = gan("export", "digits", "-o", "digits.pt2", "--space")
    assert outcome.code == 2
    assert outcome.err == "gan: --space: is for a folder; -o digits.pt2 is a file\n"
