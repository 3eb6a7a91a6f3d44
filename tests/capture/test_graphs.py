import pytest
import torch
from torch import nn

from hooksim.capture.graphs import check_hookable
from hooksim.errors import ConfigError


def test_plain_modules_take_hooks():
    check_hookable(nn.Sequential(nn.Linear(2, 2)), "model A")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_what_jit_made_takes_none():
    traced = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
    with pytest.raises(ConfigError) as error:
        check_hookable(traced, "layer 'head' of model A (Net)")
    assert str(error.value) == (
        "layer 'head' of model A (Net): torch.jit made it, and calls no hooks inside. Give the "
        "module that it was made from."
    )
