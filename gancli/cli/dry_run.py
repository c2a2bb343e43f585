"""Print the plan of `gan train --dry-run`: each value with its origin, the parameter counts and the expected memory."""

import dataclasses

from rich.markup import escape
from rich.table import Table

from gancli import catalogue, text
from gancli.cli import console
from gancli.config import RunConfig, VariantConfig, fields_of
from gancli.config.resolve import Resolved
from gancli.engine.startup import Start
from gancli.errors import DataError
from gancli.events import ignore
from gancli.text import counted


def show(start: Start) -> None:
    """Print the plan of a run on stdout, without downloads; if its dataset is missing, only the values."""
    from gancli.engine import initial, plan
    from gancli.engine.memory import estimate_bytes
    from gancli.engine.train import open_data
    from gancli.variant import on_meta_device

    for warning in start.warnings:
        console.print_message(f"{text.message_kind(warning)}: {warning}")
    resolved, saved = start.resolved, start.state.facts if start.state is not None else None
    run, out = resolved.run, console.out()
    variant_class = catalogue.load(run.variant)
    try:
        source = open_data(dataclasses.replace(run, download=False), resolved.own, variant_class, ignore)
    except DataError as error:
        out.print(_values(run, resolved.own, resolved))
        out.print(f"\nThe parameter counts and the memory cannot be computed without the dataset: {escape(str(error))}")
        return
    planned = plan.resolve_plan(run, resolved.own, source, variant_class, saved=saved)
    out.print(_values(planned.run, planned.own, resolved))
    if start.weights is not None:
        with on_meta_device():
            variant = variant_class(planned.own, source.spec)
        for line in initial.describe_unused(start.weights, variant, initial.matching_pairs(start.weights, variant)):
            console.print_message(f"{text.message_kind(line)}: {line}")
    counts, memory = estimate_bytes(planned, source, variant_class)
    most = "at most " if run.within is not None and saved is None else ""
    out.print(
        f"\n{most}{counted(planned.steps, 'step')} over {counted(source.num_images, 'image')} "
        f"of {source.spec.channels}×{source.spec.size}²"
    )
    if most:
        out.print(f"the number is chosen when the run starts, by its pace, for about {run.within} (--within)")
    out.print("parameters  " + "  ".join(f"{name} {count:,}" for name, count in counts.items()))
    parts = "  ".join(f"{name} {size / 1e6:.1f} MB" for name, size in memory.items())
    out.print(f"memory      {parts}  [bold]total {sum(memory.values()) / 1e6:.1f} MB[/] on {planned.machine.device}")


def _values(run: RunConfig, own: VariantConfig, resolved: Resolved) -> Table:
    """Return the table of options; the origin of a value that was chosen automatically is `auto`."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("option", "value", "origin"):
        table.add_column(heading, no_wrap=heading == "option", overflow="fold")
    for config, requested in ((run, resolved.run), (own, resolved.own)):
        for field in fields_of(type(config)):
            value = getattr(config, field.name)
            origin = resolved.origins[field.name] if value == getattr(requested, field.name) else "auto"
            text = "–" if value is None else str(value)
            table.add_row(f"--{field.name.replace('_', '-')}", escape(text), escape(origin))
    return table
