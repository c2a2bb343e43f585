"""Upload a model to the Hugging Face Hub: the folder that `-o FOLDER/` writes becomes a repository."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gancli.config.paths import expanded
from gancli.errors import GancliError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.files import hub
from gancli.files.hub import Reference
from gancli.files.hub_errors import explained, import_hub
from gancli.text import printable

FLAG = "--push"


@dataclass(frozen=True)
class Pushed:
    """An upload, or what would be one. `files`: their sizes in bytes; `commit`: None if nothing was uploaded."""

    address: str
    private: bool
    files: dict[str, int]
    commit: str | None = None


def reference(word: str) -> Reference:
    """Parse the value of `--push`. Raises `UsageError`."""
    try:
        found = hub.parse(word if hub.is_reference(word) else f"{hub.PREFIX}{word}", FLAG)
    except UsageError:
        found = None
    if found is None or found.part or found.revision:
        raise UsageError(f"{FLAG} {printable(word)}: must be OWNER/NAME")
    return found


@contextlib.contextmanager
def folder(output: str | None, target: Reference, is_trial: bool) -> Iterator[Path]:
    """The folder to write the model to: that of `-o`, else a temporary one, which is removed unless the upload fails. A
    dry run always takes a temporary one. Raises `UsageError` and `GancliError`."""
    if output is not None and not is_trial:
        path = expanded(output, "-o")
        with _kept(path):
            yield path
        return
    try:
        parent = Path(tempfile.mkdtemp(prefix="gan-export-"))
    except OSError as error:
        raise GancliError(os_problem(f"{FLAG} {target.repo}: a temporary folder", "made", error)) from error
    path = parent / target.repo.rpartition("/")[2]
    with _kept(path):
        yield path
    shutil.rmtree(parent, ignore_errors=True)


class UploadError(GancliError):
    """An upload failed; the folder stays."""


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[None]:
    """Name the folder in the error of a failed upload. Other errors, before the upload, remove a temporary folder."""
    try:
        yield
    except UploadError as error:
        raise GancliError(f"{error}; the folder is {path}, which `hf upload` can upload, too") from error
    except BaseException:
        if path.parent.name.startswith("gan-export-"):
            shutil.rmtree(path.parent, ignore_errors=True)
        raise


def planned(target: Reference, private: bool, path: Path) -> Pushed:
    """What `upload` would do."""
    files = {file.name: file.stat().st_size for file in sorted(path.iterdir())}
    return Pushed(f"{_endpoint(target)}/{target.repo}", private, files)


def upload(target: Reference, private: bool, path: Path, emit: Emit) -> Pushed:
    """Upload a folder as one commit; the repository is made if it does not exist. Raises `UploadError`."""
    emit(Preparing(f"uploading to {target.repo}", 0, 0, ""))
    try:
        with explained(f"{FLAG} {target.repo}", target.repo, "model") as client:
            api = client.HfApi()
            api.create_repo(target.repo, private=private or None, exist_ok=True)
            if private and not api.repo_info(target.repo).private:
                raise GancliError(f"--private: {target.repo} exists, and is public; change that in its settings")
            done = api.upload_folder(
                repo_id=target.repo, folder_path=path, commit_message="Upload a model with gan export"
            )
    except GancliError as error:
        raise UploadError(str(error)) from error
    plan = planned(target, private, path)
    return Pushed(plan.address, private, plan.files, str(done.oid))


def _endpoint(target: Reference) -> str:
    return str(import_hub(f"{FLAG} {target.repo}").constants.ENDPOINT)
