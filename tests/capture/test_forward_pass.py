import gc
import weakref
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.capture.slices import BatchPosition
from hooksim.errors import HooksimError, NonFiniteError, ShapeError
from tests.capture.reading import LATER, START, read, values_of
from tests.capture.tiny_models import Block, Stack, hook_count, text_batch, tiny


class Container(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x))


def test_a_container_shares_the_value_of_its_last_child():
    model = nn.Sequential(Container(nn.Linear(4, 4)))
    reduced = []

    def reduce(rows, groups):
        reduced.append(1)
        return rows.sum()

    _reader, part = read(model, torch.randn(3, 4), ["0", "0.first", "0.last"], reduce=reduce)
    assert part.values[0] is part.values[2]
    assert part.values[0] is not part.values[1]
    assert len(reduced) == 2


def test_an_overwritten_tensor_is_not_shared():
    class Overwritten(Container):
        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x)).add_(1)

    model = nn.Sequential(Overwritten(nn.Linear(4, 4)))
    values = values_of(model, torch.randn(3, 4), ["0", "0.last"])
    torch.testing.assert_close(values["0"], values["0.last"] + 1)


def test_an_in_place_layer_after_does_not_change_rows():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    values = values_of(model, torch.randn(3, 4), ["0", "1"])
    assert (values["0"] < 0).any()
    torch.testing.assert_close(values["1"], values["0"].relu())


