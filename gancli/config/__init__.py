"""Configuration, said once: a field carries its default, bounds, help and source, and everything else is made from it."""

from gancli.config.option import Field, Option, VariantConfig, fields_of, option
from gancli.config.run import RunConfig

__all__ = ["Field", "Option", "RunConfig", "VariantConfig", "fields_of", "option"]
