import pytest
import torch
from torch import nn

from hooksim.capture.batches import PairedBatch
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.capture.slices import Slice
from hooksim.capture.stream import stream
from hooksim.errors import AlignmentError, ShapeError
from tests.capture.tiny_models import Stack, hook_count, text_batch, tiny


def keep(joins_next):
    return None


def rows_of(loader, **options):
    """The rows of the last layer over a whole loader."""
    with ModelReader(Stack(2), [View("A", "blocks.1")]) as reader:
        return [slices[0].values[0] for slices in stream([reader], loader, keep, **options)]


DATA = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))


def test_a_list_and_a_generator_give_the_same():
    batches = list(DATA.split(6))
    one, two = torch.cat(rows_of(batches)), torch.cat(rows_of(batch for batch in batches))
    assert one.shape == two.shape == (20, 4)


def test_one_list_of_slices_a_batch_in_the_order_of_readers_and_views():
    views = [View("A", "blocks.0"), View("B", "blocks.*")]
    with ModelReader(Stack(2), views) as one, ModelReader(Stack(3), [View("B")], side="b") as two:
        batches = list(stream([one, two], DATA.split(8), keep))
    assert [[len(part.values) for part in slices] for slices in batches] == [[1, 2, 3]] * 3
    assert [slices[0].n for slices in batches] == [8, 8, 4]


def test_reduce_is_asked_once_a_batch():
    asked = []

    def reduce_for(joins_next):
        asked.append(joins_next)
        return lambda rows, groups: rows.shape[0]

    with ModelReader(Stack(2), [View("A")]) as reader:
        values = [slices[0].values for slices in stream([reader], DATA.split(9), reduce_for)]
    assert asked == [False, True, False]
    assert values == [[9, 9], [9, 9], [2, 2]]


def test_what_is_small_is_for_the_caller_to_say():
    asked = []
    with ModelReader(Stack(2), [View("A")]) as reader:
        loader = [DATA[:8], DATA[8:14]]
        list(stream([reader], loader, asked.append, smallest=7))
    assert asked == [True, False]


def test_a_batch_is_given_before_the_next_is_asked_for_unless_batches_are_joined():
    drawn, asked = [], []

    def loader():
        for part in DATA.split(9):
            drawn.append(len(part))
            yield part

    with ModelReader(Stack(2), [View("A")]) as reader:
        for number, _ in enumerate(stream([reader], loader(), asked.append, ahead=False), 1):
            assert len(drawn) == number
    assert (drawn, asked) == ([9, 9, 2], [False] * 3)


def test_max_samples_and_batches_that_are_passed_over():
    passed = []
    options = {"reads": lambda number: number != 1, "passed": passed.append}
    assert [len(rows) for rows in rows_of(DATA.split(8), max_samples=10)] == [8, 2]
    assert [len(rows) for rows in rows_of(DATA.split(8), **options)] == [8, 4]
    assert [len(rows) for rows in rows_of(DATA.split(8), max_samples=10, **options)] == [8]
    assert passed == [8, 2]


def test_reduce_is_told_of_batches_that_are_passed_over():
    asked = []
    with ModelReader(Stack(2), [View("A")]) as reader:
        read = list(stream([reader], DATA.split(9), asked.append, reads=lambda number: number == 2))
    assert (len(read), asked) == (1, [False, True, False])


def test_the_loader_is_iterated_once():
    class Once:
        iterations = 0

        def __iter__(self):
            self.iterations += 1
            return iter(DATA.split(8))

    loader = Once()
    rows_of(loader)
    assert loader.iterations == 1


def test_no_gradients_inside_and_none_switched_off_outside():
    with ModelReader(Stack(2), [View("A")]) as reader:
        for slices in stream([reader], DATA.split(8), keep):
            assert torch.is_grad_enabled()
            assert not slices[0].values[0].requires_grad


