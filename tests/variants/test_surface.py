"""The public surface for variants from outside changes on purpose only."""

import re

from gancli import variant
from tests.conftest import ROOT
from tests.variants import surface


def test_what_variants_may_import_is_as_recorded() -> None:
    recorded = surface.FILE.read_text("utf-8")
    assert surface.listing() == recorded, (
        "names or signatures that variants from outside may use have changed: if old variants still work, run "
        "`python -m tests.variants.surface`; else also raise gancli.variant.CONTRACT and say so in CHANGELOG.md"
    )


def test_the_page_lists_the_modules_and_the_contract() -> None:
    page = (ROOT / "docs" / "adding-a-variant.md").read_text("utf-8")
    for module in (*surface.WHOLE, *surface.NAMES):
        assert f"`{module}`" in page, module
    assert re.search(rf"`contract = {variant.CONTRACT}`", page)
