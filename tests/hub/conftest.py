"""A hub on this machine, and an empty cache."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.server import Hub, serving


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A running server, which huggingface_hub in this process and in others takes for the hub; its cache is
    `HF_HUB_CACHE`."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="the extra hub is not installed")
    home = tmp_path_factory.mktemp("hf")
    with serving() as server:
        values = {
            "ENDPOINT": server.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_TELEMETRY": True,
            "HF_HUB_DISABLE_XET": True,
        }
        for name, value in values.items():  # read from the environment when it was imported
            monkeypatch.setattr(constants, name, value)
        environment = {
            "HF_ENDPOINT": server.address,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
        }
        for name, text in environment.items():
            monkeypatch.setenv(name, text)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        yield server


@pytest.fixture
def cache(hub: Hub) -> Path:
    """The cache of huggingface_hub."""
    del hub
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set HF_HUB_OFFLINE for this process."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
