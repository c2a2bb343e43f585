"""`gan export`: write a model for other programs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from gancli.cli import ckpt, console, options
from gancli.config import fields_of, paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import ExportConfig
from gancli.errors import UsageError
from gancli.files.hub_errors import import_hub
from gancli.format import size
from gancli.store.run_directory import require_model_file


def _export(checkpoint: str, output: str | None, as_json: bool, variant: list[str] | None, **values: Any) -> None:
    ckpt.name_variants(variant)
    paths.check_working_directory()
    console.check_stdout()
    config = ExportConfig(**options.given(ExportConfig, values))
    if config.push is None:
        reject_unused_options(
            ("--private", config.private), ("--dry-run", config.dry_run), why="only applies with --push"
        )
        if output is None:
            raise UsageError("-o: required: model.onnx, model.pt2, or a folder for a model hub (end it with /)")
    source = require_model_file(ckpt.resolve(checkpoint))
    if config.push is not None:
        _push(source, output, config.push, config, as_json)
        return

    from gancli.cli.progress import show_progress
    from gancli.export import contract, write
    from gancli.store.checkpoint import load_model

    target = write.target(str(output), config)
    model = load_model(source)
    ckpt.print_changed(source, model.facts)
    with show_progress() as emit:
        exported = write.export(target, source, model, emit)
    if not as_json:
        console.print_path(target.path)
        return
    document = {"variant": model.facts.variant, "step": model.facts.step, "inputs": contract.inputs(model.variant)}
    console.print_json(document | asdict(exported))


def _push(source: Path, output: str | None, word: str, config: ExportConfig, as_json: bool) -> None:
    """Write the folder and upload it, or show what would be uploaded."""
    from gancli.export import push

    reject_unused_options(("--space", config.space), why="has no effect with --push, which uploads a model")
    to = push.reference(word)
    import_hub(f"--push {to.repo}")

    from gancli.cli.progress import show_progress
    from gancli.export import write
    from gancli.store.checkpoint import load_model

    with show_progress() as emit, push.folder(output, to, config.dry_run) as path:
        target = write.target(output if output is not None and not config.dry_run else f"{path}/", config)
        if target.kind != "folder":
            raise UsageError(f"-o {output}: --push uploads a folder; end its name with /")
        write.export(target, source, load_model(source), emit)
        done = (push.planned(to, config.private, target.path) if config.dry_run
                else push.upload(to, config.private, target.path, emit))  # fmt: skip
    if as_json:
        console.print_json(asdict(done))
        return
    if config.dry_run:
        visibility = "private" if done.private else "public"
        console.print_message(f"would be uploaded to {done.address} (new repositories are {visibility}):")
        for name, num_bytes in done.files.items():
            console.print_message(f"  {name}  {size(num_bytes)}")
    else:
        console.print_message(f"note: uploaded as commit {done.commit}; gan sample hf:{to.repo}")
    console.print_result(done.address)


export = options.with_signature(
    _export,
    [
        options.argument("checkpoint", str, metavar="CKPT", **ckpt.COMPLETION, help=(
            f"A ckpt.safetensors, a run directory, hf:OWNER/NAME, or {ckpt.PRETRAINED}.")),
        options.plain_option("output", str | None, "-o", "--output", metavar="PATH", help=(
            "Output: .onnx for onnxruntime and others, .pt2 for torch.export.load, or a folder for a model hub (end it with "
            "/).")),
        options.annotated("variant", ckpt.Variants),
        *(options.parameter(field) for field in fields_of(ExportConfig)),
        options.JSON,
    ],
)  # fmt: skip
