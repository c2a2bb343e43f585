"""The loops that tutorials write, in our own words: DataLoader, PIL, ToTensor, Normalize, `.item()` in every step.

Each is given the data, the device and what to do with a network before it is trained: nothing, or `nn.Module.compile`.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from gancli import catalogue, images
from gancli.data.dataset import Dataset
from gancli.data.photographs import PhotoDataset
from gancli.spec import ImageSpec

Loop = Callable[[int], None]
Ready = Callable[[nn.Module], object]
# What both contenders' networks are built with: without the penalties that tutorials leave out.
CGAN = {"preset": "default", "r1": 0.0}
LAPGAN = {
    "preset": "default", "self_conditioned": 0, "r1": 0.0, "coarse_r1": 0.0, "coarse_updates": 1,
    "perturb": 0.0,
}  # fmt: skip
SRGAN = {"preset": "paper", "content": "mse", "pretrain_steps": 0}


class Pictures(TorchDataset[Tensor]):
    """As torchvision's own data sets do it: an array in memory, a PIL image of it, transforms."""

    def __init__(self, source: Dataset) -> None:
        self.pixels = source.images.permute(0, 2, 3, 1).squeeze(-1).numpy()
        mean = (0.5,) * source.spec.channels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, mean)])

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        picture: Tensor = self.transform(Image.fromarray(self.pixels[index]))
        return picture


class Labelled(Pictures):
    """The same, with labels."""

    def __init__(self, source: Dataset) -> None:
        super().__init__(source)
        self.labels = source.labels.tolist()

    def __getitem__(self, index: int) -> Any:
        return super().__getitem__(index), self.labels[index]


class Crops(TorchDataset[tuple[Tensor, Tensor]]):
    """A random crop of 96 px and its bicubic quarter, by PIL. As many to an epoch as 100 batches need."""

    def __init__(self, photographs: PhotoDataset) -> None:
        self.photographs = [images.to_pil(photographs.image(i)) for i in range(photographs.num_images)]
        self.crop = transforms.RandomCrop(96)
        self.shrink = transforms.Resize(24, interpolation=transforms.InterpolationMode.BICUBIC)
        self.tensor = transforms.ToTensor()

    def __len__(self) -> int:
        return 1600

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        crop = self.crop(self.photographs[index % len(self.photographs)])
        return self.tensor(self.shrink(crop)), self.tensor(crop)


def article(source: Dataset, device: torch.device, ready: Ready) -> Loop:
    """The TensorFlow tutorial's network, as PyTorch tutorials train it."""
    batch, leaky = 100, nn.LeakyReLU(0.2)
    generator = nn.Sequential(
        nn.Linear(100, 128), leaky, nn.Linear(128, 128), leaky, nn.Linear(128, 784), nn.Tanh()
    ).to(device)  # fmt: skip
    discriminator = nn.Sequential(
        nn.Linear(784, 128), leaky, nn.Linear(128, 128), leaky, nn.Linear(128, 1), nn.Sigmoid()
    ).to(device)  # fmt: skip
    real_pictures = (x.view(-1, 784) for x in _endless(Pictures(source), batch, device))
    return _gan_loop(
        generator, discriminator, real_pictures, lambda: torch.rand(batch, 100, device=device) * 2 - 1, 1e-3, 0.9, ready
    )


def dcgan(source: Dataset, device: torch.device, ready: Ready) -> Loop:
    """DCGAN of 32 px, width 64, batch norm in both."""
    batch, width = 128, 64

    def up(fewer: int, more: int, stride: int, padding: int) -> list[nn.Module]:
        return [nn.ConvTranspose2d(fewer, more, 4, stride, padding, bias=False), nn.BatchNorm2d(more), nn.ReLU(True)]

    def down(fewer: int, more: int) -> list[nn.Module]:
        return [nn.Conv2d(fewer, more, 4, 2, 1, bias=False), nn.BatchNorm2d(more), nn.LeakyReLU(0.2, True)]

    generator = nn.Sequential(
        *up(100, 4 * width, 1, 0), *up(4 * width, 2 * width, 2, 1), *up(2 * width, width, 2, 1),
        nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh(),
    ).to(device)  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True), *down(width, 2 * width), *down(2 * width, 4 * width),
        nn.Conv2d(4 * width, 1, 4), nn.Flatten(), nn.Sigmoid(),
    ).to(device)  # fmt: skip
    real_pictures = _endless(Pictures(source), batch, device)
    return _gan_loop(
        generator, discriminator, real_pictures, lambda: torch.randn(batch, 100, 1, 1, device=device), 2e-4, 1.0, ready
    )


