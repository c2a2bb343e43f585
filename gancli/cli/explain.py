"""The exit code and the one line for whatever ended a command."""

import errno
import os
import re
from pathlib import Path
from typing import Any

from gancli import catalogue
from gancli.config import fields_of, meanings, paths
from gancli.data.names import source_names
from gancli.errors import GancliError, shell_quoted

SMALLER = {
    "train": "try a smaller --batch-size or --image-size",
    "sample": "try a smaller --batch-size, or with -i a smaller --tile",
    "evaluate": "try a smaller -n",
}
UNREADABLE = "cannot be read (Permission denied)"
ABOUT_CUDA = ("CUDA error", "CUDA driver", "CUDA out of memory", "NVIDIA driver", "cuDNN error", "CUBLAS", "NVML")


def explained(error: Exception, args: list[str]) -> tuple[int, str]:
    """Exit code and line; the line is empty where everything has been said."""
    if isinstance(error, GancliError):
        return error.exit_code, str(error)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # Typer's own errors
        line = _usage(error, args)
        return 1 if line.endswith(UNREADABLE) else int(error.exit_code), line
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
    parameter, complaint = getattr(error, "param", None), str(getattr(error, "message", None) or "")
    if parameter is not None and complaint:
        return _bad_value(parameter, complaint, args)
    if command := re.match(r"No such command '(.*)'", complaint, re.DOTALL):
        known = error.ctx.command.list_commands(error.ctx)
        hint = meanings.of_command(command[1], known)
        return f"{command[1] or 'an empty word'}: no such command{hint}; gan --help lists them"
    if extra := re.search(r"extra arguments?(?:\(s\))? \((.*)\)$", complaint, re.DOTALL):
        return f"unexpected argument {extra[1]!r}{_argument_meant(extra[1], args[0])}; see gan {args[0]} --help"
    return str(error.format_message()) or "wrong usage; --help tells what there is"


def _argument_meant(word: str, command: str) -> str:
    """`" (did you mean --dataset photos?)"` for an argument of a command that takes no more of them, or `""`."""
    there = os.path.lexists(word)
    if command == "train":
        option = "--variant" if word in catalogue.names() else "--dataset" if there or word in source_names() else ""
    elif Path(word).suffix[1:].lower() in meanings.ENDINGS.get(command, ()) and not there:
        option = "-o"
    else:
        option = "-i" if command == "sample" and there else ""
    return f" (did you mean {option} {shell_quoted(word)}?)" if option and word else ""


def _known_options(error: Any) -> list[str]:
    """The options of the command that an error is about."""
    context = getattr(error, "ctx", None)
    parameters = [] if context is None else context.command.get_params(context)
    return [name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)]


def _unknown_option(option: str, known: list[str], args: list[str]) -> str:
    command = next(iter(args), "")
    owners = _owners(option) if command == "train" else []
    if owners:
        return f"{option}: no such option (an option of {', '.join(owners)})"
    hint = meanings.of_option(option, known, command)
    if command == "train" and not hint:
        for name in catalogue.names():
            others = (field.long for field in fields_of(catalogue.card(name).config_class))
            if meant := re.search(r"mean (--\S+?)\?", meanings.of_option(option, others)):
                hint = f" (did you mean {meant[1]}, an option of {', '.join(_owners(meant[1]))}?)"
    return f"{option}: no such option{hint}"


def _owners(option: str) -> list[str]:
    """The variants that have an option."""
    name = option.lstrip("-").replace("-", "_")
    return [variant for variant in catalogue.names() if hasattr(catalogue.card(variant).config_class, name)]


def _bad_value(parameter: Any, complaint: str, args: list[str]) -> str:
    """A line for a value that Typer could not read: Typer's own leaves the value out."""
    flag = max(parameter.opts, key=len)
    if path := re.search(r"'(.*)' is not readable", complaint):
        return f"{'' if parameter.opts[0][0] != '-' else flag + ' '}{path[1]}: {UNREADABLE}"
    given = next((a for flag_at, a in zip(args, [*args[1:], ""], strict=True) if flag_at in parameter.opts), "")
    given = given or next((a.partition("=")[2] for a in args if a.startswith(f"{flag}=")), "")
    variable = getattr(parameter, "envvar", None)
    if not given and isinstance(variable, str) and variable in os.environ:
        flag, given = variable, os.environ[variable]
    for kind, noun in (("integer", "a whole number"), ("number", "a number"), ("boolean", "true or false")):
        if f"valid {kind}" in complaint:
            complaint = f"must be {noun}"
    return f"{flag} {given}: {complaint}"
