"""`gan demo`: models on a page in the browser."""

import importlib.util
import os
import sys
import threading
import webbrowser
from typing import Any

from gancli.cli import ckpt, console, options
from gancli.config import fields_of, paths
from gancli.config.sample import DemoConfig
from gancli.errors import GancliError, UsageError

NEEDED = ("gradio", "uvicorn", "fastapi")


def _demo(
    checkpoints: list[str] | None, variant: list[str] | None, device: str, open_browser: bool | None, **values: Any
) -> None:
    paths.check_working_directory()
    ckpt.name_variants(variant)
    config = DemoConfig(**options.given(DemoConfig, values))
    if not checkpoints:
        raise UsageError(f"CKPT: give the models to show: run directories, checkpoints, or {ckpt.PRETRAINED}")
    places = ckpt.resolve_all(checkpoints, trained=True)
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise GancliError(f"{name} is missing, which gan demo needs: pip install 'gancli[demo]'")

    from gancli.demo import actions, server

    with server.listen(config.host, config.port) as listening, server.ended_by_signals():
        models = actions.load_all(places, device)
        for shown in models:
            ckpt.print_changed(shown.model.path, shown.model.facts)
        address = server.address(config.host, listening)

        def ready() -> None:
            console.print_result(address)
            if config.host not in LOCAL:
                console.print_message(
                    f"note: --host {config.host}: everyone who can reach this address can use the page"
                )
            console.print_message("Ctrl-C ends")
            if _opens() if open_browser is None else open_browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        server.serve(models, listening, ready)


LOCAL = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


def _opens() -> bool:
    """Whether there is somebody to open a browser for: a terminal, and on Linux a display."""
    display = sys.platform in ("win32", "darwin") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
    return display and console.takes_codes(sys.stderr)


demo = options.with_signature(
    _demo,
    [
        options.argument("checkpoints", list[str] | None, metavar="CKPT...", show_default=False, **ckpt.COMPLETION, help=(
            f"Run directories, checkpoints, hf:OWNER/NAME, or {ckpt.PRETRAINED}; several are shown side by side."
        )).replace(default=None),
        options.annotated("variant", ckpt.Variants),
        *(options.parameter(field) for field in fields_of(DemoConfig)),
        options.plain_option("open_browser", bool | None, "--open/--no-open", show_default=False, help=(
            "Open the page in the browser. [dim](default: on a terminal with a display)[/]")),
        options.DEVICE,
    ],
)  # fmt: skip
