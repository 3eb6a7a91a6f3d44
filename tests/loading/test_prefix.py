"""Weights that were saved from inside a wrapper: its names are longer by what it is called."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hooksim.errors import MissingWeightsError
from hooksim.loading import load_model
from hooksim.loading.prefix import wrapper_prefix
from tests.capture.tiny_models import Stack


class Trained(nn.Module):
    """A training loop that holds its model, and the mean of its weights over time if asked."""

    def __init__(self, model, **others):
        super().__init__()
        self.model = model
        for name, module in others.items():
            setattr(self, name, module)


def saved(module, path):
    save_file(module.state_dict(), path / "w.safetensors")
    spec = {"kind": "python", "factory": "tests.capture.tiny_models:Stack", "kwargs": {"depth": 2}}
    return {**spec, "weights": str(path / "w.safetensors")}


@pytest.fixture
def model():
    torch.manual_seed(3)
    return Stack(2)


WRAPPERS = {
    "module.": nn.DataParallel,
    "_orig_mod.": lambda model: torch.compile(model, backend="eager"),
    "module._orig_mod.": lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
    "model.": Trained,
}


@pytest.mark.parametrize("prefix", WRAPPERS)
def test_what_a_wrapper_put_in_front_of_every_name_is_left_out(tmp_path, model, prefix):
    loaded, notes = load_model(saved(WRAPPERS[prefix](model), tmp_path))
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)
    [note] = notes
    assert note.code == "wrapper_prefix"
    assert note.text.endswith(f"has {prefix!r} in front of every name of Stack; left out here.")


def test_of_two_models_in_a_file_none_is_guessed(tmp_path, model):
    message = (
        r"no weights for \d+ parameters of Stack .* It has '.*' as 'average\..*': save the sta"
    )
    with pytest.raises(MissingWeightsError, match=message):
        load_model(saved(Trained(model, average=Stack(2)), tmp_path))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.weight"], ["a.weight"]),
        (["a.weight", "x.b"], ["a.weight"]),
        (["x.a.weight", "b"], ["a.weight"]),  # not all
        (["x.weight", "y.weight"], ["weight"]),  # two would do
        (["b.weight"], ["a.weight"]),
        ([], ["a"]),
        (["a"], []),
    ],
)
def test_what_has_no_prefix(names, expected):
    assert wrapper_prefix(names, expected) == ""


def test_the_longest_fit_decides():
    """`weight` alone is a name of the model too: of its own last layer."""
    names = ["model.inner.weight", "model.inner.bias", "model.weight"]
    assert wrapper_prefix(names, ["inner.weight", "inner.bias", "weight"]) == "model."


def test_integers_for_real_numbers_are_refused(tmp_path, model):
    state = {name: (10 * each).to(torch.int8) for name, each in model.state_dict().items()}
    spec = saved(model, tmp_path)
    save_file(state, tmp_path / "w.safetensors")
    message = (
        r"has \d+ parameters of Stack as integers \('.*, as quantized or packed ones are\. Giv"
    )
    with pytest.raises(MissingWeightsError, match=message):
        load_model(spec)
