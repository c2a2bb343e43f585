"""`gan export`: a model as other programs open it."""

from dataclasses import asdict
from typing import Any

from gancli.cli import ckpt, console, options
from gancli.config import fields_of, paths
from gancli.config.sample import ExportConfig
from gancli.errors import UsageError
from gancli.store.run_directory import require_model_file


def _export(checkpoint: str, output: str | None, as_json: bool, variant: list[str] | None, **values: Any) -> None:
    ckpt.name_variants(variant)
    paths.check_working_directory()
    console.check_stdout()
    config = ExportConfig(**options.given(ExportConfig, values))
    if output is None:
        raise UsageError("-o: say where to: model.onnx, model.pt2, or a folder for a model hub (end it with /)")
    source = require_model_file(ckpt.resolve(checkpoint))

    from gancli.cli.progress import shown
    from gancli.export import contract, write
    from gancli.store.checkpoint import load_model

    target = write.target(output, config)
    model = load_model(source)
    ckpt.print_changed(source, model.facts)
    with shown() as emit:
        done = write.written(target, source, model, emit)
    if not as_json:
        console.print_path(target.path)
        return
    about = {"variant": model.facts.variant, "step": model.facts.step, "inputs": contract.inputs(model.variant)}
    console.print_json(about | asdict(done))


export = options.with_signature(
    _export,
    [
        options.argument("checkpoint", str, metavar="CKPT", **ckpt.COMPLETION, help=(
            f"A ckpt.safetensors, a run directory, or {ckpt.PRETRAINED}.")),
        options.plain_option("output", str | None, "-o", "--output", metavar="PATH", help=(
            "Where to: .onnx for onnxruntime and others; .pt2 for torch.export.load; a folder (end it with /) as model hubs "
            "expect it.")),
        options.annotated("variant", ckpt.Variants),
        *(options.parameter(field) for field in fields_of(ExportConfig)),
        options.JSON,
    ],
)  # fmt: skip
