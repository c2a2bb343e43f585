"""Downloads from hosts that fail, break off, lie and hang."""

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gancli.data import download
from gancli.data.download import RemoteFiles
from gancli.errors import DataError, StoppedError
from gancli.events import Event, Preparing, Warned, ignore
from tests.conftest import heard

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Host(http.server.BaseHTTPRequestHandler):
    """Answers by path: /good, /busy (503), /wrong, /broken (breaks off once), /slow (a byte now and then), /silent."""

    broken_off = False
    ended = threading.Event()

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "busy":
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if kind == "broken" and not Host.broken_off:
            Host.broken_off = True
            self.wfile.write(CONTENT[:300_000])
        elif kind in ("slow", "silent"):
            self.wfile.write(CONTENT[:1000])
            while not Host.ended.wait(0.05):
                self.wfile.write(b"x" if kind == "slow" else b"")
        else:
            self.wfile.write(CONTENT if kind != "wrong" else bytes(len(CONTENT)))

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """The client has gone."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    Host.broken_off = False
    Host.ended.clear()
    server = Server(("127.0.0.1", 0), Host)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Host.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(root: Path, *mirrors: str) -> list[Event]:
    files = RemoteFiles("SET", [f"{mirror}/" for mirror in mirrors], {"file.gz": MD5}, {})
    return heard(files.fetch, [root / "SET/file.gz"], "mnist", True)[1]


@pytest.mark.parametrize(("kinds", "problem"), [(["good"], ""), (["busy", "good"], "503"), (["broken"], "broke off")])
def test_a_file_appears_whole_from_another_mirror_or_another_attempt(
    host: str, tmp_path: Path, kinds: list[str], problem: str
) -> None:
    seen = fetched(tmp_path, *(f"{host}/{kind}" for kind in kinds))
    assert (tmp_path / "SET/file.gz").read_bytes() == CONTENT
    last = [event for event in seen if isinstance(event, Preparing)][-1]
    assert (last.done, last.total, last.unit) == (len(CONTENT), len(CONTENT), "bytes")
    assert [problem in event.message for event in seen if isinstance(event, Warned)] == [True] * bool(problem)


@pytest.mark.parametrize(("kind", "reason"), [("busy", "503"), ("wrong", "MD5"), ("silent", "timed out")])
def test_after_three_rounds_one_line_says_what_to_do_by_hand(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, reason: str
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    with pytest.raises(
        DataError, match=rf"{host}/{kind}/file\.gz: .*{reason}.*; put file\.gz .* into {tmp_path}/SET"
    ) as e:
        fetched(tmp_path, f"{host}/{kind}")
    assert "\n" not in str(e.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_stop_ends_a_slow_download_and_leaves_nothing(host: str, tmp_path: Path) -> None:
    started = time.monotonic()

    def stop(event: Event) -> None:
        if isinstance(event, Preparing) and event.done:
            raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        RemoteFiles("", [f"{host}/slow/"], {"file.gz": MD5}, {}).fetch([tmp_path / "file.gz"], "mnist", True, stop)
    assert time.monotonic() - started < 5
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named_at_once(host: str, tmp_path: Path) -> None:
    (tmp_path / "SET").write_text("in the way")
    with pytest.raises(DataError, match=r"SET/file\.gz: cannot be written"):
        fetched(tmp_path, f"{host}/good")


def test_no_download_names_the_files_their_addresses_and_their_folder(tmp_path: Path) -> None:
    files = RemoteFiles("SET", ["http://host/"], {"a": "", "b": ""}, {})
    advice = rf"--no-download is given; put a \(from http://host/a\) and b \(from http://host/b\) into {tmp_path}/SET$"
    with pytest.raises(DataError, match=advice):
        files.read(["a", "b"], tmp_path, "mnist", False, ignore)
