"""What a folder needs to be a Hugging Face Space that shows the page of `gan demo`."""

import json

from gancli.process import __version__
from gancli.store.checkpoint import Model

APP, REQUIREMENTS = "app.py", "requirements.txt"
GRADIO = "6.31.0"  # the version that the page was looked at with
PYTHON = "3.11"
PROGRAM = '''"""The page of `gan demo` for the model in this folder."""

from pathlib import Path

import gancli
from gancli.demo import page
from gancli.demo.actions import PageModel

model = gancli.load(Path(__file__).with_name({weights!r}))
demo = page.build([PageModel({title}, model, {weights!r})])

if __name__ == "__main__":
    demo.launch(**page.settings())
'''


def files(title: str, weights: str) -> dict[str, bytes]:
    """Return the contents of the program and its requirements, by name. `weights`: the file of the model."""
    program = PROGRAM.format(title=ascii(title), weights=weights)
    return {APP: program.encode(), REQUIREMENTS: f"gancli[demo]=={__version__}\n".encode()}


def front_matter(title: str, model: Model, license_: str | None) -> str:
    """Return the YAML that the `README.md` of a Space begins with; each value is in JSON, which is YAML too."""
    about = {"title": title, "sdk": "gradio", "sdk_version": GRADIO, "python_version": PYTHON, "app_file": APP}
    about |= {"license": license_} if license_ else {}
    lines = {**about, "tags": ["gan", model.facts.variant]}
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items())
