"""What people type who come from other programs, and what it is called here. Suggestions are near in meaning: what stands in
these tables, else a slip of the fingers (`errors.did_you_mean`), else nothing.

The words on the left are options and values of PyTorch's examples, PyTorch-GAN, StudioGAN, StyleGAN, lightweight-gan,
Real-ESRGAN, Hugging Face's trainers and torchrun, and plain English. `tests/config/test_meanings.py` holds the right side to
what exists.
"""

from collections.abc import Iterable, Mapping

from gancli.errors import did_you_mean

SEVERAL = "torchrun --nproc-per-node N -m gancli train"
SEVERAL_GPUS = f"--device cuda, or for several GPUs {SEVERAL}"
ONE_UPDATE = "each step updates D and G once, which no option changes"

# The meaning, then the words for it (without dashes). Of several meanings the first whose option the command has is told.
_OPTIONS: Mapping[tuple[str, ...], str] = {
    ("--precision fp16",): "fp16 half amp float16 mixed-precision use-amp autocast use-fp16",
    ("--precision bf16",): "bf16 bfloat16",
    ("--precision fp32",): "fp32 float32 full-precision",
    ("--precision",): "dtype",
    (SEVERAL_GPUS, "--device"): "gpus n-gpu num-gpus ngpu gpu-num devices num-devices n-gpus",
    ("--device",): "gpu-ids gpu-id gpuid accelerator",
    (ONE_UPDATE,): "d-steps g-steps d-iters g-iters d-updates g-updates d-step g-step n-critic critic-iters critic-steps "
    "n-dis n-disc num-d-steps num-g-steps disc-iters critic-iterations",
    ("--device cuda",): "gpu cuda use-cuda use-gpu nvidia",
    ("--device cpu",): "cpu no-cuda no-gpu use-cpu no-accel",
    ("--device mps",): "mps metal",
    (SEVERAL,): "multi-gpu multi-gpus ddp distributed world-size local-rank nproc-per-node nnodes num-processes dp",
    ("--out", "-o"): "name output output-dir outdir out-dir run-name exp-name experiment results-dir result-dir "
    "save-dir logdir log-dir logging-dir workdir work-dir output-folder results-folder project checkpoint-dir "
    "checkpoints-dir models-dir model-dir save-path save-to dest "
    "destination run-dir outf target-dir",
    ("-o", "--out"): "out output-path output-file outfile filename",
    ("--batch-size",): "batch bs batchsize batch-sz minibatch mini-batch mini-batch-size minibatch-size "
    "train-batch-size per-device-train-batch-size batch-per-gpu",
    ("--lr",): "learning-rate learningrate lr-g lr-d g-lr d-lr eta step-size generator-lr discriminator-lr alpha",
    ("-n",): "num num-samples n-samples num-images n-images num-pictures num-generate samples number how-many num-imgs "
    "num-fid-samples",
    ("--columns",): "nrow n-row nrows ncol ncols cols rows grid num-image-tiles grid-size",
    ("--epochs",): "epoch n-epochs num-epochs num-train-epochs max-epochs nepochs total-epochs niter",
    ("--steps",): "step iterations iters iteration max-steps num-steps n-steps num-train-steps total-steps total-step "
    "max-iter n-iter max-iters num-iters kimg max-train-steps",
    ("--threads",): "workers num-workers n-cpu n-cpus jobs nproc num-threads n-threads cpus cores dataloader-num-workers",
    ("--resume", "CKPT, the first word: gan {command} CKPT"): "checkpoint ckpt load load-model load-from resume-from "
    "resume-from-checkpoint continue continue-train continue-from resume-training restore load-checkpoint "
    "last-checkpoint checkpoint-path ckpt-path load-path",
    ("--init-from", "CKPT, the first word: gan {command} CKPT"): "weights pretrained pretrained-model finetune "
    "fine-tune transfer start-from init init-weights network network-pkl warm-start",
    ("--variant", "CKPT, the first word: gan {command} CKPT"): "model model-path model-name",
    ("--variant",): "architecture arch backbone gan algorithm model-type type which-model",
    ("--image-size",): "img-size img-sz image-sz size resolution res imsize img-height img-width height crop-size "
    "patch-size hr-height px sidelength",
    ("--dataset",): "data data-dir data-path dataroot root dataset-name dataset-path dataset-dir train-dir train-data "
    "folder images image-folder data-name training-data train-data-dir real reference-dataset",
    ("-i",): "inp source src img image file pictures picture images-dir lr-dir folder",
    ("--data-root",): "cache-dir download-dir data-cache datasets-dir",
    ("--no-download",): "offline no-internet local-files-only",
    ("--latent-dim",): "latent nz z-dim zdim latent-size noise-dim z-size dim-z latent-dims noise-size",
    ("--width",): "ngf ndf channels-base base-channels network-capacity capacity hidden hidden-dim n-filters nf "
    "num-filters channels",
    ("--beta1",): "b1 adam-beta1 betas",
    ("--sample-every",): "sample-interval save-sample-every display-step display-freq image-snap sample-freq "
    "sample-steps save-samples-every sample-step",
    ("--save-every",): "save-interval checkpoint-interval checkpoint-every save-freq save-steps ckpt-every snap "
    "save-epoch-freq save-step save-model-every model-save-step",
    ("--log-every",): "log-interval print-freq logging-steps log-freq print-every log-steps print-interval log-step",
    ("--eval-every",): "eval-interval eval-steps evaluate-every calculate-fid-every eval-freq validate-every test-every",
    ("--eval-metric",): "metric-for-best-model best-metric monitor metrics metric",
    ("--seed",): "random-seed manual-seed manualseed rng-seed seeds",
    ("--label",): "class cls classes labels class-idx digit category target-class class-label",
    ("--variant cgan",): "class-cond conditional cond class-conditional num-classes n-classes",
    ("--truncation",): "trunc truncation-psi psi truncate",
    ("--walk",): "interpolate interpolation frames generate-interpolation video gif mp4 animate animation interp morph "
    "latent-walk",
    ("--fps",): "framerate frame-rate frames-per-second",
    ("--zoom",): "magnify enlarge-pixels pixel-size upsample",
    ("--tile",): "tile-size tiles tile-pad chop",
    ("--true",): "truth gt hr ground-truth reference original originals hr-dir gt-dir",
    ("--compare",): "side-by-side comparison bicubic",
    ("--recursive",): "recurse r subfolders subdirs walk-dirs",
    ("--skip-existing",): "skip skip-done no-clobber",
    ("--loss",): "gan-type gan-mode adv-loss objective loss-type gan-loss loss-fn game",
    ("--gp",): "gradient-penalty gp-weight lambda-gp gp-lambda",
    ("--r1",): "gamma r1-gamma r1-weight r1-lambda",
    ("--ema",): "ema-decay ema-rate g-ema ema-beta ema-kimg beta-ema moving-average",
    ("--augment",): "augmentation diffaug diffaugment aug-types aug aug-prob ada apply-diffaug",
    ("--mirror",): "flip hflip random-flip horizontal-flip xflip",
    ("--fit",): "resize-mode crop-mode center-crop",
    ("--max-time",): "time-limit max-hours timeout walltime max-duration time time-budget",
    ("--progress none",): "quiet silent q no-progress no-tqdm",
    ("--progress plain",): "no-live no-bar log-only",
    ("--dry-run",): "dry dryrun simulate plan",
    ("--config",): "cfg conf config-file yaml toml options-file cfg-file",
    ("--compile",): "torch-compile compile-model jit",
    ("--deterministic",): "cudnn-deterministic reproducible deterministic-algorithms",
    ("--metrics",): "metric measure measures eval-metrics run-eval",
    ("--metrics frechet",): "fid frechet frechet-distance fid-score",
    ("--metrics kernel",): "kid mmd",
    ("--metrics prdc",): "prdc coverage density recall",
    ("--inception",): "inception-path inception-weights fid-weights",
    ("--neighbours",): "nearest neighbors nn nearest-neighbours memorization",
    ("--keep",): "num-checkpoints max-checkpoints save-total-limit keep-last keep-checkpoints max-keep",
    ("--tensorboard",): "tensorboard-dir tensorboard-log-dir use-tensorboard tb tb-dir tb-log report-to",
    ("--json",): "format as-json json-output output-format",
    ("--preset",): "recipe defaults template profile",
    ("--on-bad-image",): "skip-bad ignore-errors skip-errors",
    ("--scale",): "upscale upscale-factor scale-factor outscale super-resolution",
    ("--vgg-weights",): "vgg vgg-path perceptual-weights",
    ("--clear",): "clean purge delete remove rm empty",
    ("--tensors",): "layers weights-list list-tensors",
    ("--verify",): "check checksum validate",
}  # fmt: skip
# Kinds of files, which the ending of `-o` chooses, by the commands that write them; and what is typed for choosing.
ENDINGS: Mapping[str, frozenset[str]] = {
    "sample": frozenset({"png", "jpg", "webp", "npz"}),
    "export": frozenset({"onnx", "pt2"}),
    "report": frozenset({"html", "png", "svg", "pdf"}),
}
KIND = frozenset({"format", "output-format", "export-format", "file-format", "type", "ext", "extension", "suffix"})
OPTIONS = [(meanings, frozenset(words.split())) for meanings, words in _OPTIONS.items()]

