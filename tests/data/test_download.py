"""Downloads against hosts that fail, break off, lie and hang."""

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gancli.data import download
from gancli.data.remote import RemoteFile
from gancli.errors import DataError, StoppedError
from gancli.events import Event, Preparing, Warned
from tests.conftest import heard

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Host(http.server.BaseHTTPRequestHandler):
    """Answers by path: /good, /busy (503), /wrong, /broken (breaks off, but can go on), /slow (never ends)."""

    ranges: list[str] = []  # noqa: RUF012 - what was asked for; emptied per test
    wanted = threading.Event()

    def do_GET(self) -> None:
        kind, start = self.path.split("/")[1], 0
        asked = self.headers.get("Range")
        if kind == "busy":
            self.send_error(503)
            return
        if asked:
            Host.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        if kind == "broken" and not asked:
            self.wfile.write(CONTENT[:300_000])
        elif kind == "slow":
            self.wfile.write(CONTENT[:1000])
            self.wfile.flush()
            Host.wanted.wait(20)
        else:
            self.wfile.write(CONTENT[start:] if kind != "wrong" else bytes(len(CONTENT)))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    Host.ranges.clear()
    Host.wanted.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Host.wanted.set()
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(root: Path, *urls: str) -> list[Event]:
    file = RemoteFile("SET/raw/file.gz", MD5, urls)
    return heard(download.fetch, file, root, "mnist", "put file.gz into DIR")[1]


def test_a_file_appears_whole_with_progress(host: str, tmp_path: Path) -> None:
    seen = fetched(tmp_path, f"{host}/good/file.gz")
    assert (tmp_path / "SET/raw/file.gz").read_bytes() == CONTENT
    last = [event for event in seen if isinstance(event, Preparing)][-1]
    assert (last.done, last.total, last.unit) == (len(CONTENT), len(CONTENT), "bytes")


def test_the_second_mirror_serves_when_the_first_is_busy(host: str, tmp_path: Path) -> None:
    seen = fetched(tmp_path, f"{host}/busy/file.gz", f"{host}/good/file.gz")
    (warning,) = (event.message for event in seen if isinstance(event, Warned))
    assert "503" in warning
    assert (tmp_path / "SET/raw/file.gz").read_bytes() == CONTENT


def test_a_transfer_that_broke_off_goes_on_where_it_was(host: str, tmp_path: Path) -> None:
    seen = fetched(tmp_path, f"{host}/broken/file.gz")
    assert Host.ranges == ["bytes=300000-"]
    assert sum(isinstance(event, Warned) for event in seen) == 1
    assert (tmp_path / "SET/raw/file.gz").read_bytes() == CONTENT


@pytest.mark.parametrize(("kind", "reason"), [("busy", "503"), ("wrong", "MD5")])
def test_after_three_rounds_one_line_says_what_to_do_by_hand(host: str, tmp_path: Path, kind: str, reason: str) -> None:
    with pytest.raises(DataError, match=rf"{host}/{kind}/file\.gz: .*{reason}.*; put file\.gz into DIR") as failure:
        fetched(tmp_path, f"{host}/{kind}/file.gz")
    assert "\n" not in str(failure.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_host_that_hangs_does_not_hold_up_a_stop(host: str, tmp_path: Path) -> None:
    events = list[Event]()

    def stop(event: Event) -> None:
        events.append(event)
        if len(events) == 3:
            raise StoppedError("stopped")

    started = time.monotonic()
    with pytest.raises(StoppedError):
        download.fetch(RemoteFile("file.gz", MD5, (f"{host}/slow/file.gz",)), tmp_path, "mnist", "", stop)
    assert time.monotonic() - started < 5
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named_at_once(host: str, tmp_path: Path) -> None:
    (tmp_path / "SET").write_text("in the way")
    with pytest.raises(DataError, match=r"SET/raw/file\.gz"):
        fetched(tmp_path, f"{host}/good/file.gz")
