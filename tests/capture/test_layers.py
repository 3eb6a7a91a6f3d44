import pytest
import torch
from torch import nn

from hooksim.capture.layers import layers_for_other, list_layers, select_layers, unwrap
from hooksim.errors import ConfigError, LayerNotFoundError
from hooksim.recording import Recording
from tests.capture.tiny_models import Stack, compiled, tiny


def names(model, selectors, label=""):
    return [layer.name for layer in select_layers(model, selectors, label)]


def nested() -> nn.Module:
    model = nn.Module()
    model.stem = nn.Linear(4, 4)
    model.encoder = nn.Module()
    model.encoder.layers = Stack(2).blocks
    model.encoder.norm = nn.LayerNorm(4)
    return model


@pytest.mark.parametrize(
    "selector", ["module.blocks.*", "module._orig_mod.blocks.*", "blocks.*", "module.blocks.1"]
)
def test_selectors_may_be_copied_from_a_wrapper(selector):
    expected = ["blocks.0", "blocks.1"] if "*" in selector else ["blocks.1"]
    assert names(Stack(2), selector) == expected


def test_a_layer_that_is_called_module_is_itself():
    model = nn.ModuleDict({"module": nn.Sequential(nn.Linear(2, 2)), "0": nn.Linear(2, 2)})
    assert names(model, "module.*") == ["module.0"]


def test_list_layers_leaves_out_what_is_never_called():
    assert list_layers(Stack(2)) == [
        "blocks.0",
        "blocks.0.inner",
        "blocks.0.outer",
        "blocks.1",
        "blocks.1.inner",
        "blocks.1.outer",
    ]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("encoder.norm", ["encoder.norm"]),
        ("encoder.*", ["encoder.norm"]),
        ("encoder.layers.*", ["encoder.layers.0", "encoder.layers.1"]),
        ("*.layers.*", ["encoder.layers.0", "encoder.layers.1"]),
        ("**.inner", ["encoder.layers.0.inner", "encoder.layers.1.inner"]),
        ("**.norm", ["encoder.norm"]),
        ("**.stem", ["stem"]),
        ("encoder.**.inner", ["encoder.layers.0.inner", "encoder.layers.1.inner"]),
        ("encoder.**.norm", ["encoder.norm"]),
        ("encoder.layers.0.**", ["encoder.layers.0.inner", "encoder.layers.0.outer"]),
        ("s*", ["stem"]),
        ("*", ["stem"]),
        ("**.1.*er", ["encoder.layers.1.inner", "encoder.layers.1.outer"]),
        (r"re:.*layers\.\d", ["encoder.layers.0", "encoder.layers.1"]),
        (r"re:stem|encoder\.norm", ["stem", "encoder.norm"]),
    ],
)
def test_selectors(selector, expected):
    assert names(nested(), selector) == expected


def test_double_star_selects_all():
    assert names(nested(), "**") == list_layers(nested())


def test_order_is_the_lists_then_the_models_and_each_layer_once():
    found = names(nested(), ["encoder.norm", "encoder.layers.*", "**"])
    assert found[:3] == ["encoder.norm", "encoder.layers.0", "encoder.layers.1"]
    assert sorted(found) == sorted(list_layers(nested()))


def test_named_and_found_by_pattern_counts_as_named():
    selected = select_layers(nested(), ["*", "stem"])
    assert [layer.by_name for layer in selected] == [True]
    assert [layer.by_name for layer in select_layers(nested(), "*")] == [False]


def test_firings():
    selected = select_layers(nested(), ["stem#1", "encoder.layers.*#0", "stem"])
    assert [(layer.name, layer.firing) for layer in selected] == [
        ("stem", 1),
        ("encoder.layers.0", 0),
        ("encoder.layers.1", 0),
        ("stem", None),
    ]


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (
            "blockz.*",
            "no layer of model A (Stack) matches 'blockz.*'. Close names: 'blocks.2', 'blocks.1', "
            "'blocks.0'. hooksim.list_layers(model) shows all.",
        ),
        ("zzz", "no layer of model A (Stack) matches 'zzz'. hooksim.list_layers(model) shows all."),
        (
            "blocks",
            "layer 'blocks' of model A (Stack) is a ModuleList, which is never called. "
            "Select its members with 'blocks.*'.",
        ),
    ],
)
def test_no_match_is_an_error(selector, message):
    with pytest.raises(LayerNotFoundError) as error:
        select_layers(Stack(), ["blocks.0", selector], "A")
    assert str(error.value) == message


