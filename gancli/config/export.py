"""What is asked for when a model is exported: by `gan export`, and by a `Model` in Python."""

import re
from dataclasses import dataclass

from gancli.config.option import option

PANEL = "Options"
OPSET = 20  # unless another is asked for: what torch's exporter takes by itself since 2.9


def license_name(text: object) -> str:
    """A licence as hubs name it: lower-case letters, digits and `.+-`. Raises `ValueError` that says so."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}", str(text)):
        raise ValueError("must be a licence's short name, such as mit, apache-2.0, cc-by-4.0 or other")
    return str(text).lower()


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """How a model is written for other programs."""

    opset: int | None = option(
        None, "version of ONNX's operators, for .onnx", ge=18, le=25, panel=PANEL, default_text=str(OPSET)
    )
    license: str | None = option(
        None,
        "the licence of the weights, written into what is exported: mit, cc-by-4.0, …",
        metavar="NAME",
        panel=PANEL,
        reads=license_name,
        default_text="none; of a pretrained model mit",
    )
