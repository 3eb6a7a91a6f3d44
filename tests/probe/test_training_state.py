"""A probe leaves the training as it was."""

import random

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import nn
from torch.utils.data import DataLoader

from hooksim.errors import HooksimError
from hooksim.probe import Probe
from tests.probe.probed import SAMPLES, batches, stack


class TestTrainingIsLeftAlone:
    def test_flags_gradients_hooks_and_buffers(self):
        model = stack().train()
        model[1].eval()
        model(SAMPLES).sum().backward()
        fired = []
        model[0].register_forward_hook(lambda *_: fired.append(1))
        flags = [module.training for module in model.modules()]
        hooks = [list(module._forward_hooks) for module in model.modules()]
        gradients = [each.grad.clone() for each in model.parameters()]
        state = {name: each.clone() for name, each in model.state_dict().items()}
        Probe(batches(), reference=model).measure(model, 1)
        assert [module.training for module in model.modules()] == flags
        assert [list(module._forward_hooks) for module in model.modules()] == hooks
        assert all(
            torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True)
        )
        assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())
        assert all(parameter.requires_grad for parameter in model.parameters())
        assert fired

    def test_what_a_forward_changes_and_puts_back_or_counts(self):
        class Changing(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer, self.head, self.scale = nn.Linear(6, 4), nn.Linear(4, 2), 1.0
                self.register_buffer("mean", torch.zeros(6))
                self.register_buffer("calls", torch.zeros(()))

            def forward(self, x):
                self.scale = 0.5
                self.mean.mul_(0.9).add_(0.1 * x.mean(dim=0))
                self.calls = self.calls + 1
                y = self.head(self.layer(x - self.mean) * self.scale)
                self.scale = 1.0
                return y

        model = Changing()
        result = Probe(batches(), reference=model, layers_a="layer").measure(model, 1)
        assert model.scale == 1
        assert not model.mean.any()
        assert model.calls == 0
        torch.testing.assert_close(result["cka"].values, torch.ones(1, 1, dtype=torch.float64))

    def test_what_a_first_batch_gives(self):
        class First(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer, self.begun = nn.Linear(6, 4), False
                self.scale = nn.Parameter(torch.ones(6))
                self.register_buffer("mean", None)

            def forward(self, x):
                if not self.begun:
                    self.begun, self.mean = True, x.mean(dim=0)
                    self.register_buffer("width", x.std(dim=0), persistent=False)
                    self.scale.data.copy_(1 / self.width)
                return self.layer((x - self.mean) * self.scale)

        model = First()
        before = set(vars(model))
        Probe(batches(), reference=model).measure(model, 1)
        assert set(vars(model)) == before
        assert model._buffers == {"mean": None}
        assert model._non_persistent_buffers_set == set()
        assert not model.begun
        assert torch.equal(model.scale, torch.ones(6))

    def test_a_lazy_module_is_refused(self):
        model = nn.Sequential(nn.LazyLinear(4))
        with pytest.raises(HooksimError, match=r"'0\.weight' of Sequential has no shape yet, and"):
            Probe(batches(), reference=model)
        model(SAMPLES)
        Probe(batches(), reference=model)

    def test_even_where_the_model_fails(self):
        model = stack().train()
        probe = Probe(batches(), reference=model)
        model[4].register_forward_pre_hook(lambda *_: 1 / 0)
        state = torch.random.get_rng_state()
        with pytest.raises(ZeroDivisionError):
            probe.measure(model, 1)
        assert all(module.training for module in model.modules())
        assert [len(module._forward_hooks) for module in model.modules()] == [0] * 6
        assert torch.equal(state, torch.random.get_rng_state())
        assert probe.history == [] == probe.seconds

    def test_random_numbers(self):
        class Drawing(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(6, 4)

            def forward(self, x):
                random.random(), np.random.rand(), torch.rand(1)
                return self.layer(x)

        model, loader = Drawing(), DataLoader(SAMPLES, batch_size=32)
        states = random.getstate(), np.random.get_state()[1].copy(), torch.random.get_rng_state()
        Probe(loader, reference=model).measure(model, 1)
        assert random.getstate() == states[0]
        assert np.array_equal(np.random.get_state()[1], states[1])
        assert torch.equal(torch.random.get_rng_state(), states[2])

    def test_a_training_ends_with_the_same_bits(self):
        def trained(probed: bool) -> dict[str, torch.Tensor]:
            model = stack().train()
            optimizer = torch.optim.Adam(model.parameters(), 0.01)
            loader = DataLoader(SAMPLES, batch_size=32)
            torch.manual_seed(3)
            probe = Probe(loader, reference={"initial": model, "last": "previous"})
            training = DataLoader(SAMPLES, batch_size=16, shuffle=True)
            for step, batch in enumerate([*training, *training]):
                with torch.autocast("cpu", torch.bfloat16):
                    loss = model(batch).square().mean()
                    if probed:
                        probe.measure(model, step)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return model.state_dict()

        plain, watched = trained(False), trained(True)
        assert all(torch.equal(plain[name], each) for name, each in watched.items())


@pytest.fixture
def accelerator():
    """One that accumulates the gradients of two batches; its state is that of the process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    yield Accelerator(cpu=True, gradient_accumulation_steps=2)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


class TestAccelerate:
    @pytest.mark.parametrize("own", [True, False], ids=["its own loader", "that of the training"])
    @pytest.mark.parametrize("max_samples", [16, 40, None])
    def test_gradients_are_accumulated_as_without_a_probe(self, max_samples, own, accelerator):
        def trained(probed: bool) -> dict[str, torch.Tensor]:
            model = stack().train()
            model, optimizer, training, other = accelerator.prepare(
                model,
                torch.optim.SGD(model.parameters(), 0.1),
                DataLoader(SAMPLES[:80], batch_size=16),  # of five batches, the last is alone
                DataLoader(SAMPLES, batch_size=32),
            )
            loader = other if own else training
            probe = Probe(loader, reference=model, max_samples=max_samples, measures="cka")
            torch.manual_seed(3)
            for epoch in range(2):
                for index, samples in enumerate(training):
                    if probed and index in (2, 4):
                        probe.measure(model, epoch * 5 + index)
                    with accelerator.accumulate(model):
                        accelerator.backward(model(samples).square().mean())
                        optimizer.step()
                        optimizer.zero_grad()
            return {name: each.clone() for name, each in model.state_dict().items()}

        plain, watched = trained(False), trained(True)
        assert all(torch.equal(plain[name], each) for name, each in watched.items())

    def test_no_loader_is_taken_for_being_read(self, accelerator):
        loader = accelerator.prepare(DataLoader(SAMPLES, batch_size=32))
        probe = Probe(loader, reference=stack(), max_samples=40)
        assert GradientState().dataloader_references == [None]
        probe.measure(stack(), 1)
        assert GradientState().dataloader_references == [None]
        assert loader.iteration == 0
