import pytest
import torch
from torch import nn
from transformers import BatchEncoding

from hooksim.capture.batches import PairedBatch
from hooksim.capture.calls import ModelCaller, id_texts
from hooksim.errors import AlignmentError, ConfigError
from tests.capture.tiny_models import text_batch, tiny

CPU = torch.device("cpu")
MASKS = frozenset({"attention_mask"})


def caller(model, side="a", forward=None):
    return ModelCaller(model, side, forward, MASKS)


def model_of(function):
    """Make a module whose forward is this function, which gives what it was called with."""
    return type("Recorder", (nn.Module,), {"forward": staticmethod(function)})()


def passed(model, item, **options):
    return caller(model, **options).prepare(item, CPU).run()


def test_a_tensor_is_the_argument():
    x = torch.zeros(3, 2)
    assert passed(model_of(lambda x: x), x) is x


def test_the_first_element_is_the_argument():
    x, labels = torch.zeros(3, 2), torch.zeros(3)
    call = caller(model_of(lambda x: x)).prepare([x, labels, None], CPU)
    assert call.run() is x
    assert call.ignored == ("1", "2")


def test_a_mapping_inside_a_tuple_is_a_mapping():
    call = caller(model_of(lambda x: x)).prepare(({"x": torch.zeros(3), "y": 1}, 0), CPU)
    assert call.run().shape == (3,)
    assert call.ignored == ("1", "y")


def test_a_list_of_strings_is_one_argument():
    call = caller(model_of(lambda x: x)).prepare(["one", "two"], CPU)
    assert call.run() == ["one", "two"]
    assert (call.size, call.ignored) == (2, ())


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_a_lost_mask_is_an_error(dtype):
    ids = torch.tensor([[5, 6, 7], [5, 0, 0]])
    with pytest.raises(ConfigError, match=r"element 2 of the tuple looks like the mask of element"):
        passed(model_of(lambda x: x), (ids, None, (ids > 0).to(dtype)))


@pytest.mark.parametrize(
    "other", [torch.tensor([[0.5, 0.0]]), torch.tensor([[1, 2]]), torch.tensor([1, 0])]
)
def test_what_is_no_mask_is_ignored(other):
    assert passed(model_of(lambda x: x), (torch.tensor([[5, 6]]), other)).tolist() == [[5, 6]]


def everything(**kwargs):
    return kwargs


def test_keys_that_the_forward_accepts():
    batch = {"x": torch.zeros(2), "labels": torch.zeros(2), "other": 1, "sample_ids": [7, 8]}
    call = caller(model_of(lambda x, labels=None: (x, labels))).prepare(batch, CPU)
    assert call.run()[1] is None
    assert call.ignored == ("labels", "other")
    assert call.ids == ["7", "8"]


def test_open_keywords_take_all_but_labels_and_ids():
    batch = {"x": torch.zeros(2), "attention_mask": 1, "label_ids": 1, "sample_ids": ["a", "b"]}
    assert set(passed(model_of(everything), batch)) == {"x", "attention_mask"}


def test_a_label_that_the_forward_needs_is_passed():
    batch = {"x": torch.zeros(2), "labels": torch.ones(2)}
    assert passed(model_of(lambda x, labels: labels), batch).tolist() == [1, 1]


def test_use_cache_and_return_dict_where_accepted():
    def forward(x, use_cache=True, return_dict=False):
        return use_cache, return_dict

    assert passed(model_of(forward), {"x": torch.zeros(2), "use_cache": True}) == (False, True)
    assert passed(model_of(forward), torch.zeros(2)) == (False, True)
    call = caller(tiny("GPT2")).prepare(text_batch([3, 2]), CPU)
    assert call.passed["use_cache"] is False


def test_keywords_of_transformers_are_not_inputs():
    batch = {**text_batch([3, 2]), "special_tokens_mask": torch.zeros(2, 3)}
    call = caller(tiny("Bert")).prepare(BatchEncoding(batch), CPU)
    assert call.ignored == ("special_tokens_mask",)
    assert set(call.passed) == {"input_ids", "attention_mask", "use_cache"}


