"""Repositories of the Hugging Face Hub, as `hf:OWNER/NAME[@REVISION]`, through huggingface_hub (the extra `hub`).

Its cache, token, endpoint and offline mode are those that its users know: HF_HOME, HF_TOKEN or `hf auth login`, HF_ENDPOINT,
HF_HUB_OFFLINE. It is imported when it is first needed, and sends no telemetry.
"""

import contextlib
import dataclasses
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.errors import UsageError
from gancli.events import Emit, Preparing
from gancli.files.hub_errors import Kind, StoppedTransferError, error_class, explained
from gancli.format import size, size_variable
from gancli.text import printable

PREFIX = "hf:"
FORM = "hf:OWNER/NAME or hf:OWNER/NAME@REVISION"
LIMIT_VARIABLE, LIMIT_BYTES = "GAN_HUB_SIZE", 20 * 10**9  # the most that is downloaded for one option
NOT_CACHED = "not in the cache of huggingface_hub, and --no-download is given"
COMMIT = re.compile(r"[0-9a-f]{40}")
# hf://datasets/OWNER/NAME, as other libraries write it, is accepted, too.
WORD = re.compile(
    r"hf:(?://(?:datasets/|models/)?)?(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<part>[^@]+))?(?:@(?P<revision>[\w./-]+))?",
    re.ASCII,
)
NUM_TRANSFERS, POLL_S = 8, 0.25
MAX_NAME_BYTES = 1000


@dataclass(frozen=True)
class Reference:
    """A repository. `part`: a configuration or folder of a dataset, or `""`; `revision`: a branch, tag or commit, or
    `""`."""

    repo: str
    part: str = ""
    revision: str = ""

    def __str__(self) -> str:
        return f"{PREFIX}{self.repo}{self.part and '/'}{self.part}{self.revision and '@'}{self.revision}"

    @property
    def has_commit(self) -> bool:
        return COMMIT.fullmatch(self.revision) is not None


@dataclass(frozen=True)
class Repository:
    """A repository at a commit. `files`: the size in bytes of each file; `folder`: where fetched files are, by their
    names."""

    kind: Kind
    reference: Reference  # with the commit as its revision
    files: Mapping[str, int]
    folder: Path
    flag: str


def is_reference(word: object) -> bool:
    """Whether a dataset or checkpoint is a repository of the hub."""
    return isinstance(word, str) and word.startswith(PREFIX)


def parse(word: str, flag: str) -> Reference:
    """Parse `hf:OWNER/NAME[@REVISION]`; of datasets, `hf:OWNER/NAME/PART` is a configuration or folder. Raises
    `UsageError`."""
    found = WORD.fullmatch(word)
    parts = re.split("[/@]", word.partition(":")[2]) if found else []
    if found is None or {".", ".."} & {*parts} or any(part.endswith(".git") for part in parts):
        hint = "; of a dataset hf:OWNER/NAME/CONFIGURATION, too" if flag == "--dataset" else ""
        raise UsageError(f"{flag} {printable(word)}: must be {FORM}{hint}; ./{printable(word)} is a path")
    return Reference(found["repo"], (found["part"] or "").strip("/"), found["revision"] or "")


def name_of(file: Path) -> str:
    """Return the reference, with its commit, of a model in the hub's cache; `""` for any other file."""
    match file.parts[-4:]:
        case (str(folder), "snapshots", str(commit), _) if folder.startswith("models--") and COMMIT.fullmatch(commit):
            return f"{PREFIX}{folder.removeprefix('models--').replace('--', '/', 1)}@{commit}"
    return ""


def repository_of(file: Path) -> str:
    """Return the name, without its owner, of the repository of a model in the hub's cache; `""` for any other file."""
    return name_of(file).partition("@")[0].rpartition("/")[2]


def with_commit(word: str, kind: Kind, flag: str, recorded: object = None, download: bool = True) -> str:
    """Return a reference with the commit that its branch, tag or default branch is at. `recorded`: the reference of the
    run to resume, which is returned if it is of the same repository, unless `word` names a commit. Raises as `parse` and
    `resolve`."""
    reference = parse(word, flag)
    if is_reference(recorded) and not reference.has_commit:
        known = parse(str(recorded), flag)
        if (known.repo, known.part) == (reference.repo, reference.part):
            return str(known)
    return str(resolve(reference, kind, flag, download))