def test_wrong_regular_expression():
    with pytest.raises(ConfigError, match=r"layers: 're:\(' is not a regular expression: missing"):
        select_layers(Stack(), "re:(")
    with pytest.raises(ConfigError, match="layers: the list is empty"):
        select_layers(Stack(), [])


def test_no_default_without_parameters():
    with pytest.raises(LayerNotFoundError, match=r"model B \(ReLU\) has no submodule with param"):
        select_layers(nn.ReLU(), None, "B")


def test_aliases_are_accepted_and_listed_once():
    model = Stack(2)
    model.first = model.blocks[0]
    assert "first" not in list_layers(model)
    assert names(model, "first") == ["first"]
    assert names(model, "**") == list_layers(model)


def test_a_module_that_holds_its_parent_ends_the_walk():
    model = Stack(1)
    model.blocks[0].parent = model
    assert list_layers(model) == ["blocks.0", "blocks.0.inner", "blocks.0.outer"]


def test_wrappers_are_looked_through():
    model = Stack(2)
    expected = list_layers(model)
    for wrapped in (
        nn.DataParallel(model),
        compiled(model),
        compiled(nn.DataParallel(model)),
    ):
        assert unwrap(wrapped) is model
        assert list_layers(wrapped) == expected
    assert names(model, ["_orig_mod.blocks.0", "module.blocks.1"]) == ["blocks.0", "blocks.1"]


def test_ddp_is_looked_through(tmp_path):
    from torch import distributed

    distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = Stack(2)
        wrapped = nn.parallel.DistributedDataParallel(model)
        assert unwrap(wrapped) is model
        assert list_layers(nn.Sequential(wrapped))[:2] == ["0", "0.blocks.0"]
    finally:
        distributed.destroy_process_group()


def test_compiled_submodules_keep_their_name():
    model = Stack(2)
    plain = list_layers(model)
    inner = model.blocks[1]
    model.blocks[1] = compiled(inner)
    assert list_layers(model) == plain
    assert select_layers(model, "blocks.1")[0].module is inner


def test_a_submodule_called_module_keeps_its_name():
    model = nn.Sequential()
    model.module = nn.Linear(2, 2)
    assert list_layers(model) == ["module"]


def test_layers_for_other():
    assert layers_for_other(["blocks.0", "**.inner"], Stack()) == ["blocks.0", "**.inner"]
    assert layers_for_other(["blocks.0", "blocks.7"], Stack()) is None
    assert layers_for_other(None, Stack()) is None
    assert layers_for_other("encoder.layer.*", tiny("ViT")) is None


def test_names_of_a_real_model():
    assert names(tiny("Bert"), "encoder.layer.*.output") == [
        f"encoder.layer.{index}.output" for index in range(3)
    ]


@pytest.mark.parametrize("selectors", [[0], 0, ["blocks.0", None], Stack(1)])
def test_selectors_are_strings(selectors):
    with pytest.raises(ConfigError, match=r"^layers: expected a string such as .* got \w+\. "):
        names(Stack(2), selectors)


def test_only_modules_have_layers_to_list():
    recording = Recording.from_tensors({"x": torch.ones(4, 2)})
    with pytest.raises(ConfigError, match=r"got Recording\. Its own names are in \.layers\."):
        list_layers(recording)
    with pytest.raises(ConfigError, match=r"model: expected a torch\.nn\.Module, got str\.$"):
        list_layers("runs/a")


def test_a_model_that_is_one_layer_goes_by_its_class():
    model = nn.GRU(3, 4)
    assert list_layers(model) == ["GRU"]
    assert [layer.module for layer in select_layers(model, "GRU")] == [model]
    assert [layer.by_name for layer in select_layers(model, "*")] == [False]
    assert list_layers(nn.MultiheadAttention(4, 2)) == ["MultiheadAttention", "out_proj"]
    assert list_layers(nn.ReLU()) == []


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_scripted_modules_are_listed():
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
    assert list_layers(scripted) == ["0", "1"]
    assert list_layers(nn.Sequential(scripted, nn.ModuleList())) == ["0", "0.0", "0.1"]
