import pytest
import torch
from torch import Tensor, nn

from hooksim.capture.batches import PairedBatch
from hooksim.capture.fingerprints import fingerprints
from hooksim.capture.reader import ModelReader, View
from hooksim.capture.rows import Rows
from hooksim.errors import ConfigError, LayerNotFoundError
from tests.capture.reading import LATER, START, Calls, read, values_of
from tests.capture.tiny_models import Stack, compiled, hook_count, text_batch, tiny


def test_values_in_the_order_of_the_names():
    model, x = Stack(3).eval(), torch.randn(5, 4)
    values = values_of(model, x, ["blocks.2", "blocks.0"])
    assert list(values) == ["blocks.2", "blocks.0"]
    torch.testing.assert_close(values["blocks.0"], model.blocks[0](x).detach())
    torch.testing.assert_close(values["blocks.2"], model(x).detach())


def test_layer_infos():
    reader, part = read(tiny("Bert"), text_batch([3, 5]))
    assert [(info.name, info.kind) for info in reader.layers(0)] == [
        (f"encoder.layer.{index}", "BertLayer") for index in range(3)
    ]
    assert reader.layers(0)[0].output_shape == (2, 5, 16)
    assert (reader.layers(0)[0].row_width, reader.layers(0)[0].dtype) == (16, torch.float32)
    assert (part.n, part.items, part.groups, part.ids) == (2, 2, None, None)


def test_names_are_empty_before_the_first_batch():
    with ModelReader(Stack(2), [View("A")]) as reader:
        assert reader.names(0) == []
        assert reader.layers(0) == []


@pytest.mark.parametrize("rows", ["mean", "cls", "last"])
@pytest.mark.parametrize(("name", "left"), [("Bert", False), ("Llama", False), ("Llama", True)])
def test_padding_does_not_change_rows(name, left, rows):
    # Left padding is for relative positions: BERT's absolute ones would move.
    short = values_of(tiny(name), text_batch([5], left=left), rows=rows)
    long = text_batch([5], left=left)
    pad = torch.zeros(1, 4, dtype=torch.int64)
    long = {
        key: torch.cat([pad, value] if left else [value, pad], 1) for key, value in long.items()
    }
    padded = values_of(tiny(name), long, rows=rows)
    for layer, value in short.items():
        torch.testing.assert_close(value, padded[layer], rtol=1e-4, atol=1e-5)


def test_transformer_encoder_with_padding():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(60, 8)
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return self.encoder(self.embed(input_ids), src_key_padding_mask=attention_mask == 0)

    model = Encoder()
    short, long = text_batch([3, 3]), text_batch([3, 3], total=6)
    long["input_ids"][:, :3] = short["input_ids"]
    values, padded = values_of(model, short), values_of(model, long)
    assert list(values) == ["encoder.layers.0", "encoder.layers.1"]
    for name, value in values.items():
        torch.testing.assert_close(padded[name], value)


def test_token_rows():
    _reader, part = read(tiny("Bert"), text_batch([3, 5, 2]), rows="token")
    assert (part.n, part.items) == (10, 3)
    assert part.groups.tolist() == [0] * 3 + [1] * 5 + [2] * 2
    assert part.values[0].shape == (10, 16)


def test_sample_ids():
    _, part = read(tiny("Bert"), {**text_batch([3, 5]), "sample_ids": ["x", "y"]})
    assert part.ids == ["x", "y"]


@pytest.mark.parametrize("name", ["T5", "Whisper", "CLIP", "Wav2Vec2", "ResNet", "Swin"])
def test_other_models(name):
    batch = {
        "T5": {**text_batch([3, 5]), "decoder_input_ids": torch.ones(2, 4).long()},
        "Whisper": {
            "input_features": torch.randn(2, 8, 20),
            "attention_mask": torch.tensor([[1] * 20, [1] * 12 + [0] * 8]),
            "decoder_input_ids": torch.ones(2, 4).long(),
        },
        "CLIP": {**text_batch([3, 5]), "pixel_values": torch.randn(2, 3, 8, 8)},
        "Wav2Vec2": {
            "input_values": torch.randn(2, 100),
            "attention_mask": torch.tensor([[1] * 100, [1] * 60 + [0] * 40]),
        },
        "ResNet": torch.randn(2, 3, 16, 16),
        "Swin": {"pixel_values": torch.randn(2, 3, 16, 16)},
    }[name]
    reader, part = read(tiny(name), batch, rows="mean", times=2)
    assert len(part.values) == len(reader.names(0)) >= 2
    assert all(value.shape[0] == 2 and value.isfinite().all() for value in part.values)


