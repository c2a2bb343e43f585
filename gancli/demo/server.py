"""Serves the page of `gan demo` until a signal ends it."""

import contextlib
import errno
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence

from gancli.config.sample import DEMO_PORT
from gancli.demo.actions import PageModel
from gancli.errors import GancliError, UsageError, os_problem

GRACE_S = 1  # for requests that are open when the server ends: each open page has one


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens. `port`: None: `DEMO_PORT`, or a free one if that is used; 0: a free one. Raises
    `UsageError` for a host that is not of this machine, and `GancliError` for a port that cannot be used."""
    try:
        family, *_, address = socket.getaddrinfo(host.strip("[]"), port or 0, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: is not a known name or address ({_reason(error)})") from None
    ports = [DEMO_PORT, 0] if port is None else [port]
    for number in ports:
        try:
            return socket.create_server((address[0], number, *address[2:]), family=family)
        except OSError as error:
            if number != ports[-1] and error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            if error.errno == errno.EADDRNOTAVAIL:
                raise UsageError(f"--host {host}: is not an address of this machine") from None
            if error.errno == errno.EADDRINUSE:
                raise GancliError(f"--port {number}: is in use; give another one, or 0 for a free one") from None
            raise GancliError(os_problem(f"--port {number}", "used", error)) from None
    raise AssertionError  # the last port returns or raises


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def address(host: str, listening: socket.socket) -> str:
    """Return the address of the page: for all addresses of this machine, the one with its name."""
    shown = host.strip("[]")
    if shown in ("0.0.0.0", "::"):
        shown = socket.gethostname()
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}"


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt in the body, as Ctrl-C does. Signals that are ignored stay so."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in names)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(models: Sequence[PageModel], listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve the page until KeyboardInterrupt. `ready` is called when requests are accepted. What is uploaded and generated
    is in a folder of this process alone, which is removed."""
    with tempfile.TemporaryDirectory(prefix="gan-demo-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        import fastapi
        import uvicorn
        from gradio import mount_gradio_app

        from gancli.demo import page

        stopped = threading.Event()
        app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        host, port = listening.getsockname()[:2]
        blocks = page.build(models, stopped)
        app = mount_gradio_app(app, blocks, path="/", server_name=host, server_port=port, **page.settings())
        config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=GRACE_S)

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets=sockets)
                ready()

        with contextlib.suppress(KeyboardInterrupt):
            try:
                Server(config).run(sockets=[listening])
            finally:
                stopped.set()
