"""`gan env`: versions, devices, CPUs, memory, paths and extras, to paste into a bug report."""

import importlib
import importlib.metadata
import math
import os
import platform
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli import console
from gancli.config import paths
from gancli.config.run import DATA_ROOT
from gancli.data import cache_entries
from gancli.errors import GancliError, os_problem
from gancli.format import size
from gancli.machine import memory
from gancli.process import CPUS, __version__
from gancli.text import counted, printable

IMPORTED = ("torch", "torchvision")  # which are broken more often than missing
PACKAGES = ("numpy", "pillow", "safetensors", "typer", "rich")
DEVELOPMENT = ("docs", "test")  # extras for work on gan itself
VARIABLE = re.compile(
    r"(GAN|OMP|GOMP|KMP|MKL|CUDA|NVIDIA|NCCL|CUBLAS|PYTORCH|TORCH|TORCHINDUCTOR|HIP)_\w+|WORLD_SIZE|LOCAL_WORLD_SIZE"
)
SECRET = re.compile(r"TOKEN|KEY|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")  # of an address
MAX_VALUE = 200  # characters of a variable


def env(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Describe gan, its packages, the machine and the paths, for a bug report."""
    found = document()
    if as_json:
        console.print_json(found, indent=2)
        return
    rows = list(_rows(found))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print_result(f"{name:{width}}  {printable(value)}".rstrip())


def document() -> dict[str, Any]:
    """Return the JSON document of `gan env`. What cannot be read is None, with its reason in `problems`."""
    problems: dict[str, str] = {}
    environment = variables(os.environ)  # before torch adds its own
    modules = {name: _imported(name, problems) for name in IMPORTED}
    versions: dict[str, str | None] = {"gancli": __version__, "python": platform.python_version()}
    versions |= {
        name: _distribution(name) if module is None else str(module.__version__) for name, module in modules.items()
    }
    torch = modules["torch"]
    versions |= {name: _of_torch(torch, name, problems) for name in ("cuda", "hip", "cudnn")}
    versions |= {name: _distribution(name) for name in PACKAGES}
    return {
        "versions": versions,
        "system": {"platform": platform.platform(), "python": sys.executable, "gancli": str(Path(__file__).parents[1])},
        "devices": _devices(torch, problems),
        "cpus": _cpus(torch),
        "memory": _memory(),
        "paths": _paths(problems),
        "variables": environment,
        "extras": extras(_requirements()),
        "problems": problems,
    }


def _memory() -> dict[str, int | None]:
    """Return the memory of the machine, and the limit of a container or batch system, None without one."""
    total = memory.total_bytes()
    return {"total_bytes": total, "limit_bytes": min((each for each in memory.limits() if each < total), default=None)}


def _imported(name: str, problems: dict[str, str]) -> Any:
    """Return a module, or None if it cannot be imported, for any reason: its libraries may be missing, or of another
    version."""
    try:
        module = importlib.import_module(name)
        if not hasattr(module, "__version__"):  # a folder of this name in the working directory
            raise ImportError(f"{', '.join(getattr(module, '__path__', [])) or 'its module'} is another package")
        return module
    except Exception as error:
        problems[name] = f"cannot be imported ({type(error).__name__}: {_first_line(error)})"
        return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0][:MAX_VALUE]


def _distribution(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _of_torch(torch: Any, name: str, problems: dict[str, str]) -> str | None:
    """Return the version of CUDA, HIP or cuDNN that torch was built with, None without."""
    try:
        found = torch.backends.cudnn.version() if name == "cudnn" else getattr(torch.version, name)
    except Exception as error:
        if torch is not None:
            problems[name] = _first_line(error)
        return None
    return None if found is None else str(found)


def _devices(torch: Any, problems: dict[str, str]) -> list[dict[str, Any]]:
    """Return the devices that `--device` accepts. Those of CUDA have their memory, as far as the driver reports it."""
    if torch is None:
        return []
    found: list[dict[str, Any]] = []
    unknown = {"total_bytes": None, "free_bytes": None}  # that of the machine is under `memory`
    try:
        with warnings.catch_warnings(action="ignore"):  # of an old driver, which `init` raises as an error
            available = torch.cuda.is_available()
        if torch.version.cuda and not available:
            torch.cuda.init()  # raises why not
        for index in range(torch.cuda.device_count() if available else 0):
            about = torch.cuda.get_device_properties(index)
            row = {"device": f"cuda:{index}", "name": about.name, "total_bytes": about.total_memory, "free_bytes": None}
            found.append({**row, "capability": f"{about.major}.{about.minor}"})
            found[-1]["free_bytes"] = torch.cuda.mem_get_info(index)[0]  # fails where another process has it alone
    except Exception as error:
        problems["cuda"] = _first_line(error)
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": platform.machine(), **unknown})
    return [*found, {"device": "cpu", "name": _processor(), **unknown}]


def _processor() -> str:
    """Return the name of the processor that Linux reports, else that of its architecture."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


def _cpus(torch: Any) -> dict[str, Any]:
    """Return the CPUs of the machine, those that this process may use, the limit of a container (in CPUs), and the threads
    that torch starts with."""
    limit = memory.cpu_limit()
    threads = None if torch is None else torch.get_num_threads()
    return {
        "machine": os.cpu_count(),
        "usable": len(CPUS),
        "limit": None if math.isinf(limit) else limit,
        "torch_threads": threads,
    }


def _paths(problems: dict[str, str]) -> dict[str, Any]:
    """Return the working directory, the data root with its reason, and the cache in it."""
    found: dict[str, Any] = dict.fromkeys(("working_directory", "data_root", "data_root_from", "data_root_free_bytes"))
    found["cache"] = dict.fromkeys(("folder", "bytes", "entries", "limit_bytes"))
    try:
        found["working_directory"] = str(Path.cwd())
    except OSError:
        problems["working_directory"] = "was removed"
    given = os.environ.get("GAN_DATA")
    try:
        root = paths.data_root(given or DATA_ROOT)
    except GancliError as error:
        problems["data_root"] = str(error)
        return found
    reason = "GAN_DATA" if given else "default" if root.path == Path(DATA_ROOT).expanduser() else "no home directory"
    found |= {"data_root": str(root.path), "data_root_from": reason}
    existing = next(
        (path for path in (root.path, *root.path.absolute().parents) if os.access(path, os.F_OK)), root.path
    )
    found["data_root_free_bytes"] = memory.free_disk_bytes(existing)
    folder = root.path / "cache"
    found["cache"] = {"folder": str(folder), "bytes": 0, "entries": 0, "limit_bytes": None}
    try:
        found["cache"]["limit_bytes"] = cache_entries.limit(folder if folder.exists() else existing)
        entries = cache_entries.list_entries(folder)
        found["cache"] |= {"bytes": sum(entry.num_bytes for entry in entries), "entries": len(entries)}
    except FileNotFoundError:  # nothing was decoded yet
        pass
    except GancliError as error:
        problems["cache"] = str(error)
    except OSError as error:
        problems["cache"] = os_problem(folder, "listed", error)
    return found


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change what gan or torch does. Values of secrets, and credentials in addresses, are left
    out."""
    found = {}
    for name, value in sorted(environment.items()):
        if VARIABLE.fullmatch(name):
            shown = "(set, not shown)" if SECRET.search(name) else CREDENTIALS.sub("…", value)
            found[name] = shown if len(shown) <= MAX_VALUE else f"{shown[:MAX_VALUE]}…"
    return found


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("gancli") or []
    except importlib.metadata.PackageNotFoundError:  # run from its source, without having been installed
        return []


def extras(requirements: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """Return the packages of each extra, with their versions, None for those that are not installed. `requirements`: as in
    the metadata of the installed package, such as `matplotlib>=3.9; extra == 'report'`."""
    found: dict[str, dict[str, str | None]] = {}
    for line in requirements:
        if match := re.match(r"([\w.-]+).*;.*\bextra == ['\"]([\w.-]+)['\"]", line):
            package, extra = match.groups()
            if extra not in DEVELOPMENT:
                found.setdefault(extra, {})[package] = _distribution(package)
    return dict(sorted(found.items()))


def _rows(found: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the lines of the text: a name and a value. A home directory is shown as `~`, as it names its user."""
    problems = found["problems"]
    for name, version in found["versions"].items():
        if version is not None or name not in ("cuda", "hip", "cudnn"):
            yield name, "; ".join(filter(None, (version or "not installed", problems.get(name))))
    if "torch" not in problems and not found["versions"]["cuda"] and not found["versions"]["hip"]:
        yield "cuda", "none: torch was built without it"
    yield "system", found["system"]["platform"]
    yield "python path", _home(found["system"]["python"])
    yield "gan path", _home(found["system"]["gancli"])
    for each in found["devices"]:
        held = each["total_bytes"]
        free = "" if each["free_bytes"] is None else f", {size(each['free_bytes'])} free"
        amount = "" if held is None else f", {size(held)}{free}, capability {each['capability']}"
        yield each["device"], f"{each['name']}{amount}"
    if not found["devices"]:
        yield "devices", "unknown without torch"
    yield "CPUs", _cpu_text(found["cpus"])
    held, limit = found["memory"]["total_bytes"], found["memory"]["limit_bytes"]
    yield "memory", size(held) + ("" if limit is None else f", limited to {size(limit)}")
    places = found["paths"]
    yield "directory", _home(places["working_directory"] or problems["working_directory"])
    yield "data root", _data_root_text(places, problems)
    if places["cache"]["folder"]:
        yield "cache", _cache_text(places["cache"], problems)
    for name, value in found["variables"].items():
        yield name, _home(value) or "(empty)"
    if not found["extras"]:
        yield "extras", "unknown: gan was not installed as a package"
    for name, packages in found["extras"].items():
        missing = [package for package, version in packages.items() if version is None]
        there = [f"{package} {version}" for package, version in packages.items() if version is not None]
        yield f"extra {name}", ", ".join([*there, *(f"{package} is missing" for package in missing)])


def _home(path: str) -> str:
    home = os.environ.get("HOME", "").rstrip("/")
    return f"~{path[len(home) :]}" if home and (path == home or path.startswith(f"{home}{os.sep}")) else path


def _cpu_text(cpus: Mapping[str, Any]) -> str:
    limit = "" if cpus["limit"] is None else f", limited to the time of {cpus['limit']:g}"
    threads = "" if cpus["torch_threads"] is None else f"; torch starts with {counted(cpus['torch_threads'], 'thread')}"
    return f"{cpus['usable']} of {cpus['machine'] or '?'} usable{limit}{threads}"


def _data_root_text(places: Mapping[str, Any], problems: Mapping[str, str]) -> str:
    if places["data_root"] is None:
        return problems["data_root"]
    free = places["data_root_free_bytes"]
    disk = "" if free is None else f", {size(free)} free"
    return f"{_home(places['data_root'])} ({places['data_root_from']}){disk}"


def _cache_text(cache: Mapping[str, Any], problems: Mapping[str, str]) -> str:
    if "cache" in problems:
        return problems["cache"]
    limit = "" if cache["limit_bytes"] is None else f" of at most {size(cache['limit_bytes'])}"
    return f"{counted(cache['entries'], 'entry')}, {size(cache['bytes'])}{limit}"
