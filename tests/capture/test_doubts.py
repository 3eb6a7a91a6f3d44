"""One number a sample where a wider output stands beside it is a warning, not a note."""

import pytest
import torch
from torch import nn

import hooksim
from hooksim.capture.doubts import NARROW_OUTPUT


class Block(nn.Module):
    def __init__(self, beside):
        super().__init__()
        self.linear, self.beside = nn.Linear(6, 6), beside

    def forward(self, x):
        hidden = self.linear(x[1] if isinstance(x, tuple) else x)
        return self.beside(hidden), hidden


def warned(beside, **rows):
    model = nn.Sequential(Block(beside), Block(beside))
    batches = [torch.randn(20, 6) for _ in range(2)]
    result = hooksim.compare(
        model, model, batches, rows=hooksim.Rows(**rows), layers_a=["0", "1"], progress=False
    )
    return [e["text"] for e in result.metadata["warnings"] if e["code"] == NARROW_OUTPUT]


@pytest.mark.parametrize("beside", [lambda x: x.mean(1), lambda x: x.mean(1, keepdim=True)])
def test_one_number_a_sample(beside):
    [text] = warned(beside)
    assert text == (
        "model A (Sequential): took output '0' of '0', '1', one number a sample, not '1'. "
        "Rows(output_index=...) takes another."
    )
    assert not warned(beside, output_index=0)  # it was asked for
    assert not warned(beside, output_index=1)


def test_two_outputs_of_which_the_first_is_wide():
    assert not warned(lambda x: x + 1)
    assert not warned(lambda x: x[:, :2])