def srresnet(photographs: PhotoDataset, device: torch.device, ready: Ready) -> Loop:
    """SRResNet with 16 blocks of width 64, by squared error."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(64, 64, 3, 1, 1),
                nn.BatchNorm2d(64),
                nn.PReLU(),
                nn.Conv2d(64, 64, 3, 1, 1),
                nn.BatchNorm2d(64),
            )

        def forward(self, x: Tensor) -> Tensor:
            added: Tensor = x + self.layers(x)
            return added

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Sequential(nn.Conv2d(3, 64, 9, 1, 4), nn.PReLU())
            self.body = nn.Sequential(*(Block() for _ in range(16)), nn.Conv2d(64, 64, 3, 1, 1), nn.BatchNorm2d(64))
            doubling = [
                layer for _ in range(2) for layer in (nn.Conv2d(64, 256, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU())
            ]
            self.tail = nn.Sequential(*doubling, nn.Conv2d(64, 3, 9, 1, 4))

        def forward(self, x: Tensor) -> Tensor:
            features = self.head(x)
            picture: Tensor = self.tail(features + self.body(features))
            return picture

    generator, criterion = Generator().to(device), nn.MSELoss()
    ready(generator)
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-4)
    pairs = _endless(Crops(photographs), 16, device)
    history: list[float] = []

    def train(steps: int) -> None:
        for low_res, high_res in itertools.islice(pairs, steps):
            optimizer.zero_grad()
            loss = criterion(generator(low_res), high_res)
            loss.backward()
            optimizer.step()
            history.append(loss.item())

    return train


def cgan(source: Dataset, device: torch.device, ready: Ready) -> Loop:
    """cgan's own networks: real and fake pictures judged one after the other, with their labels."""
    batch, networks = 64, _networks("cgan", source.spec, CGAN, device, ready)
    generator, discriminator = networks["G"], networks["D"]
    loader = _endless(Labelled(source), batch, device)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    criterion, history = nn.BCEWithLogitsLoss(), list[tuple[float, float]]()

    def train(steps: int) -> None:
        for real, labels in itertools.islice(loader, steps):
            ones, zeros = torch.ones(batch, 1, device=device), torch.zeros(batch, 1, device=device)
            d_optimizer.zero_grad()
            fake = generator(torch.randn(batch, 32, device=device), labels)
            real_loss = criterion(discriminator(real, labels), ones)
            d_loss = real_loss + criterion(discriminator(fake.detach(), labels), zeros)
            d_loss.backward()
            d_optimizer.step()
            g_optimizer.zero_grad()
            g_loss = criterion(discriminator(fake, labels), ones)
            g_loss.backward()
            g_optimizer.step()
            history.append((d_loss.item(), g_loss.item()))

    return train


