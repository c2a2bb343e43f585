"""`python -m gancli`, so that `torchrun -m gancli train …` works; and the console script."""

import sys
from typing import NoReturn


def entry() -> NoReturn:
    """Run the command line of this process. Ctrl-C ends it without a traceback from its first moment on."""
    try:
        from gancli.cli import app
    except KeyboardInterrupt:  # what it imports takes a while
        print("gan: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    app.entry()


if __name__ == "__main__":
    entry()
