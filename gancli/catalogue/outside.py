"""Where the code of a variant comes from, and how code from outside of gan is imported: a file, or an installed package.

A file is imported only if a command line, a Python call or `GAN_VARIANTS` names it, and a package only if its name is
used: nothing that a checkpoint or `config.toml` contains is ever imported. Imports no torch.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any, Literal

from gancli.config.paths import expanded, read_file
from gancli.errors import GancliError, UsageError, VariantError, os_problem, shell_quoted
from gancli.text import few

GROUP = "gancli.variants"  # the group of entry points, NAME = "package.module"
FILES = "GAN_VARIANTS"  # the environment variable with the paths of files, separated as in PATH
SUFFIX = ".py"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
MODULE = "gancli_variant_file_"  # the beginning of the names of modules of files
RECORDED = ("file", "package", "python", "version")  # keys of `Origin.record` that say what the code is
PACKAGE = Path(__file__).parent.parent

_folders: dict[Path, None] = {}  # of code from outside that was imported


@dataclass(frozen=True)
class Origin:
    """Where the code of a variant comes from: gan itself, a file, an installed package (`distribution`), or a class given
    from Python. `sha256`: of the file, once it was read."""

    kind: Literal["gan", "file", "package", "python"]
    module: str
    path: Path | None = None
    sha256: str = ""
    distribution: str = ""
    version: str = ""
    attribute: str = ""  # the class within the module, if an entry point names it

    def __str__(self) -> str:
        if self.kind == "package":
            return f"{self.distribution} {self.version}".rstrip()
        return "gan" if self.kind == "gan" else "Python" if self.path is None else shown(self.path)

    def record(self) -> dict[str, str]:
        """Return what a checkpoint says about it: no folders, which differ between machines. Empty for gan's own."""
        if self.kind == "package":
            about = {"package": self.distribution, "version": self.version, "sha256": self.sha256}
        else:
            about = {"file": self.path.name, "sha256": self.sha256} if self.path and self.kind != "gan" else {}
        return about or ({"python": self.module} if self.kind == "python" else {})

    def changed_since(self, recorded: Mapping[str, object], file: str) -> str:
        """Return a note if the code of a variant from outside is not the one that wrote `file`, which has the record
        `recorded`; else `""`."""
        if self.kind == "gan" or self.record().get("sha256") == recorded.get("sha256"):
            return ""
        before = " ".join(str(recorded[key])[:80] for key in RECORDED if key in recorded) or "another variant"
        if self.path is None:
            return f"{file}: was written by {before}, and its variant is now of {self}"
        return f"{self} has changed since {file} was written (by {before}, {str(recorded.get('sha256'))[:12]})"


def missing_code(name: str, file: str, recorded: Mapping[str, object], known: Sequence[str]) -> str:
    """Return the error message for a `file` of a variant that is not among the `known` ones, by its record, which nothing is
    imported from."""
    about = {key: str(value)[:200] for key, value in recorded.items()}
    of = f"{file}: is of the variant {name[:80]}"
    if path := about.get("file"):
        word = shell_quoted(about.get("path") or f"./{path}")
        return f"{of}, whose code is the file {path}; name the file, which is then imported: -v {word} (or set {FILES})"
    if package := about.get("package"):
        version = about.get("version", "")
        wanted = shell_quoted(f"{package}=={version}" if version else package)
        return f"{of} of the package {package} {version}, which is not installed; if you trust it: pip install {wanted}"
    if "python" in about:
        return f"{of}, a class that was given from Python; give it again (variant=…)"
    return (
        f"{file}: names the variant {name[:80]!r}, which this gan does not have (it has {few(known, 12)}); use the gan "
        "that wrote the file, or add that variant to it (docs/adding-a-variant.md)"
    )


def is_file(word: str) -> bool:
    """Return whether a value of `--variant` is the path of a file rather than a name."""
    return word.endswith(SUFFIX)


