"""Upload a model to the Hugging Face Hub: the folder that `-o FOLDER/` writes becomes a repository."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
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


class UploadError(GancliError):
    """An upload failed; the folder stays."""


@contextlib.contextmanager
def folder(output: str | None, target: Reference, is_trial: bool) -> Iterator[Path]:
    """Yield the folder to write the model to: that of `-o`, else a temporary one, which is removed unless the upload fails.
    A dry run always takes a temporary one. Raises `UsageError` and `GancliError`."""
    if output is not None and not is_trial:
        yield expanded(output, "-o")
        return
    try:
        parent = Path(tempfile.mkdtemp(prefix="gan-export-"))
    except OSError as error:
        raise GancliError(os_problem(f"{FLAG} {target.repo}: a temporary folder", "made", error)) from error
    try:
        yield parent / target.repo.rpartition("/")[2]
    except UploadError:
        raise
    except BaseException:
        shutil.rmtree(parent, ignore_errors=True)
        raise
    shutil.rmtree(parent, ignore_errors=True)


def planned(target: Reference, private: bool, path: Path) -> Pushed:
    """Return what `upload` would do."""
    files = {file.name: file.stat().st_size for file in sorted(path.iterdir())}
    endpoint = import_hub(f"{FLAG} {target.repo}").constants.ENDPOINT
    return Pushed(f"{endpoint}/{target.repo}", private, files)


def upload(target: Reference, private: bool, path: Path, emit: Emit) -> Pushed:
    """Upload a folder as one commit; the repository is made if it does not exist. Raises `UploadError`, which names the
    folder."""
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
        raise UploadError(f"{error}; the folder is {path}, which `hf upload` can upload, too") from error
    return replace(planned(target, private, path), commit=str(done.oid))