def lapgan(source: Dataset, device: torch.device, ready: Ready) -> Loop:
    """lapgan's own networks, one update of each per step, pyramid made anew for each level."""
    batch, networks = 64, _networks("lapgan", source.spec, LAPGAN, device, ready)
    loader = _endless(Pictures(source), batch, device)
    optimizers = {k: torch.optim.Adam(n.parameters(), lr=1e-3, betas=(0.5, 0.999)) for k, n in networks.items()}
    criterion, history = nn.BCEWithLogitsLoss(), list[float]()

    def level(picture: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        for _ in range(k):
            picture = nn.functional.avg_pool2d(picture, 2)
        if k == 2:
            return picture, torch.zeros_like(picture), torch.randn(batch, 32, device=device)
        smaller = nn.functional.avg_pool2d(picture, 2)
        low_pass = nn.functional.interpolate(smaller, scale_factor=2.0, mode="bilinear", align_corners=False)
        return picture - low_pass, low_pass, torch.randn(batch, 1, *picture.shape[2:], device=device)

    def train(steps: int) -> None:
        for real in itertools.islice(loader, steps):
            ones, zeros = torch.ones(batch, 1, device=device), torch.zeros(batch, 1, device=device)
            for k in range(3):
                residual, low_pass, z = level(real, k)
                generator, discriminator = networks[f"G{k}"], networks[f"D{k}"]
                optimizers[f"D{k}"].zero_grad()
                fake = generator(z, low_pass, None)
                real_loss = criterion(discriminator(residual, low_pass, None), ones)
                d_loss = real_loss + criterion(discriminator(fake.detach(), low_pass, None), zeros)
                d_loss.backward()
                optimizers[f"D{k}"].step()
                optimizers[f"G{k}"].zero_grad()
                g_loss = criterion(discriminator(fake, low_pass, None), ones)
                g_loss.backward()
                optimizers[f"G{k}"].step()
                history.extend((d_loss.item(), g_loss.item()))

    return train


def srgan(photographs: PhotoDataset, device: torch.device, ready: Ready) -> Loop:
    """The adversarial phase, with the paper's networks and pixels as content."""
    networks = _networks("srgan", photographs.spec, SRGAN, device, ready)
    generator, discriminator = networks["G"], networks["D"]
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-4)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-4)
    criterion, content, history = nn.BCEWithLogitsLoss(), nn.MSELoss(), list[float]()
    pairs = _endless(Crops(photographs), 16, device)

    def train(steps: int) -> None:
        for low_res, high_res in itertools.islice(pairs, steps):
            ones, zeros = torch.ones(16, 1, device=device), torch.zeros(16, 1, device=device)
            d_optimizer.zero_grad()
            fake = generator(low_res)
            d_loss = criterion(discriminator(high_res), ones) + criterion(discriminator(fake.detach()), zeros)
            d_loss.backward()
            d_optimizer.step()
            g_optimizer.zero_grad()
            g_loss = content(fake, high_res) + 1e-3 * criterion(discriminator(fake), ones)
            g_loss.backward()
            g_optimizer.step()
            history.extend((d_loss.item(), g_loss.item()))

    return train


def _networks(
    variant: str, spec: ImageSpec, own: Mapping[str, Any], device: torch.device, ready: Ready
) -> dict[str, nn.Module]:
    """The networks that ours has with a preset and the options `own`."""
    card = catalogue.variant_info(variant)
    known = set(card.config_class.__dataclass_fields__)
    values = {**card.presets[own["preset"]], **own}
    config = card.config_class(**{name: value for name, value in values.items() if name in known})
    networks = {name: network.to(device) for name, network in catalogue.load(variant)(config, spec).networks.items()}
    for network in networks.values():
        ready(network)
    return networks


def _endless(data: "TorchDataset[Any]", batch: int, device: torch.device) -> Iterator[Any]:
    loader = DataLoader(data, batch_size=batch, shuffle=True, drop_last=True)
    for batch_of in itertools.chain.from_iterable(itertools.repeat(loader)):
        yield [x.to(device) for x in batch_of] if isinstance(batch_of, list) else batch_of.to(device)


def _gan_loop(
    generator: nn.Module,
    discriminator: nn.Module,
    real_pictures: Iterator[Tensor],
    noise: Callable[[], Tensor],
    lr: float,
    target: float,
    ready: Ready,
) -> Loop:
    ready(generator)
    ready(discriminator)
    criterion = nn.BCELoss()
    betas = (0.9 if target < 1 else 0.5, 0.999)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=lr, betas=betas)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=betas)
    history: list[tuple[float, float]] = []

    def train(steps: int) -> None:
        for real in itertools.islice(real_pictures, steps):
            ones, zeros = torch.ones(len(real), 1, device=real.device), torch.zeros(len(real), 1, device=real.device)
            d_optimizer.zero_grad()
            real_loss = criterion(discriminator(real), target * ones)
            fake = generator(noise())
            fake_loss = criterion(discriminator(fake.detach()), zeros)
            d_loss = real_loss + fake_loss
            d_loss.backward()
            d_optimizer.step()
            g_optimizer.zero_grad()
            g_loss = criterion(discriminator(fake), ones)
            g_loss.backward()
            g_optimizer.step()
            history.append((d_loss.item(), g_loss.item()))

    return train