def test_inference_tensors_are_read_but_not_shared():
    class Inference(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(Container(nn.Linear(4, 4)))

        @torch.inference_mode()
        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    values = values_of(Inference(), torch.randn(3, 4), ["inner.0", "inner.0.last"])
    assert values["inner.0"] is not values["inner.0.last"]
    torch.testing.assert_close(values["inner.0"], values["inner.0.last"])


def test_activations_are_not_kept_alive():
    model = Stack(2)
    seen = []

    def reduce(rows, groups):
        seen.append(weakref.ref(rows))
        return rows.shape[1]

    read(model, torch.randn(3, 4), reduce=reduce)
    gc.collect()
    assert len(seen) == 2
    assert all(reference() is None for reference in seen)


def test_two_views_run_the_model_once():
    calls = []
    model = Stack(2)
    handle = model.register_forward_hook(lambda *seen: calls.append(1))
    views = [View("A", "blocks.*"), View("B", ["blocks.1"]), View("B", None, Rows("mean"))]
    with ModelReader(model, views, side="both") as reader, torch.no_grad():
        slices = reader.read(torch.randn(3, 4), None, START)
    handle.remove()
    assert calls == [1]
    assert [reader.names(view) for view in range(3)] == [
        ["blocks.0", "blocks.1"],
        ["blocks.1"],
        ["blocks.0", "blocks.1"],
    ]
    assert slices[0].values[1] is slices[1].values[0]
    assert slices[0].values[1] is not slices[2].values[1]


class Counting(Stack):
    def __init__(self, depth):
        super().__init__(depth)
        self.ends = SimpleNamespace(count=0)  # a count of the module's own would be noticed

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        self.ends.count += 1
        return x


@pytest.mark.parametrize(("stop_early", "finished"), [(True, 1), (False, 3)])
def test_stop_early_from_the_second_batch_on(stop_early, finished):
    model = Counting(3)
    read(model, torch.ones(3, 4), "blocks.0", times=3, stop_early=stop_early)
    assert model.ends.count == finished


def test_stop_early_passes_a_model_that_catches_exceptions():
    class Catching(Counting):
        def forward(self, x: Tensor) -> Tensor:
            try:
                return super().forward(x)
            except Exception:
                self.ends.count = 100
                return x

    model = Catching(3)
    read(model, torch.ones(3, 4), "blocks.1", times=3)
    assert model.ends.count == 1


def test_an_end_that_is_swallowed_does_no_harm():
    class Swallowing(Stack):
        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                try:
                    x = block(x)
                except BaseException:
                    x = x + 1
            return x

    _reader, part = read(Swallowing(3), torch.ones(3, 4), ["blocks.0", "blocks.1"], times=3)
    assert len(part.values) == 2


def test_readers_that_share_a_module():
    shared = Stack(2)
    one, two = nn.Sequential(shared), nn.Sequential(shared, Block())
    views = [View("A", "0.blocks.*")], [View("B", "**.blocks.*")]
    with ModelReader(one, views[0]) as a, ModelReader(two, views[1], side="b") as b:
        for number in range(3):
            [left] = a.read(torch.ones(3, 4), None, BatchPosition(number, 0))
            [right] = b.read(torch.ones(3, 4), None, BatchPosition(number, 0))
            assert torch.equal(left.values[1], right.values[1])
    assert hook_count(two) == 0


def test_the_end_of_an_outer_pass_goes_through_an_inner_one():
    shared, x = Stack(2), torch.ones(3, 4)
    inner = ModelReader(nn.Sequential(shared), [View("B", "0.blocks.*")])

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = shared
            self.ends = SimpleNamespace(count=0)  # a count of the module's own would be noticed

        def forward(self, x: Tensor) -> Tensor:
            inner.read(x, None, START)
            self.ends.count += 1
            return x

    model = Outer()
    with inner:
        read(model, x, "shared.blocks.0", times=2)
    assert model.ends.count == 1


def test_an_error_in_reduce_names_layer_model_and_batch():
    def reduce(rows, groups):
        raise ValueError("too large")

    with pytest.raises(HooksimError) as error:
        read(Stack(2), torch.ones(3, 4), reduce=reduce)
    assert str(error.value) == (
        "layer 'blocks.0' of model A (Stack), batch 0 (first sample 0): ValueError: too large"
    )
    assert isinstance(error.value.__cause__, ValueError)


def test_of_a_foreign_error_the_first_line_is_told():
    def reduce(rows, groups):
        raise RuntimeError("too large\nand a long story")

    with pytest.raises(HooksimError, match=r"RuntimeError: too large$"):
        read(Stack(2), torch.ones(3, 4), reduce=reduce)


def test_our_errors_keep_their_class():
    def reduce(rows, groups):
        raise NonFiniteError("3 rows hold NaN")

    model = Stack(2)
    with pytest.raises(NonFiniteError, match=r"^layer 'blocks.0' of model A .*: 3 rows hold NaN$"):
        read(model, torch.ones(3, 4), reduce=reduce)
    assert hook_count(model) == 0


def test_a_model_cannot_swallow_an_error_of_the_hook():
    class Catching(Stack):
        def forward(self, x: Tensor) -> Tensor:
            try:
                return super().forward(x)
            except Exception:
                return x

    def reduce(rows, groups):
        raise ValueError("too large")

    with pytest.raises(HooksimError, match="too large"):
        read(Catching(2), torch.ones(3, 4), reduce=reduce)


def test_the_first_error_is_the_one_that_is_told():
    class Swallowing(Stack):
        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                try:
                    x = block(x)
                except BaseException:
                    x = x + 1
            return x

    def reduce(rows, groups):
        raise ValueError("too large")

    with pytest.raises(HooksimError, match=r"^layer 'blocks.0'"):
        read(Swallowing(3), torch.ones(3, 4), reduce=reduce)


def test_an_interrupt_in_reduce_passes():
    def reduce(rows, groups):
        raise KeyboardInterrupt

    model = Stack(2)
    with pytest.raises(KeyboardInterrupt):
        read(model, torch.ones(3, 4), reduce=reduce)
    assert hook_count(model) == 0


def test_mask_mismatch_names_the_layer():
    class Longer(Stack):
        def forward(self, input_ids, attention_mask):
            return super().forward(torch.zeros(2, 7, 4))

    with pytest.raises(ShapeError) as error:
        read(Longer(2), text_batch([3, 5]))
    assert str(error.value) == (
        "layer 'blocks.0' of model A (Longer), batch 0 (first sample 0): its output has 7 tokens, "
        "but mask 'attention_mask' has 5. Leave this layer out, or give the mask that fits with "
        "Rows(mask=...). Where the model pads to a multiple of N inside, pad so before: "
        "pad_to_multiple_of=N of the tokenizer, or of data of kind text."
    )


def test_rows_of_another_width_are_an_error():
    with ModelReader(Stack(2), [View("A", None, Rows("flatten"))]) as reader:
        reader.read(torch.ones(3, 5, 4), None, START)
        message = r"batch 3 \(first sample 96\): rows of width 24, 20 in the first batch. Where seq"
        with pytest.raises(ShapeError, match=message):
            reader.read(torch.ones(3, 6, 4), None, LATER)


def test_token_rows_of_encoder_and_decoder_are_an_error():
    batch = {**text_batch([3, 5]), "decoder_input_ids": torch.ones(2, 4).long()}
    with pytest.raises(ShapeError) as error:
        read(tiny("T5"), batch, rows="token")
    assert str(error.value) == (
        "layer 'decoder.block.0' of model A (T5Model): 8 token rows, 8 from 'encoder.block.0', "
        "of other tokens. Compare the layers of encoder and decoder one after the other."
    )