def file_origin(word: str, flag: str) -> tuple[str, Origin]:
    """Return the name, which is that of the file without `.py`, and the origin of a file. Raises `UsageError`."""
    path = Path(os.path.abspath(expanded(word, flag)))  # noqa: PTH100 - links keep their names
    if not NAME.fullmatch(path.stem):
        raise UsageError(
            f"{flag} {word}: the name of the file names the variant, so it must be of ASCII letters, digits, - and _, and "
            "begin with a letter"
        )
    return path.stem, Origin("file", MODULE + path.stem, path)


def environment_files() -> dict[str, Path]:
    """Return the files that `GAN_VARIANTS` names, by the names of their variants."""
    words = [word for word in os.environ.get(FILES, "").split(os.pathsep) if word.strip()]
    paths = [Path(os.path.abspath(expanded(word, FILES))) for word in words]  # noqa: PTH100
    return {path.stem: path for path in reversed(paths)}


def packages() -> Mapping[str, tuple[Origin, ...]]:
    """Return the variants of installed packages by name, without importing them. More than one origin: several packages
    give that name."""
    return _packages(tuple(sys.path))


@functools.cache
def _packages(path: tuple[str, ...]) -> Mapping[str, tuple[Origin, ...]]:
    del path  # where packages are looked for
    found: dict[str, dict[str, Origin]] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        about = None if point.dist is None else point.dist.metadata
        distribution, version = ("unknown", "") if about is None else (about["Name"], about["Version"])
        origin = Origin("package", point.module, None, "", str(distribution), str(version), point.attr or "")
        found.setdefault(point.name, {})[str(distribution)] = origin
    return {name: tuple(origins.values()) for name, origins in sorted(found.items())}


def read(origin: Origin) -> tuple[Origin, bytes]:
    """Return a file's origin with its sha256, and its contents. Raises `VariantError` if it cannot be read."""
    assert origin.path is not None
    try:
        source = read_file(origin.path)
    except IsADirectoryError:
        raise VariantError(f"{shown(origin.path)}: is a folder; give the path of a .py file") from None
    except OSError as error:
        raise VariantError(os_problem(shown(origin.path), "read", error)) from error
    return dataclasses.replace(origin, sha256=hashlib.sha256(source).hexdigest()), source


def import_file(origin: Origin, source: bytes) -> ModuleType:
    """Import a file whose contents are `source`. What it prints goes to stderr. Other modules in its folder can be imported
    at its top. Raises `VariantError`, with the line."""
    path = origin.path
    assert path is not None
    module = ModuleType(origin.module)
    module.__file__ = str(path)
    module.__dict__["print"] = _print  # also in its steps: stdout is for results
    before = sys.modules.get(origin.module)
    sys.modules[origin.module] = module
    _folders[path.parent] = None
    try:
        with _importing(shown(path)), _importable(path.parent):
            exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[origin.module]
        if before is not None:
            sys.modules[origin.module] = before
        raise
    return module


def import_package(origin: Origin, module: str) -> ModuleType:
    """Import a module of an installed package. Raises `VariantError`, with the line."""
    with _importing(f"{origin} ({module})"):
        found = importlib.import_module(module)
        if file := getattr(found, "__file__", None):
            _folders[Path(file).parent] = None
    return found


def with_sha256(origin: Origin) -> Origin:
    """Return a package's origin with its module's file and the sha256 of it."""
    file = getattr(sys.modules[origin.module], "__file__", None)
    return read(dataclasses.replace(origin, path=Path(file)))[0] if file else origin


def _print(*values: object, **options: Any) -> None:
    print(*values, **{"file": sys.stderr, **options})  # noqa: T201


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Search the folder for modules, last: a file there replaces no installed module."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


