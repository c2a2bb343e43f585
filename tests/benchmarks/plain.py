"""The loop that tutorials write, in our own words: DataLoader, ToTensor, Normalize, `.item()` in every step."""

import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

BATCH = 100


def article(data_root: Path) -> Callable[[int], None]:
    """The article's network on MNIST; gives a function that trains for so many steps."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    loader = DataLoader(
        datasets.MNIST(str(data_root), transform=transform, download=True), batch_size=BATCH, shuffle=True
    )
    leaky = nn.LeakyReLU(0.2)
    generator = nn.Sequential(
        nn.Linear(100, 128), leaky, nn.Linear(128, 128), leaky, nn.Linear(128, 784), nn.Tanh()
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Linear(784, 128), leaky, nn.Linear(128, 128), leaky, nn.Linear(128, 1), nn.Sigmoid()
    )  # fmt: skip
    criterion = nn.BCELoss()
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
    endless = itertools.chain.from_iterable(itertools.repeat(loader))
    history: list[tuple[float, float]] = []

    def train(steps: int) -> None:
        for images, _ in itertools.islice(endless, steps):
            real = images.view(-1, 784)
            z = torch.rand(BATCH, 100) * 2 - 1
            d_optimizer.zero_grad()
            real_loss = criterion(discriminator(real), torch.full((BATCH, 1), 0.9))
            fake_loss = criterion(discriminator(generator(z).detach()), torch.zeros(BATCH, 1))
            d_loss = real_loss + fake_loss
            d_loss.backward()
            d_optimizer.step()
            g_optimizer.zero_grad()
            g_loss = criterion(discriminator(generator(z)), torch.ones(BATCH, 1))
            g_loss.backward()
            g_optimizer.step()
            history.append((d_loss.item(), g_loss.item()))

    return train
