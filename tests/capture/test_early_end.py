"""An early end must be noticed by nobody: hooks of others run, and nothing is left behind."""

from types import SimpleNamespace

import accelerate
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

import hooksim
from hooksim.capture import reader as reader_file
from hooksim.capture.early_end import LateChanges, hooked_modules
from hooksim.capture.hooks import capture_activations
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.slices import BatchPosition
from tests.capture.reading import read
from tests.capture.tiny_models import Stack, hook_count, text_batch, tiny

BATCHES = 3


class Counting(nn.Module):
    """Blocks and a head, and how often it came to its end."""

    def __init__(self):
        super().__init__()
        self.body = Stack(3)
        self.head = nn.Linear(4, 2)
        self.ends = SimpleNamespace(count=0)  # a count of the module's own would be noticed

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.body(x))
        self.ends.count += 1
        return x


def read_first_block(model, layer="body.blocks.0"):
    read(model, torch.ones(3, 4), layer, times=BATCHES)


@pytest.mark.parametrize("place", ["", "head", "body", "body.blocks.0", "body.blocks.2.outer"])
@pytest.mark.parametrize("kind", ["forward", "forward_pre"])
def test_hooks_of_others_run_for_every_batch(place, kind):
    model, seen = Counting(), []
    register = getattr(model.get_submodule(place), f"register_{kind}_hook")
    register(lambda *given: seen.append(1))
    read_first_block(model)
    assert len(seen) == BATCHES
    assert hook_count(model) == 1


def test_without_this_a_hook_would_be_passed_over(monkeypatch):
    monkeypatch.setattr(reader_file, "hooked_modules", lambda model: frozenset())
    model, seen = Counting(), []
    model.head.register_forward_hook(lambda *given: seen.append(1))
    read_first_block(model)
    assert len(seen) == 1


def test_hooks_that_are_always_called_run_too():
    model, seen = Counting(), []
    model.register_forward_hook(lambda *given: seen.append(1), always_call=True)
    read_first_block(model)
    assert len(seen) == BATCHES


def test_a_hook_on_an_earlier_layer_does_not_hold_the_end_up():
    model = Counting()
    model.body.blocks[0].register_forward_hook(lambda *given: None)
    read_first_block(model, "body.blocks.1")
    assert model.ends.count == 1


def test_hooks_on_all_modules_of_the_process_see_whole_passes():
    model, seen = Counting(), []
    handle = register_module_forward_hook(lambda module, *given: seen.append(module))
    try:
        read_first_block(model)
    finally:
        handle.remove()
    assert seen.count(model) == BATCHES


def test_activations_that_the_user_captures_are_filled():
    model = Counting()
    with capture_activations(model, "head") as activations:
        read_first_block(model)
    assert activations["head"].shape == (3, 2)
    assert model.ends.count == BATCHES


def test_our_own_hooks_are_not_waited_for():
    one, two = Counting(), Counting()
    two.body = one.body
    assert hooked_modules(two) == frozenset()
    views = [View("A", "body.blocks.2")], [View("B", "body.blocks.0")]
    with ModelReader(one, views[0]) as a, ModelReader(two, views[1], side="b") as b:
        for number in range(BATCHES):
            a.read(torch.ones(3, 4), None, BatchPosition(number, 0))
            b.read(torch.ones(3, 4), None, BatchPosition(number, 0))
    assert (one.ends.count, two.ends.count) == (1, 1)


def test_a_module_with_a_hook_may_be_called_less_often_later():
    class Sometimes(Counting):
        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x)
            self.ends.count += 1
            return self.head(x) if self.ends.count == 1 else x

    model, seen = Sometimes(), []
    model.head.register_forward_hook(lambda *given: seen.append(1))
    read_first_block(model)
    assert (len(seen), model.ends.count) == (1, BATCHES)


@pytest.mark.parametrize("waits", [True, False])
def test_offloaded_weights_are_taken_away_again(monkeypatch, waits):
    if not waits:
        monkeypatch.setattr(reader_file, "hooked_modules", lambda model: frozenset())
    model = accelerate.cpu_offload(
        Counting(), execution_device=torch.device("cpu"), preload_module_classes=["Block"]
    )
    read_first_block(model, "body.blocks.1.inner")
    left = [name for name, each in model.named_parameters() if each.device.type != "meta"]
    assert all(name.startswith("body.blocks.1.") for name in left)
    assert (left == []) is waits
    assert model.ends.count == 1


def test_a_forward_of_ones_own_is_ended_where_the_model_is():
    model, seen = Counting(), []

    def forward(model, batch):
        try:
            model(batch)
            seen.append("after")
        finally:
            seen.append("finally")

    read(model, torch.ones(3, 4), "body.blocks.0", times=2, forward=forward)
    assert seen == ["after", "finally", "finally"]


@pytest.mark.parametrize("name", ["Bert", "Llama", "T5"])
def test_what_transformers_collects_for_itself_is_let_go(name):
    from transformers.utils.output_capturing import _active_collector

    model, batch = tiny(name), text_batch([3, 5])
    if name == "T5":
        batch["decoder_input_ids"] = batch["input_ids"]
    before = model(**batch, output_hidden_states=True)
    hooksim.compare(model, model, [batch] * 3, layers_a="**.0", progress=False)
    assert _active_collector.get() is None
    after = model(**batch, output_hidden_states=True)
    assert before.keys() == after.keys()


class Late(nn.Module):
    """Blocks, then a head; the forward may do something before its end."""

    def __init__(self, at_end, at_start=lambda model: None):
        super().__init__()
        self.at_start, self.at_end = at_start, at_end
        self.body, self.head = Stack(2), nn.Linear(4, 2)
        self.busy, self.calls, self.kept, self.last = False, 0, [], None
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.at_start(self)
        x = self.head(self.body(x))
        self.at_end(self)
        return x


def count(model):
    model.calls += 1


def keep(model):
    model.kept.append(1)


def hold(model):
    model.last = torch.zeros(1)


def add(model):
    model.seen.add_(1)


def free(model):
    model.busy = False


def occupy(model):
    assert not model.busy
    model.busy = True


@pytest.mark.parametrize(
    ("at_end", "at_start", "name"),
    [
        (count, free, "calls"),
        (keep, free, "kept"),
        (hold, free, "last"),
        (add, free, "seen"),
        (free, occupy, "busy"),
    ],
)
def test_what_a_model_does_at_its_end_is_done_for_every_batch(at_end, at_start, name):
    model = Late(at_end, at_start)
    reader, _part = read(model, torch.ones(3, 4), "body.blocks.0", times=BATCHES)
    assert (model.calls, len(model.kept), float(model.seen)) == (
        BATCHES * (at_end is count),
        BATCHES * (at_end is keep),
        BATCHES * (at_end is add),
    )
    assert not model.busy
    assert [note.text for note in reader.notes if note.code == "runs_whole"] == [
        f"model A (Late): every forward runs to its end, since it changes {name!r} of '' (Late) "
        "after the last layer that is read."
    ]


def test_without_this_it_would_be_left_out(monkeypatch):
    monkeypatch.setattr(LateChanges, "found", lambda self: "")
    model = Late(free, occupy)
    with pytest.raises(AssertionError):
        read(model, torch.ones(3, 4), "body.blocks.0", times=BATCHES)
    assert model.busy


def test_what_is_done_before_the_last_layer_holds_nothing_up():
    model, ends = Late(lambda model: ends.append(1), count), []
    read(model, torch.ones(3, 4), "body.blocks.1", times=BATCHES)
    assert (model.calls, len(ends)) == (BATCHES, 1)
