"""Explain errors: the exit code and the message of one line."""

import errno
import os
import re
from pathlib import Path
from typing import Any

from gancli import catalogue
from gancli.catalogue import outside
from gancli.config import paths, suggestions
from gancli.data.names import dataset_names
from gancli.errors import GancliError, shell_quoted

SMALLER = {
    "train": "try a smaller --batch-size or --image-size",
    "sample": "try a smaller --batch-size, or with -i a smaller --tile",
    "evaluate": "try a smaller -n",
}
CUDA_ERRORS = ("CUDA error", "CUDA driver", "CUDA out of memory", "NVIDIA driver", "cuDNN error", "CUBLAS", "NVML")


def explained(error: Exception, args: list[str]) -> tuple[int, str]:
    """Return the exit code and the message, which is empty if it was already printed."""
    if isinstance(error, GancliError):
        return error.exit_code, str(error)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # Typer's own errors
        return int(error.exit_code), _usage(error, args)
    module = _broken_module(error)
    if _out_of_memory(error):
        hint = SMALLER.get(next(iter(args), ""), "")
        line = f"out of memory; {hint}" if hint and not module else "out of memory"
    elif where := _in_variant(error):
        line = f"{where}: {outside.described(error)} (GAN_DEBUG=1 shows the traceback)"
    elif module:
        line = f"{module} cannot be loaded ({error}); is it broken? pip install --force-reinstall {module}"
    elif isinstance(error, OSError):
        line = _os_message(error)
    elif isinstance(error, RecursionError):
        line = "the input is nested too deeply"
    elif isinstance(error, RuntimeError) and "home directory" in str(error):
        line = "no home directory is known: HOME is not set"
    elif isinstance(error, RuntimeError) and any(text in str(error) for text in CUDA_ERRORS):
        first = str(error).strip().partition("\n")[0]
        line = f"--device: {first} (--device cpu does not use it; GAN_DEBUG=1 shows where)"
    elif "can't start new thread" in str(error):
        line = "cannot start another thread: the limit on processes (ulimit -u, or the container's) is reached"
    else:
        line = f"unexpected {type(error).__name__}: {error} (GAN_DEBUG=1 shows where; please report it)"
    return 1, line


def _in_variant(error: Exception) -> str:
    """The place in the code of a variant from outside that raised an error, or whose loss did in its backward pass; or
    `""`."""
    notes = [note for note in getattr(error, "__notes__", ()) if outside.is_place(note)]
    return outside.place(error.__traceback__) or next(iter(notes), "")


def _out_of_memory(error: Exception) -> bool:
    # torch.OutOfMemoryError by name, without importing torch; CPU allocator and library loader have no type of their own
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    texts = ("DefaultCPUAllocator", "failed to map segment", "annot allocate memory")
    in_text = isinstance(error, RuntimeError | ImportError) and any(text in str(error) for text in texts)
    return in_text or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _broken_module(error: Exception) -> str:
    """Return the installed package whose import failed (with `OSError` if a library that it loads is missing), or `""`."""
    if not isinstance(error, ImportError | OSError):
        return ""
    found, trace = str(getattr(error, "name", None) or "").partition(".")[0], error.__traceback__
    while trace is not None:
        _, installed, path = trace.tb_frame.f_code.co_filename.rpartition("site-packages" + os.sep)
        if installed and trace.tb_frame.f_code.co_name == "<module>":
            found = Path(path).parts[0].removesuffix(".py")
        trace = trace.tb_next
    return "" if found == "gancli" else found


def _os_message(error: OSError) -> str:
    """Return the message of the operating system, with its file."""
    if error.filename is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
        return f"{name or 'a file'}: {error.strerror or error}"
    try:
        paths.check_working_directory()
    except GancliError as gone:
        return str(gone)
    return str(error.strerror or error or type(error).__name__)


def _usage(error: Any, args: list[str]) -> str:
    name = type(error).__name__
    if name == "NoArgsIsHelpError":
        return ""  # the help was printed
    if name == "NoSuchOption":
        return _unknown_option(error, next(iter(args), ""))
    return str(error.format_message()) or "wrong usage; see --help"


def _unknown_option(error: Any, command: str) -> str:
    parameters = [] if error.ctx is None else error.ctx.command.get_params(error.ctx)
    visible = (parameter for parameter in parameters if not getattr(parameter, "hidden", False))
    known = [name for parameter in visible for name in (*parameter.opts, *parameter.secondary_opts)]
    hint = suggestions.of_option(error.option_name, known, command)
    if command == "train" and (meant := re.search(r"mean --(\S+?)\?", hint)):
        owners = catalogue.variant_options(catalogue.known_names()).get(meant[1].replace("-", "_"), {})
        if owners and len(owners) < len(catalogue.known_names()):
            hint = f" (did you mean --{meant[1]}, an option of {', '.join(owners)}?)"
    return f"{error.option_name}: no such option{hint}"


def argument_hint(argument: str, command: str) -> str:
    """Return `" (did you mean --dataset photos?)"` for a surplus argument of a command, or `""`."""
    exists = os.path.lexists(argument)
    if command == "train":
        is_variant = outside.is_file(argument) or argument in catalogue.names()
        option = "--variant" if is_variant else "--dataset" if exists or argument in dataset_names() else ""
    elif Path(argument).suffix[1:].lower() in suggestions.ENDINGS.get(command, ()) and not exists:
        option = "-o"
    else:
        option = "-i" if command == "sample" and exists else ""
    return f" (did you mean {option} {shell_quoted(argument)}?)" if option and argument else ""
