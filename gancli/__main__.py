"""`python -m gancli`, so that `torchrun -m gancli train …` works."""

from gancli.cli.app import entry

if __name__ == "__main__":
    entry()
