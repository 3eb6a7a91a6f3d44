import pytest
import torch
from torch import nn

from hooksim.capture.placement import as_device, can_stop_early, evaluating, input_device, placed
from hooksim.errors import ConfigError
from tests.capture.tiny_models import Stack

META, CPU = torch.device("meta"), torch.device("cpu")


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_every_modules_mode_is_put_back(error):
    model = Stack(3).train()
    model.blocks[1].eval()
    before = [module.training for module in model.modules()]
    try:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    assert [module.training for module in model.modules()] == before


def test_where_the_model_is_already():
    model = Stack(1)
    weight = model.blocks[0].inner.weight
    with placed(model, None), placed(model, CPU):
        assert model.blocks[0].inner.weight is weight


def test_moved_and_moved_back():
    moves = []

    class Moving(nn.Linear):
        def to(self, device):
            moves.append(device)
            return self

    with pytest.raises(KeyboardInterrupt), placed(Moving(2, 2), META):
        raise KeyboardInterrupt
    assert moves == [META, CPU]


def test_a_spread_model_is_not_moved():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    message = "device: Sequential is spread over cpu, meta"
    with pytest.raises(ConfigError, match=message), placed(model, CPU):
        pass
    with placed(model, None):
        pass


def test_input_goes_to_the_first_parameter_with_memory():
    assert input_device(nn.ReLU()) == CPU
    assert input_device(nn.Linear(2, 2, device="meta")) == META
    offloaded = nn.Sequential(nn.Linear(2, 2, device="meta"), nn.BatchNorm1d(2))
    assert input_device(offloaded) == CPU
    waiting = nn.Linear(2, 2, device="meta")
    waiting._hf_hook = type("Hook", (), {"execution_device": "cpu"})()
    assert input_device(waiting) == CPU


def test_sharded_models_run_to_the_end():
    class FSDPModule:
        pass

    class Sharded(FSDPModule, nn.Linear):
        pass

    assert can_stop_early(Stack(1))
    assert not can_stop_early(nn.Sequential(Sharded(2, 2)))
    zero = nn.Linear(2, 2)
    zero.weight.ds_id = 0
    assert not can_stop_early(zero)


@pytest.mark.parametrize("device", ["foo", "cuda:x", ["cpu"], 1.5])
def test_a_device_that_does_not_exist(device):
    with pytest.raises(ConfigError) as error:
        as_device(device)
    assert str(error.value) == (
        "device: expected a name such as 'cpu' or 'cuda:0', a torch.device or None, got "
        f"{device!r}."
    )


def test_devices_by_name():
    assert as_device(None) is None
    assert as_device("cpu") == as_device(CPU) == CPU


def test_a_device_that_is_not_here():
    absent = torch.device("xpu" if not torch.xpu.is_available() else "cuda:99")
    message = rf"^device: '{absent}' cannot be used here: [^\n]+\. Leave device=None"
    with pytest.raises(ConfigError, match=message), placed(Stack(1), absent):
        pass
