"""Events of a run, for the reporters' tests."""

from gancli.events import Comparison, Evaluated, LossRow, RunFinished, RunStarted, SamplesDrawn

TERMS = {"d_loss": 1.2034, "g_loss": 0.8123, "d_real": 0.61, "d_fake": 0.38}


def started(start_step: int = 0, dataset: str = "digits") -> RunStarted:
    return RunStarted(
        variant="vanilla",
        preset="default",
        dataset=dataset,
        num_images=5620,
        image_shape=(1, 28, 28),
        device="cpu (x86_64)",
        precision="fp32",
        threads=2,
        batch_size=128,
        start_step=start_step,
        steps=11700,
        steps_per_epoch=468,
        parameters={"G": 1_200_000, "D": 533_505},
        out="runs/vanilla-digits-001",
    )


def row(step: int, terms: dict[str, float] | None = None) -> LossRow:
    return LossRow(
        step=step,
        steps=11700,
        epoch=step / 468,
        phase="train",
        terms=TERMS if terms is None else terms,
        images_per_s=41_234.0,
        elapsed_s=12.5,
        left_s=130.0,
        memory_bytes=612_000_000,
    )


def samples(step: int = 100, side: int = 238) -> SamplesDrawn:
    """An 8 × 8 grid of tiles of 28 pixels, each with a white square in the middle of black."""
    pixels = bytearray()
    for y in range(side):
        for x in range(side):
            inside = 8 <= x % 30 < 20 and 8 <= y % 30 < 20
            pixels += bytes([255 if inside else 0] * 3)
    return SamplesDrawn(step, f"runs/samples/step-{step:08d}.png", side, side, bytes(pixels))


def finished(status: str = "done") -> RunFinished:
    return RunFinished(
        status="done" if status == "done" else "stopped",
        step=11700 if status == "done" else 1200,
        steps=11700,
        elapsed_s=252.0,
        images_per_s=41_000.0,
        out="runs/vanilla-digits-001",
        checkpoint="runs/vanilla-digits-001/ckpt.safetensors",
        reason="" if status == "done" else "SIGTERM",
        resume_command="gan train --resume runs/vanilla-digits-001",
    )


def evaluated(step: int = 4000, best: bool = True) -> Evaluated:
    figures = {"frechet": 12.3456, "coverage": 0.79214}
    real = {"frechet": 1.5, "coverage": 0.96}
    compared = Comparison("digits", "half of train", 2000, 0, errors={"frechet": 0.5}, real=real)
    return Evaluated(step, figures, "frechet", best, "runs/vanilla-digits-001/best.safetensors", compared)
