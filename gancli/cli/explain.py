"""The exit code and the one line for whatever ended a command."""

import errno
import os
import re
from pathlib import Path
from typing import Any

from gancli import catalogue
from gancli.config import paths, suggestions
from gancli.data.names import source_names
from gancli.errors import GancliError, shell_quoted

SMALLER = {
    "train": "try a smaller --batch-size or --image-size",
    "sample": "try a smaller --batch-size, or with -i a smaller --tile",
    "evaluate": "try a smaller -n",
}
ABOUT_CUDA = ("CUDA error", "CUDA driver", "CUDA out of memory", "NVIDIA driver", "cuDNN error", "CUBLAS", "NVML")


def explained(error: Exception, args: list[str]) -> tuple[int, str]:
    """Exit code and line; the line is empty where everything has been said."""
    if isinstance(error, GancliError):
        return error.exit_code, str(error)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # Typer's own errors
        return int(error.exit_code), _usage(error, args)
    module = _broken_module(error)
    if _out_of_memory(error):
        hint = SMALLER.get(next(iter(args), ""), "")
        line = f"out of memory; {hint}" if hint and not module else "out of memory"
    elif module:
        line = f"{module} cannot be loaded ({error}); is it broken? pip install --force-reinstall {module}"
    elif isinstance(error, OSError):
        line = _refused(error)
    elif isinstance(error, RecursionError):
        line = "what was read is nested too deeply"
    elif isinstance(error, RuntimeError) and "home directory" in str(error):
        line = "no home directory is known: HOME is not set"
    elif isinstance(error, RuntimeError) and any(words in str(error) for words in ABOUT_CUDA):
        first = str(error).strip().partition("\n")[0]
        line = f"--device: {first} (--device cpu does without; GAN_DEBUG=1 shows where)"
    elif "can't start new thread" in str(error):
        line = "no more threads can be started here: a limit on processes (ulimit -u, or the container's) is reached"
    else:
        line = f"unexpected {type(error).__name__}: {error} (GAN_DEBUG=1 shows where; please report it)"
    return 1, line


def _out_of_memory(error: Exception) -> bool:
    # torch.OutOfMemoryError by name: this module imports no torch. The allocator of CPU memory has no type of its own, nor
    # has the loader of libraries.
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    cannot = isinstance(error, OSError) and error.errno == errno.ENOMEM
    words = ("DefaultCPUAllocator", "failed to map segment", "annot allocate memory")
    return known or cannot or (isinstance(error, RuntimeError | ImportError) and any(w in str(error) for w in words))


def _broken_module(error: Exception) -> str:
    """The installed package that could not be imported, or `""`: an `ImportError`, or where a library that it loads is
    missing, an `OSError` of the system's."""
    if not isinstance(error, ImportError | OSError):
        return ""
    found, trace = str(getattr(error, "name", None) or "").partition(".")[0], error.__traceback__
    while trace is not None:
        _, installed, path = trace.tb_frame.f_code.co_filename.rpartition("site-packages" + os.sep)
        if installed and trace.tb_frame.f_code.co_name == "<module>":
            found = Path(path).parts[0].removesuffix(".py")
        trace = trace.tb_next
    return "" if found == "gancli" else found


def _refused(error: OSError) -> str:
    """What the system refused to do, and to which file."""
    if error.filename is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
        return f"{name or 'a file'}: {error.strerror or error}"
    try:
        paths.check_standing()
    except GancliError as gone:
        return str(gone)
    return str(error.strerror or error or type(error).__name__)


def _usage(error: Any, args: list[str]) -> str:
    option = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and isinstance(option, str):
        return _unknown_option(option, _known_options(error), args)
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""  # the help was printed
    complaint = str(getattr(error, "message", None) or "")
    if command := re.match(r"No such command '(.*)'", complaint, re.DOTALL):
        known = error.ctx.command.list_commands(error.ctx)
        hint = suggestions.of_command(command[1], known)
        return f"{command[1] or 'an empty word'}: no such command{hint}; gan --help lists them"
    if extra := re.search(r"extra arguments?(?:\(s\))? \((.*)\)$", complaint, re.DOTALL):
        return f"unexpected argument {extra[1]!r}{_argument_meant(extra[1], args[0])}; see gan {args[0]} --help"
    return str(error.format_message()) or "wrong usage; --help tells what there is"


def _argument_meant(word: str, command: str) -> str:
    """`" (did you mean --dataset photos?)"` for an argument of a command that takes no more of them, or `""`."""
    there = os.path.lexists(word)
    if command == "train":
        option = "--variant" if word in catalogue.names() else "--dataset" if there or word in source_names() else ""
    elif Path(word).suffix[1:].lower() in suggestions.ENDINGS.get(command, ()) and not there:
        option = "-o"
    else:
        option = "-i" if command == "sample" and there else ""
    return f" (did you mean {option} {shell_quoted(word)}?)" if option and word else ""


def _known_options(error: Any) -> list[str]:
    """The options of the command that an error is about."""
    context = getattr(error, "ctx", None)
    parameters = [] if context is None else context.command.get_params(context)
    shown = (parameter for parameter in parameters if not getattr(parameter, "hidden", False))
    return [name for parameter in shown for name in (*parameter.opts, *parameter.secondary_opts)]


def _unknown_option(option: str, known: list[str], args: list[str]) -> str:
    command = next(iter(args), "")
    hint = suggestions.of_option(option, known, command)
    if command == "train" and (meant := re.search(r"mean --(\S+?)\?", hint)):
        owners = catalogue.own_options(catalogue.names()).get(meant[1].replace("-", "_"), {})
        if owners and len(owners) < len(catalogue.names()):
            hint = f" (did you mean --{meant[1]}, an option of {', '.join(owners)}?)"
    return f"{option}: no such option{hint}"