@contextlib.contextmanager
def _importing(what: str) -> Iterator[None]:
    """Turn errors of an import into `VariantError`, with the line of the file. Threads that would keep the process from
    ending are one, and settings of the whole process that differ afterwards."""
    before, folder, defaults = set(threading.enumerate()), Path.cwd(), _torch_defaults()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except SyntaxError as error:
        where = f"{shown(Path(error.filename))}:{error.lineno}" if error.filename else what
        raise VariantError(f"{where}: cannot be imported: {error.msg}") from error
    except (GancliError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too
        where = place(error.__traceback__) or what
        raise VariantError(f"{where}: cannot be imported: {described(error)}") from error
    for thread in set(threading.enumerate()) - before:
        if not thread.daemon:
            target: Any = getattr(thread, "_target", None)
            where = place_of(target) if hasattr(target, "__code__") else what
            raise VariantError(f"{where}: starts a thread when it is imported; start none, or one with daemon=True")
    if changed := _restored(folder, defaults):
        raise VariantError(
            f"{what}: changes {changed} when it is imported, which applies to all of gan; leave it as it is"
        )


def _torch_defaults() -> dict[str, Any]:
    """Return torch's default dtype and device; nothing if it is not imported."""
    torch = sys.modules.get("torch")
    return {} if torch is None else {"dtype": torch.get_default_dtype(), "device": torch.get_default_device()}


def _restored(folder: Path, defaults: Mapping[str, Any]) -> str:
    """Undo changes of settings of the whole process: the working directory, and torch's defaults (which may not have been
    imported before). Return the last that differed, with its value, or `""`."""
    changed = ""
    if (now := Path.cwd()) != folder:
        os.chdir(folder)
        changed = f"the working directory to {now}"
    for name, value in _torch_defaults().items():
        import torch

        before = defaults.get(name, {"dtype": torch.float32, "device": torch.device("cpu")}[name])
        if value != before:
            getattr(torch, f"set_default_{name}")(before)
            changed = f"torch's default {name} to {value}"
    return changed


def described(error: BaseException) -> str:
    """Return an error's type and message as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def shown(path: Path) -> str:
    """Return a path for a message, relative to the working directory if it is in there."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def as_path(path: Path) -> str:
    """Return a path of a file as it is typed: `./mygan.py` in the working directory."""
    word = shown(path)
    return word if "/" in word or os.sep in word else f"./{word}"


def place(trace: TracebackType | FrameType | None) -> str:
    """Return the innermost place in imported code from outside, as `mygan.py:42`, of a traceback, or of a frame and its
    callers; `""` if it was not involved."""
    frame = trace if isinstance(trace, FrameType) else None
    while frame is not None:
        if _is_outside(frame.f_code.co_filename):
            return place_at(frame)
        frame = frame.f_back
    found = ""
    while isinstance(trace, TracebackType):
        if _is_outside(trace.tb_frame.f_code.co_filename):
            found = f"{shown(Path(trace.tb_frame.f_code.co_filename))}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def is_place(text: str) -> bool:
    """Return whether a text begins with a place in imported code from outside."""
    return bool(text) and _is_outside(os.path.abspath(text.partition(":")[0]))  # noqa: PTH100


def place_at(frame: FrameType) -> str:
    """Return the place that a frame is at."""
    return f"{shown(Path(frame.f_code.co_filename))}:{frame.f_lineno}"


def place_of(function: Any) -> str:
    """Return the place where a function or class is defined, as `mygan.py:12`, or else its name."""
    function = getattr(function, "__init__", function) if isinstance(function, type) else function
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return str(getattr(function, "__qualname__", function))
    return f"{shown(Path(code.co_filename))}:{code.co_firstlineno}"


def _is_outside(filename: str) -> bool:
    return bool(_folders) and _is_outside_of(filename, tuple(_folders))


@functools.lru_cache(4096)
def _is_outside_of(filename: str, folders: tuple[Path, ...]) -> bool:
    path = Path(filename)
    if path.is_relative_to(PACKAGE):
        return False
    for folder in folders:
        if path.is_relative_to(folder):
            inner = path.relative_to(folder).parts  # without an environment in the folder of a file
            return not {"site-packages", "dist-packages"} & set(inner)
    return False
