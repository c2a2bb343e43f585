"""The commands that go on from where a run ended, to be copied."""

from pathlib import Path

from gancli.errors import shell_quoted
from gancli.variant import Reads


def resuming(directory: Path) -> str:
    """What goes on with a run that was stopped."""
    return f"gan train --resume {shell_quoted(str(directory))}"


def following(directory: Path, reads: Reads) -> tuple[str, ...]:
    """What to do with the model of a run that is done: look at its pictures, and measure them."""
    run = shell_quoted(str(directory))
    if reads == "low_res":
        return f"gan sample {run} -i PICTURE", f"gan evaluate {run} -d FOLDER"
    return f"gan sample {run}", f"gan evaluate {run}"
