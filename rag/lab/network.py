"""The network of the classic demonstration: two convolutions and two linear layers, to 64 numbers of length 1."""

import torch
import torch.nn.functional as F  # noqa: N812  as everywhere
from torch import Tensor, nn

DIM = 64
_CHANNELS = (16, 32)
_HIDDEN = 128
_AT_ONCE = 1024  # images embedded in one step


class DigitNetwork(nn.Module):
    """float32[N, 1, H, W] in [0, 1] to float32[N, 64] of length 1; H and W are 4 at least."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, _CHANNELS[0], 3, padding=1)
        self.second = nn.Conv2d(_CHANNELS[0], _CHANNELS[1], 3, padding=1)
        self.hidden = nn.Linear(_CHANNELS[1] * (height // 4) * (width // 4), _HIDDEN)
        self.out = nn.Linear(_HIDDEN, DIM)

    def forward(self, pixels: Tensor) -> Tensor:
        maps = F.max_pool2d(F.relu(self.first(pixels)), 2)
        maps = F.max_pool2d(F.relu(self.second(maps)), 2)
        return F.normalize(self.out(F.relu(self.hidden(maps.flatten(1)))), dim=1)


def new_network(height: int, width: int, seed: int) -> DigitNetwork:
    """One whose weights are drawn by `seed`, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DigitNetwork(height, width)


@torch.inference_mode()
def embed(network: DigitNetwork, pixels: Tensor) -> Tensor:
    """float32[N, 64] of all of float32[N, 1, H, W], on the CPU."""
    device = next(network.parameters()).device
    return torch.cat([network(part.to(device)).cpu() for part in torch.split(pixels, _AT_ONCE)])