# By option: what is meant, then the words for it.
_VALUES: Mapping[str, Mapping[str, str]] = {
    "--precision": {
        "fp16": "float16 half 16 16-mixed amp mixed f16 16bit",
        "bf16": "bfloat16 bf16-mixed bfloat",
        "fp32": "float32 32 full float single tf32 32-true",
    },
    "--device": {"cuda": "gpu nvidia cuda-gpu gpus all", "cuda:0": "0 cuda0 gpu0 gpu:0", "mps": "metal apple m1"},
    "--variant": {
        "vanilla": "gan mlp standard original",
        "cgan": "conditional conditional-gan cond acgan",
        "dcgan": "dc cnn convolutional conv deep-convolutional",
        "lapgan": "laplacian lap pyramid",
        "srgan": "sr srresnet esrgan real-esrgan super-resolution upscale sr-gan",
    },
    "--loss": {
        "non-saturating": "ns nsgan bce vanilla logistic standard cross-entropy minimax gan",
        "relativistic": "rgan ragan rpgan r3gan rsgan",
        "least-squares": "ls lsgan mse l2 leastsquares",
        "wasserstein": "w wgan wgan-gp wgangp",
        "hinge": "geometric margin sngan",
    },
    "--progress": {
        "none": "quiet silent off no false",
        "live": "bar tqdm rich table on",
        "plain": "text log lines simple",
        "json": "jsonl ndjson json-lines",
    },
    "--dataset": {
        "fashion-mnist": "fmnist fashion fashionmnist fashion_mnist",
        "cifar10": "cifar cifar-10 cifar_10",
        "cifar100": "cifar-100 cifar_100",
        "stl10": "stl stl-10",
        "kmnist": "kuzushiji kuzushiji-mnist",
        "stacked-mnist": "stackedmnist smnist stacked_mnist mnist-stacked",
    },
    "--metrics": {
        "frechet": "fid frechet-distance fid50k",
        "kernel": "kid mmd",
        "prdc": "precision recall density coverage pr",
        "parzen": "log-likelihood ll likelihood",
        "swd": "wasserstein sliced-wasserstein",
        "nearest": "neighbours neighbors nn memorization memorisation",
    },
    "--eval-metric": {"frechet": "fid", "gan-test": "accuracy labels"},
    "--fit": {
        "crop": "centre center center-crop cover",
        "pad": "letterbox contain black-bars",
        "stretch": "resize squash distort",
    },
    "--on-bad-image": {"skip": "ignore continue pass drop", "fail": "error stop raise abort"},
    "--compile": {"yes": "true on 1", "no": "false off 0", "max": "max-autotune"},
}  # fmt: skip
VALUES = {
    flag: {word: meant for meant, words in some.items() for word in words.split()} for flag, some in _VALUES.items()
}