def test_vision_tower_takes_no_mask_even_of_its_own_length():
    batch = {**text_batch([3, 5]), "pixel_values": torch.randn(2, 3, 8, 8)}  # 5 patches, 5 tokens
    values = values_of(tiny("CLIP"), batch, "vision_model.encoder.layers.1", times=2)
    with torch.no_grad():
        vision = tiny("CLIP").vision_model(batch["pixel_values"], output_hidden_states=True)
    expected = vision.hidden_states[-1].mean(dim=1)
    torch.testing.assert_close(values["vision_model.encoder.layers.1"], expected)


def test_own_forward():
    values = values_of(
        Stack(2), {"stuff": torch.ones(3, 4)}, forward=lambda model, batch: model(batch["stuff"])
    )
    assert list(values) == ["blocks.0", "blocks.1"]


def test_own_forward_keeps_the_mask():
    batch = text_batch([3, 5])
    own = values_of(tiny("Bert"), batch, forward=lambda model, batch: model(**batch))
    usual = values_of(tiny("Bert"), batch)
    assert all(torch.equal(own[name], usual[name]) for name in usual)


def test_each_side_reads_its_half():
    pair = PairedBatch(torch.zeros(3, 4), torch.ones(3, 4), ids=[1, 2, 3])
    model = Stack(2).eval()
    with ModelReader(model, [View("B")], side="b") as reader:
        [part] = reader.read(pair, None, START)
    torch.testing.assert_close(part.values[1], model(pair.b).detach())
    assert part.ids == ["1", "2", "3"]


def test_wrapped_models():
    model, x = Stack(2).eval(), torch.ones(3, 4)
    expected = values_of(model, x)
    for wrapped in (compiled(model), nn.DataParallel(model)):
        with torch.no_grad():
            wrapped(x)
        values = values_of(wrapped, x, times=2)
        assert list(values) == list(expected)
        assert all(torch.equal(values[name], expected[name]) for name in expected)


def test_compiled_submodules():
    model, x = Stack(2).eval(), torch.ones(3, 4)
    expected = values_of(model, x, "**")
    model.blocks[1] = compiled(model.blocks[1])
    with torch.no_grad():
        model(x)
    values = values_of(model, x, "**", times=2)
    assert list(values) == list(expected)


def test_a_model_on_the_meta_device():
    model = Stack(2).to("meta")
    values = values_of(model, torch.ones(3, 4), times=2)
    assert {value.device.type for value in values.values()} == {"meta"}


def test_reduce_gets_groups_on_the_rows_device():
    seen = []

    def reduce(rows, groups):
        seen.append((rows.shape, groups.tolist()))

    read(tiny("Bert"), text_batch([2, 1]), "encoder.layer.0", rows="token", reduce=reduce)
    assert seen == [((3, 16), [0, 0, 1])]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models(dtype):
    model = Stack(2).to(dtype)
    values = values_of(model, torch.ones(3, 4, dtype=dtype))
    assert {value.dtype for value in values.values()} == {torch.float32}


def assert_as_before(model, modes):
    assert hook_count(model) == 0
    assert [module.training for module in model.modules()] == modes


class Failing(Stack):
    error: BaseException = RuntimeError("the model's own words")

    def forward(self, x: Tensor) -> Tensor:
        self.blocks[0](x)
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("own words"), KeyboardInterrupt(), SystemExit(3)])
def test_errors_of_the_model_pass_unchanged(error):
    model = Failing(3).train()
    model.blocks[1].eval()
    modes = [module.training for module in model.modules()]
    model.error = error
    with pytest.raises(type(error)) as raised:
        read(model, torch.ones(3, 4))
    assert raised.value is error
    assert_as_before(model, modes)


def test_restored_after_success_and_wrong_layers():
    model = Calls([1, 0]).train()
    model.blocks[1].eval()
    modes = [module.training for module in model.modules()]
    read(model, torch.ones(3, 4), "blocks.*", times=2)
    assert_as_before(model, modes)
    for layers in ("nothing", "blocks.1", "blocks.0#3"):
        with pytest.raises(LayerNotFoundError):
            read(model, torch.ones(3, 4), layers)
        assert_as_before(model, modes)


def test_the_model_is_in_eval_mode_inside():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).train()
    values = values_of(model, torch.ones(3, 4), ["0", "1"])
    assert torch.equal(values["0"], values["1"])
    assert model[1].training


def test_restored_where_entering_fails():
    model = Stack(2).train()
    reader = ModelReader(model, [View("A")])
    model.eval = lambda: (_ for _ in ()).throw(RuntimeError("no eval"))
    with pytest.raises(RuntimeError, match="no eval"):
        reader.__enter__()
    assert hook_count(model) == 0
    assert model.training


