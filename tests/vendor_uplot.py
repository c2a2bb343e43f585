"""Copies uPlot, which draws the curves of the page, from npm into `gancli/page/uplot/`:

    python -m tests.vendor_uplot [VERSION]

Without VERSION it takes the newest. `version.json` there holds the version and the sha256 of each file, which
`tests/page/test_pages.py` checks. Look at a page in a browser before you commit another version. Needs `npm`.
"""

import argparse
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "gancli" / "page" / "uplot"
FILES = ("LICENSE", "dist/uPlot.iife.min.js", "dist/uPlot.min.css")


def vendor(version: str) -> None:
    """Replace the files by those of `version`, a version or a tag of npm."""
    with tempfile.TemporaryDirectory() as place:
        packed = subprocess.run(
            ["npm", "pack", "--json", f"uplot@{version}"], cwd=place, check=True, capture_output=True, text=True
        )
        (about,) = json.loads(packed.stdout)
        with tarfile.open(Path(place) / about["filename"]) as archive:
            contents = {Path(name).name: _content(archive, f"package/{name}") for name in FILES}
    for name, content in contents.items():
        (FOLDER / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    written = {"package": "uplot", "version": about["version"], "sha256": sums}
    (FOLDER / "version.json").write_text(json.dumps(written, indent=2) + "\n")


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", default="latest")
    vendor(parser.parse_args().version)
