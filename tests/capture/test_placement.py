import pytest
import torch
from torch import nn

from hooksim.capture.placement import (
    as_device,
    can_stop_early,
    check_values,
    evaluating,
    input_device,
    other_precision,
    placed,
)
from hooksim.errors import ConfigError, HooksimError, MissingWeightsError
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
    message = "device: Sequential is on cpu, meta and could not be put back"
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


def test_input_goes_to_where_accelerate_runs_the_first_part():
    def hook(device, *others):
        return type("Hook", (), {"execution_device": device, **dict(others)})()

    waiting = nn.Sequential(nn.Linear(2, 2, device="meta"), nn.Linear(2, 2, device="meta"))
    waiting._hf_hook = hook(None)  # the outermost one only moves the output
    waiting[0]._hf_hook = hook(None, ("hooks", [hook(None), hook("cpu")]))
    waiting[1]._hf_hook = hook("cuda:1")
    assert input_device(waiting) == CPU


def test_values_that_are_not_there_are_noticed_unless_accelerate_brings_them():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False, device="meta"))
    with pytest.raises(MissingWeightsError) as error:
        check_values(model, "model A")
    assert str(error.value) == (
        "model A: 3 of its 5 parameters and buffers are on the meta device, which holds no values "
        "('1.running_mean', ...). Load its weights first."
    )
    model[1]._hf_hook = object()
    check_values(model, "model A")
    check_values(nn.ReLU(), "model A")


def test_precision_is_compared_for_floating_inputs():
    half = nn.Linear(2, 2).half()
    wrong = {"x": torch.zeros(2), "ids": torch.zeros(2, dtype=torch.int64), "text": "a"}
    assert other_precision(half, wrong).startswith("; its parameters are float16: give it batches")
    assert other_precision(half, {**wrong, "x": torch.zeros(2).half()}) == ""
    assert other_precision(nn.Sequential(half, nn.Linear(2, 2)), wrong) == ""
    assert other_precision(nn.ReLU(), wrong) == ""


def test_what_has_no_eval_mode_is_refused():
    class Exported(nn.Linear):
        def eval(self):
            raise NotImplementedError("Calling eval() is not supported yet.")

    model = Exported(2, 2)
    with pytest.raises(HooksimError, match="Exported has no eval mode"), evaluating(model):
        pass
    assert model.training


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


def test_the_meta_device_holds_no_values():
    with pytest.raises(ConfigError, match="got 'meta', which holds no values"):
        as_device("meta")
