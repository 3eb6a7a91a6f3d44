"""Plain models of torch, and a residual network as torchvision and timm write it."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hooksim.capture.rows import Rows
from tests.architectures.architecture import Architecture, ids, numbered, vectors


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride > 1:
            shortcut = nn.Conv2d(width, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out.add_(shortcut))


class ResNet(nn.Module):
    """A stem, three stages of blocks, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(BasicBlock(8, 8, 1), BasicBlock(8, 8, 1))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, 2), BasicBlock(16, 16, 1))
        self.layer3 = nn.Sequential(BasicBlock(16, 16, 2))
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(dim=(2, 3)))


class Tagger(nn.Module):
    """A recurrent network over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(60, 8)
        self.lstm = nn.LSTM(8, 8, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.lstm(self.embed(tokens))[0])


class Mixer(nn.Module):
    """Blocks of attention and of a network, one after the other, in a list of lists."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([nn.MultiheadAttention(8, 2, batch_first=True), _network()])
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        for attention, network in self.layers:
            x = x + attention(x, x, x)[0]
            x = x + network(x)
        return x


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))


def _perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(inplace=True), nn.BatchNorm1d(16), nn.Linear(16, 4)
    )


def _critic() -> nn.Module:
    return nn.Sequential(spectral_norm(nn.Linear(8, 8)), nn.ReLU(), spectral_norm(nn.Linear(8, 4)))


def _vgg() -> nn.Module:
    def unit(width: int, out: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(width, out, 3, 1, 1), nn.BatchNorm2d(out), nn.ReLU())

    units = [unit(3, 8), unit(8, 8), nn.MaxPool2d(2), unit(8, 16)]
    return nn.Sequential(nn.Sequential(*units), nn.Flatten(), nn.Linear(16 * 64, 4))


def _encoder_layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)


def _mask_call(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return model(batch["x"], src_key_padding_mask=batch["attention_mask"] == 0)


def _itself(model: nn.Module, x: Tensor) -> Tensor:
    return model(x, x, x)


def _twice(model: nn.Module, x: Tensor) -> Tensor:
    return model(x, x)


def _padded(number: int) -> dict[str, Tensor]:
    mask = torch.ones(6, 5).long()
    mask[1:3, 3:] = 0
    return {"x": vectors(number, (5, 8)), "attention_mask": mask}


def _plain(make, layers, *shape, **options):
    return Architecture(make, partial(vectors, shape=shape), layers, **options)


PLAIN_MODELS = {
    "nn.Sequential": _plain(_perceptron, ["0", "2", "3"], 8),
    "nn.Linear": _plain(lambda: nn.Linear(8, 4), ["Linear"], 8),
    "spectral norm": _plain(_critic, ["0", "2"], 8),
    "nn.TransformerEncoderLayer": _plain(
        _encoder_layer, ["self_attn", "linear1", "linear2", "norm1", "norm2"], 5, 8
    ),
    "nn.TransformerEncoder": Architecture(
        lambda: nn.TransformerEncoder(_encoder_layer(), 2),
        _padded,
        numbered("layers x2"),
        forward=_mask_call,
    ),
    "nn.Transformer": _plain(
        lambda: nn.Transformer(8, 2, 2, 1, 16, batch_first=True),
        numbered("encoder.layers x2", "decoder.layers x1"),
        5,
        8,
        forward=_twice,
    ),
    "nn.LSTM": _plain(lambda: nn.LSTM(8, 6, 2, batch_first=True), ["LSTM"], 5, 8),
    "nn.LSTM, time first": _plain(
        lambda: nn.LSTM(8, 6),
        ["LSTM"],
        5,
        8,
        forward=lambda model, batch: model(batch.transpose(0, 1)),
        rows=Rows(batch_dim=1),
    ),
    "nn.LSTM in a tagger": Architecture(
        Tagger, lambda number: ids(number, 7), ["embed", "lstm", "head"]
    ),
    "nn.MultiheadAttention": _plain(
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
        ["MultiheadAttention"],
        5,
        8,
        forward=_itself,
    ),
    "lists of lists": _plain(Mixer, numbered("layers.0 x2", "layers.1 x2"), 5, 8),
    "torchvision's ResNet": _plain(
        ResNet, numbered("layer1 x2", "layer2 x2", "layer3 x1"), 3, 16, 16
    ),
    "torchvision's VGG": _plain(_vgg, ["0.0", "0.1", "0.3"], 3, 16, 16),
}
