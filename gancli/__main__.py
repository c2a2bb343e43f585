"""`python -m gancli`, so that `torchrun -m gancli train …` works; and the console script."""

import os
import sys
from typing import NoReturn


def entry() -> NoReturn:
    """Run the command line of this process. Ctrl-C ends it without a traceback from its first moment on."""
    try:
        from gancli.cli import app
    except KeyboardInterrupt:  # what it imports takes a while
        print("gan: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except ImportError as error:
        if "GAN_DEBUG" in os.environ:
            raise
        print(f"gan: {error}; is it broken? pip install --force-reinstall gancli", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    app.entry()


if __name__ == "__main__":
    entry()
