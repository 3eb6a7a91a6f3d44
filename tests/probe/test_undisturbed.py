import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from hooksim.probe.undisturbed import in_full_precision, undisturbed
from tests.probe.probed import in_bfloat16


def drawn() -> tuple[float, ...]:
    """The next number of every global generator."""
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_random_numbers_go_on_as_if_nothing_had_been():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = drawn()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with undisturbed([], None):
        drawn()
    assert drawn() == expected


def test_even_after_an_error():
    before = torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt), undisturbed([], None):
        torch.rand(1)
        raise KeyboardInterrupt
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_generator_of_the_loader_is_put_back():
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(torch.ones(4, 2), generator=generator)
    before = generator.get_state()
    with undisturbed(loader, None):
        list(loader)
        assert not torch.equal(generator.get_state(), before)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("around", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_grad_modes_are_those_of_no_grad_and_put_back(around):
    with around():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        with undisturbed([], None):
            assert not torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


def test_autocast_is_off_inside_and_on_again_after():
    with torch.autocast("cpu", torch.bfloat16):
        with undisturbed([], None):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


class Accelerator:
    """Stands for torch.cuda: a state for each of two devices."""

    def __init__(self, started: bool) -> None:
        self.started, self.states = started, [1, 2]

    def is_initialized(self) -> bool:
        return self.started

    def get_rng_state_all(self) -> list[int]:
        self.started = True
        return list(self.states)

    def set_rng_state_all(self, states: list[int]) -> None:
        self.states = states


def pretend(monkeypatch, module, kind: str = "xpu") -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
    monkeypatch.setattr(torch, "get_device_module", lambda _device: module)
    monkeypatch.setattr(torch, "autocast", lambda *_args, **_kw: torch.no_grad())


@pytest.mark.parametrize(("started", "device"), [(True, None), (False, "xpu:1")])
def test_every_accelerator_is_put_back(started, device, monkeypatch):
    module = Accelerator(started)
    pretend(monkeypatch, module)
    with undisturbed([], device):
        module.states = [8, 9]
    assert module.states == [1, 2]


def test_an_accelerator_that_nobody_uses_is_not_started(monkeypatch):
    module = Accelerator(started=False)
    pretend(monkeypatch, module)
    with undisturbed([], "cpu"):
        pass
    assert not module.started


def test_mps_has_one_state(monkeypatch):
    held = [5]
    module = SimpleNamespace(
        get_rng_state=lambda: held[0], set_rng_state=lambda state: held.__setitem__(0, state)
    )
    pretend(monkeypatch, module, "mps")
    with undisturbed([], None):
        held[0] = 6
    assert held == [5]


def test_the_autocast_of_accelerate_is_taken_away_and_given_back():
    model, x = nn.Linear(64, 64), torch.randn(4, 64)
    expected = model(x)
    prepared = in_bfloat16(model)
    wrapped = prepared.forward
    assert not torch.equal(prepared(x), expected)
    with in_full_precision(prepared):
        assert torch.equal(prepared(x), expected)
    assert prepared.forward is wrapped
    assert not torch.equal(prepared(x), expected)


def test_a_forward_that_something_else_has_replaced_is_left_alone():
    model = nn.Linear(3, 2)
    model._original_forward = model.forward
    model.forward = replaced = lambda x: x
    with in_full_precision(model):
        assert model.forward is replaced