class TimeFirst(nn.Module):
    """An nn.LSTM as it comes: it takes and gives (T, B, D)."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


def test_models_that_take_time_first():
    model, x = TimeFirst(), torch.randn(5, 7, 4)
    view = View("A", "lstm", Rows(batch_dim=1))
    with (
        ModelReader(model, [view]) as reader,
        pytest.raises(
            LayerNotFoundError, match=r"7 samples in dimension 1: .*\. Samples are counted"
        ),
    ):
        reader.read(x.transpose(0, 1), None, START)
    options = {"forward": lambda model, batch: model(batch.transpose(0, 1))}
    with ModelReader(model, [view], **options) as reader, torch.no_grad():
        [part] = reader.read(x, None, START)
        expected = model(x.transpose(0, 1)).mean(dim=0)
    torch.testing.assert_close(part.values[0], expected)


@pytest.mark.parametrize("stop_early", [True, False])
def test_only_kept_layers_are_read_from_then_on(stop_early):
    model, x = Stack(4).eval(), torch.ones(3, 4)
    fired, reduced = [], []
    views = [View("A"), View("B", ["blocks.0", "blocks.2"])]

    def reduce(rows, groups):
        reduced.append(1)
        return rows.clone()

    def called(index, forward):
        return lambda x: fired.append(index) or forward(x)

    for index, block in enumerate(model.blocks):  # a hook would be waited for
        block.forward = called(index, block.forward)
    with ModelReader(model, views, stop_early=stop_early) as reader, torch.no_grad():
        whole, _ = reader.read(x, reduce, START)
        reader.keep(0, ["blocks.2", "blocks.1"])
        fired.clear(), reduced.clear()
        part, other = reader.read(x, reduce, LATER)
    assert reader.names(0) == [info.name for info in reader.layers(0)] == ["blocks.2", "blocks.1"]
    assert [torch.equal(part.values[0], value) for value in whole.values] == [0, 0, 1, 0]
    assert part.values[0] is other.values[1]
    assert fired == ([0, 1, 2] if stop_early else [0, 1, 2, 3])
    assert len(reduced) == 3


@pytest.mark.parametrize("device", ["foo", "cuda:x"])
def test_an_unknown_device_is_one_line(device):
    with pytest.raises(ConfigError, match=r"^device: expected a name such as 'cpu'"):
        ModelReader(Stack(1), [View("A")], device=device)


@pytest.mark.parametrize("side", ["a", "b"])
def test_fingerprints_are_of_the_own_half_of_the_input_and_only_where_asked_for(side):
    a, b = torch.zeros(3, 4), torch.ones(3, 4)
    _, plain = read(Stack(1), PairedBatch(a, b), "blocks.0", side=side)
    _, marked = read(Stack(1), PairedBatch(a, b), "blocks.0", side=side, fingerprint=True)
    assert plain.inputs is None
    assert marked.inputs == fingerprints(a if side == "a" else b, 3)


def test_fingerprints_of_mappings_tuples_and_an_own_call():
    batch = text_batch([3, 2])
    _, part = read(tiny("Bert"), (batch, torch.zeros(2)), fingerprint=True)
    assert part.inputs == fingerprints({"input_ids": batch["input_ids"]}, 2)
    x = torch.randn(2, 4)
    options = {"forward": lambda model, item: model(item[0]["any"]), "fingerprint": True}
    _, part = read(Stack(1), ({"any": x}, 3), "blocks.0", **options)
    assert part.inputs == fingerprints({"any": x}, 2)


def test_a_model_does_not_mind_when_the_data_end():
    reader, _ = read(Stack(1), torch.zeros(3, 4), "blocks.0")
    assert reader.finish(3) is None


def test_a_model_holds_no_rows():
    reader, _ = read(Stack(1), torch.zeros(3, 4), "blocks.0")
    assert reader.whole(3) is None


def test_rows_lie_alike_whether_they_are_kept_or_used_up():
    """A product of the same numbers, laid out otherwise, may have other bits."""

    class Sideways(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x):
            return self.layer(x.T.contiguous()).T

    rows = Rows(batch_dim=1)
    seen = []
    for dtype in (torch.float32, torch.float16):
        with ModelReader(Sideways(), [View("A", "layer", rows)]) as reader, torch.no_grad():
            [part] = reader.read(torch.randn(6, 4).to(dtype), None, START)
            reader.read(torch.randn(6, 4).to(dtype), lambda each, groups: seen.append(each), LATER)
        assert part.values[0].stride() == seen[-1].stride() == (4, 1)
