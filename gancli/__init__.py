"""Generative adversarial networks from the command line: see README.md."""

from gancli.process import CPUS as CPUS  # before torch is imported by anything
from gancli.process import __version__ as __version__