def test_halves_of_another_size():
    pairs = [PairedBatch(DATA[:4], DATA[:4]), PairedBatch(DATA[:4], DATA[:3])]
    a, b = ModelReader(Stack(2), [View("A")]), ModelReader(Stack(2), [View("B")], side="b")
    with a, b, pytest.raises(AlignmentError) as error:
        list(stream([a, b], pairs, keep))
    assert str(error.value) == (
        "batch 1 (first sample 4): 4 samples for model A, 3 for model B. "
        "Both halves of a PairedBatch must hold the same samples in the same order."
    )


def test_ids_that_differ():
    item = PairedBatch(
        {"x": DATA[:2], "sample_ids": ["a", "b"]}, {"x": DATA[:2], "sample_ids": ["b", "a"]}
    )
    a, b = ModelReader(Stack(2), [View("A")]), ModelReader(Stack(2), [View("B")], side="b")
    message = r"batch 0 \(first sample 0\): the sample ids of model A and model B differ"
    with a, b, pytest.raises(AlignmentError, match=message):
        list(stream([a, b], [item], keep))


def token_rows_of(pairs):
    views = [View("A", None, Rows("token"))], [View("B", None, Rows("token"))]
    with (
        ModelReader(tiny("Bert"), views[0]) as a,
        ModelReader(tiny("Llama"), views[1], side="b") as b,
    ):
        return list(stream([a, b], pairs, keep))


def test_other_numbers_of_token_rows():
    with pytest.raises(ShapeError) as error:
        token_rows_of([PairedBatch(text_batch([3, 5]), text_batch([3, 4]))])
    assert str(error.value) == (
        "layer 'encoder.layer.0': 8 rows from model A, 7 from model B, batch 0 (first sample 0); "
        "sample 1 has 5 tokens for model A, 4 for model B. "
        "Both models must see the same samples; with token rows, the same tokens."
    )


def test_as_many_token_rows_of_other_sequences():
    same = PairedBatch(text_batch([4, 2]), text_batch([4, 2], left=True))
    swapped = PairedBatch(text_batch([2, 3, 5]), text_batch([2, 5, 3]))
    with pytest.raises(ShapeError) as error:
        token_rows_of([same, swapped])
    assert str(error.value) == (
        "layer 'encoder.layer.0': 10 rows from model A, 10 from model B, batch 1 (first sample 2); "
        "sample 3 has 3 tokens for model A, 5 for model B. "
        "Both models must see the same samples; with token rows, the same tokens."
    )


def test_token_rows_carry_the_tokens_of_each_sample():
    [[part, other]] = token_rows_of([PairedBatch(text_batch([4, 2]), text_batch([4, 2], total=6))])
    assert part.lengths == other.lengths == (4, 2)


class Counting:
    """A side that is no model: it counts."""

    titles = ("recording A", "recording B")
    notes = ()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def names(self, view):
        return ["layer"]

    def keep(self, view, names):
        pass

    def read(self, item, reduce, at):
        return [Slice([item[:, view]], len(item) + view, len(item)) for view in range(2)]


def test_a_side_need_not_be_a_model():
    with Counting() as reader, pytest.raises(ShapeError) as error:
        list(stream([reader], [DATA], keep))
    assert str(error.value) == (
        "layer 'layer': 20 rows from recording A, 21 from recording B, batch 0 (first sample 0). "
        "Both models must see the same samples; with token rows, the same tokens."
    )


def test_leaving_the_loop_early_leaves_no_hook():
    model = Stack(2)
    with ModelReader(model, [View("A")]) as reader:
        for _ in stream([reader], DATA.split(8), keep):
            break
    assert hook_count(model) == 0


def test_an_error_of_the_loader_passes_and_leaves_no_hook():
    def loader():
        yield DATA
        raise KeyboardInterrupt

    model = nn.Sequential(Stack(2)).train()
    with pytest.raises(KeyboardInterrupt), ModelReader(model, [View("A")]) as reader:
        list(stream([reader], loader(), keep))
    assert hook_count(model) == 0
    assert model[0].training