_COMMANDS: Mapping[str, str] = {
    "train": "fit learn run start finetune",
    "train --resume": "resume continue",
    "sample": "generate gen draw infer inference predict upscale enlarge create synthesize synthesise dream walk",
    "evaluate": "eval metrics score measure fid compare test benchmark validate",
    "inspect": "info show summary describe about print tensors",
    "variants": "models variant architectures archs zoo",
    "cache": "clean purge datasets data",
    "report": "plot html curves dashboard",
    "runs": "list ls ps status history",
    "export": "convert onnx save publish",
    "--help": "help man usage",
    "--version": "version",
}
COMMANDS = {word: meant for meant, words in _COMMANDS.items() for word in words.split()}


def of_option(option: str, known: Iterable[str], command: str = "") -> str:
    """`" (did you mean --precision fp16?)"` for an option that `command` does not have among those `known`, or `""`."""
    known = set(known)
    word = option.lstrip("-").replace("_", "-").lower()
    endings = ENDINGS.get(command, ())
    if word in endings:
        return f" (did you mean -o FILE.{word}?)"
    if word in KIND and endings:
        return " (the ending of -o FILE says it)"
    for meanings, words in OPTIONS:
        for meaning in meanings if word in words else ():
            if meaning == ONE_UPDATE and command == "train":
                return f" ({ONE_UPDATE})"
            if command == "train" if SEVERAL in meaning else meaning.partition(" ")[0] in known:
                return f" (did you mean {meaning}?)"
            if meaning.startswith("CKPT") and command in ("sample", "evaluate", "inspect"):
                return f" (it is {meaning.format(command=command)})"
    return did_you_mean(option.replace("_", "-"), [name for name in known if name.startswith("--")])


def of_name(name: str, known: Iterable[str]) -> str:
    """The same for options by their names, as Python and a configuration file have them: `fp16` is `precision`."""
    names = {f"--{each.replace('_', '-')}": each for each in known}
    found = of_option(f"--{name}", names)
    for flag in sorted(names, key=len, reverse=True):
        if f" {flag}" in found:
            return f" (did you mean {names[flag]}{' = ' + value if (value := _value(found, flag)) else ''}?)"
    return ""


def _value(found: str, flag: str) -> str:
    value = found.partition(f"{flag} ")[2].rstrip("?)")
    return f'"{value}"' if value else ""


def of_value(flag: str, value: str, known: Iterable[str]) -> str:
    """The same for a value of an option that is none of those `known`."""
    meant = VALUES.get(flag, {}).get(value.lower())
    known = list(known)
    return f" (did you mean {meant}?)" if meant in known else did_you_mean(value, known)


def of_command(word: str, known: Iterable[str]) -> str:
    """The same for a command."""
    known = list(known)
    meant = COMMANDS.get(word.lower().lstrip("-"), "")
    return (
        f" (did you mean gan {meant}?)"
        if meant.partition(" ")[0] in known or meant.startswith("--")
        else did_you_mean(word, known)
    )
