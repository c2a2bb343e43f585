"""The options of all commands: each field declares its default, bounds, help and source once."""

from gancli.config.option import Field, Option, fields_of, option
from gancli.config.run import RunConfig
from gancli.config.shared_options import VariantConfig

__all__ = ["Field", "Option", "RunConfig", "VariantConfig", "fields_of", "option"]