def test_a_mask_in_open_keywords_of_transformers_is_passed():
    model = model_of(lambda input_ids, **kwargs: kwargs)
    model.main_input_name = "input_ids"
    batch = {**text_batch([3, 2]), "extra": 1}
    assert set(passed(model, batch)) == {"attention_mask"}


def test_own_forward_gets_the_whole_batch():
    seen = passed(nn.ReLU(), (torch.ones(2), torch.zeros(2)), forward=lambda model, batch: batch)
    assert len(seen) == 2
    encoding = BatchEncoding(text_batch([3, 2]))
    ids = passed(nn.ReLU(), encoding, forward=lambda model, batch: batch.input_ids)
    assert torch.equal(ids, encoding.input_ids)


def test_what_is_no_call_is_refused():
    message = "forward: expected a function of a model and a batch, got 3."
    with pytest.raises(ConfigError, match=message):
        ModelCaller(nn.Linear(2, 2), "a", 3, frozenset())


def test_each_side_takes_its_half():
    pair = PairedBatch(torch.zeros(2), {"x": torch.ones(2), "sample_ids": [1, 2]}, ids=["p", "q"])
    model = model_of(lambda x: x)
    assert passed(model, pair).tolist() == [0, 0]
    assert passed(model, pair, side="b").tolist() == [1, 1]
    assert caller(model, "b").prepare(pair, CPU).ids == ["p", "q"]


def test_a_pair_for_one_model_is_refused():
    pair = PairedBatch(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ConfigError, match=r"Pass copy.deepcopy\(model\) as b"):
        passed(model_of(lambda x: x), pair, side="both")


def test_ids_are_counted():
    with pytest.raises(AlignmentError, match="3 sample ids for 2 samples"):
        passed(model_of(everything), {"x": torch.zeros(2), "sample_ids": torch.arange(3)})


def test_tensors_are_moved():
    call = caller(model_of(everything)).prepare({"x": torch.zeros(2), "n": 3}, torch.device("meta"))
    assert call.passed["x"].device.type == "meta"
    assert call.inputs["x"].device.type == "cpu"


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_peft_wrapper_is_called_as_the_model_inside():
    import copy

    from peft import LoraConfig, get_peft_model

    model = get_peft_model(copy.deepcopy(tiny("Bert")), LoraConfig(target_modules=["query"]))
    call = caller(model).prepare({**text_batch([3, 2]), "extra": 1}, CPU)
    assert call.ignored == ("extra",)
    assert call.run().last_hidden_state.shape == (2, 3, 16)


def test_the_main_input_is_given_as_it_came():
    x = torch.zeros(3, 2)
    model = model_of(lambda x, **others: x)
    batch = {"x": x}
    for item, main in ((x, x), (batch, batch)):
        for forward in (None, lambda model, item: None):
            call = caller(model, forward=forward).prepare(item, torch.device("meta"))
            assert call.given == ({"": main} if main is x else {"x": x})


def test_what_tells_samples_apart_is_what_is_passed():
    x, y = torch.zeros(3, 2), torch.ones(3)
    batch = {"x": x, "labels": y, "sample_ids": [1, 2, 3], "other": y}
    assert caller(model_of(lambda x, labels=None: x)).prepare(batch, CPU).given == {"x": x}
    needed = caller(model_of(lambda x, labels: x)).prepare(batch, CPU).given
    assert needed == {"x": x, "labels": y}

    def given(item):
        return caller(nn.ReLU(), forward=lambda model, batch: batch).prepare(item, CPU).given

    assert given(batch) == {"x": x, "other": y}
    assert given((x, y, None)) == {"": x, "1": y, "2": None}
    assert given([batch, {"z": y, "label": y}]) == {"x": x, "other": y, "1.z": y}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", 1], ["a", "1"]),
        ([torch.tensor(0), torch.tensor(1.5), "c"], ["0", "1.5", "c"]),
        (torch.arange(2), ["0", "1"]),
        (torch.tensor(7), ["7"]),
        (range(2), ["0", "1"]),
        ([b"\xff.png".decode(errors="surrogateescape"), "b"], ["\\udcff.png", "b"]),
    ],
)
def test_ids_become_text_that_can_be_written(ids, expected):
    assert id_texts(ids) == expected