def resolve(reference: Reference, kind: Kind, flag: str, download: bool = True) -> Reference:
    """Return the reference with a commit. Without a connection (or without `download`), it is the one that was fetched last.
    Raises `DataError` or `CheckpointError`."""
    if reference.has_commit:
        return reference
    where = f"{flag} {reference}"
    with explained(where, reference.repo, kind) as hub:
        try:
            found = hub.HfApi().resolve_revision(
                reference.repo, repo_type=kind, revision=reference.revision or None, local_files_only=not download
            )
        except hub.errors.RevisionResolutionError as error:
            if download:
                raise
            raise error_class(kind)(f"{where}: {NOT_CACHED}") from error
        if not COMMIT.fullmatch(commit := str(found.resolved)):
            raise ValueError(f"its commit is given as {printable(commit)[:80]!r}")
    return dataclasses.replace(reference, revision=commit)


def listed(reference: Reference, kind: Kind, flag: str, download: bool = True) -> Repository:
    """List a repository. What huggingface_hub knows of a commit is in its cache, so that this needs no connection twice.
    Raises what `resolve` does."""
    reference = resolve(reference, kind, flag, download)
    where = {"repo_id": reference.repo, "repo_type": kind, "revision": reference.revision}
    with explained(f"{flag} {reference}", reference.repo, kind) as hub:
        # Fetches no file, but the list of them.
        folder = hub.snapshot_download(**where, allow_patterns=[], local_files_only=not download)
        try:
            found = hub.get_cached_repo_tree(**where)
        except hub.errors.CachedRepoTreeNotFoundError:  # a cache that cannot be written to, or an older version's
            found = [
                entry
                for entry in hub.HfApi().list_repo_tree(**where, recursive=True)
                if isinstance(entry, hub.RepoFile)
            ]
    return Repository(kind, reference, {entry.path: entry.size for entry in found}, Path(folder), flag)


def is_safe(name: str) -> bool:
    """Whether a file's name stays in the folder of its repository, and is no hidden file's."""
    parts = name.split("/")
    return (
        not any(part.startswith(".") or part == "" for part in parts)
        and not set(name) & {"\\", ":"}
        and name.isprintable()
        and len(name.encode()) <= MAX_NAME_BYTES
    )


def fetch(repository: Repository, names: Iterable[str], emit: Emit, download: bool = True) -> int:
    """Fetch the files that are not in the cache. Returns the size of all in bytes. Raises `DataError` or `CheckpointError`;
    an error that `emit` raises stops the transfers."""
    names = list(names)
    assert all(map(is_safe, names))
    sizes, reference = repository.files, repository.reference
    missing = [name for name in names if not (repository.folder / name).exists()]
    needed, own_limit = sum(sizes[name] for name in missing), size_variable(LIMIT_VARIABLE)
    limit = LIMIT_BYTES if own_limit is None else own_limit
    where = f"{repository.flag} {reference}"
    if needed > limit:
        raise error_class(repository.kind)(
            f"{where}: {size(needed)} to download, over the limit of {size(limit)}; {LIMIT_VARIABLE}={-(-needed // 10**9)}G "
            "raises it"
        )
    if missing and not download:
        raise error_class(repository.kind)(f"{where}: {NOT_CACHED}")
    with explained(where, reference.repo, repository.kind) as hub:
        _transfer(hub, repository, missing, needed, emit)
    return sum(sizes[name] for name in names)


def _transfer(hub: Any, repository: Repository, names: Iterable[str], total: int, emit: Emit) -> None:
    """Download files, several at a time, with progress. Raises what huggingface_hub does."""
    reference = repository.reference
    waiting, failures = deque(names), list[BaseException]()
    unwanted, lock, done = threading.Event(), threading.Lock(), 0

    class Bar:
        """What huggingface_hub takes for a progress bar of tqdm."""

        n = total = 0

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def update(self, count: float | None = 1) -> None:
            nonlocal done
            if unwanted.is_set():
                raise StoppedTransferError
            with lock:
                done += int(count or 0)

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *_, **__: None

    def work() -> None:
        with contextlib.suppress(IndexError):
            while not unwanted.is_set():
                name = waiting.popleft()
                try:
                    hub.hf_hub_download(
                        reference.repo, name, repo_type=repository.kind, revision=reference.revision, tqdm_class=Bar
                    )
                except BaseException as error:
                    failures.append(error)
                    unwanted.set()

    # Daemons, as a silent server must not keep the process from its end.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(NUM_TRANSFERS, len(waiting)))]
    try:
        for thread in threads:
            thread.start()
        while alive := [thread for thread in threads if thread.is_alive()]:
            if failures:
                break
            alive[0].join(POLL_S)
            emit(Preparing(f"downloading {reference.repo}", min(done, total), total, "bytes"))
    finally:
        unwanted.set()
        for thread in threads:
            thread.join(POLL_S)  # most remove what they have begun
    if failures:
        raise failures[0]
