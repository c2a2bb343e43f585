"""Import huggingface_hub, and say in one line why a request to the hub failed."""

import contextlib
import errno
import importlib
import os
from collections.abc import Iterator
from typing import Any, Literal

from gancli.errors import CheckpointError, DataError, GancliError
from gancli.text import printable

Kind = Literal["dataset", "model"]


class StoppedTransferError(Exception):
    """Ends a transfer that nobody waits for any more."""


def import_hub(where: str) -> Any:
    """Return huggingface_hub, without its warnings. Raises `GancliError` if it is missing or too old."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
    try:
        hub = importlib.import_module("huggingface_hub")
        for name in ("constants", "errors", "utils"):
            importlib.import_module(f"huggingface_hub.{name}")
        version = tuple(map(int, hub.__version__.split(".")[:2]))
    except (ImportError, ValueError) as error:
        missing = getattr(error, "name", None) or "huggingface_hub"
        raise GancliError(f"{where}: {missing} is missing: pip install 'gancli[hub]'") from error
    if version < (2, 4):
        raise GancliError(
            f"{where}: huggingface_hub {hub.__version__} is too old; 2.4 is needed: pip install -U 'gancli[hub]'"
        )
    if "HF_HUB_VERBOSITY" not in os.environ:
        hub.utils.logging.set_verbosity_error()  # what matters is in the errors
    return hub


def error_class(kind: Kind) -> type[GancliError]:
    return DataError if kind == "dataset" else CheckpointError


@contextlib.contextmanager
def explained(where: str, repo: str, kind: Kind) -> Iterator[Any]:
    """Yield huggingface_hub. What it raises within is raised as `DataError` or `CheckpointError`, in one line that says how
    to fix it; meanwhile it shows no progress bars of its own."""
    hub = import_hub(where)
    own = hub.constants.HF_HUB_DISABLE_PROGRESS_BARS is None
    try:
        with hub.utils.disable_progress_bars() if own else contextlib.nullcontext():
            yield hub
    except (GancliError, StoppedTransferError):
        raise
    except Exception as error:  # of huggingface_hub's and its HTTP library's many kinds
        raise error_class(kind)(f"{where}: {_reason(hub, error, repo, kind)}") from error


def _reason(hub: Any, error: BaseException, repo: str, kind: Kind) -> str:
    """Return why a request to the hub failed, and how to fix it."""
    errors, constants = hub.errors, hub.constants
    address = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repo}"
    chain = list(_chain(error))
    status = next((e.response.status_code for e in chain if isinstance(e, errors.HfHubHTTPError)), None)
    login = "`hf auth login` or HF_TOKEN"
    if any(isinstance(e, errors.GatedRepoError) for e in chain):
        return f"gated: accept its terms at {address}, and log in with {login}"
    if any(isinstance(e, errors.RevisionNotFoundError) for e in chain):
        return "no such revision (a branch, tag or commit)"
    if any(isinstance(e, errors.RepositoryNotFoundError) for e in chain):
        return f"no such {kind} repository at {constants.ENDPOINT}, or a private one (log in with {login})"
    if status in (401, 403):
        return f"access denied ({status}); log in with {login}, with a token that may do this"
    if status == 429:
        return "the hub refuses more requests for now (429); try again later" + (
            "" if hub.get_token() else f", or with {login}"
        )
    if status is not None:
        return f"{constants.ENDPOINT} answers {status}{_detail(error)}"
    if constants.is_offline_mode() and any(
        isinstance(e, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError) for e in chain
    ):
        return "not in the cache of huggingface_hub, and HF_HUB_OFFLINE is set"
    for each in chain:
        if isinstance(each, OSError) and each.errno in (
            errno.ENOSPC,
            errno.EACCES,
            errno.EROFS,
            errno.EDQUOT,
            errno.EPERM,
        ):
            return f"cannot be written to {constants.HF_HUB_CACHE} ({each.strerror}); HF_HOME names another folder"
    if any(type(e).__module__.startswith(("httpx", "httpcore")) or isinstance(e, ConnectionError) for e in chain):
        return f"{constants.ENDPOINT} cannot be reached{_detail(chain[-1])}"
    if any(isinstance(e, errors.LocalEntryNotFoundError) for e in chain):
        return f"not in the cache of huggingface_hub{_detail(chain[-1])}"
    return f"cannot be fetched{_detail(error)}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _detail(error: BaseException) -> str:
    """Return the beginning of an error's text, in brackets."""
    text = printable(" ".join(str(error).split()))
    return f" ({text[:160]})" if text else f" ({type(error).__name__})"
