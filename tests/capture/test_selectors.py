import pytest

from hooksim.capture.selectors import as_list, close_layers, name_pattern, split_firing, stripped
from hooksim.errors import ConfigError

NAMES = ["a", "a.b", "a.b.c", "ab", "a.x.c"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("a.b", ["a.b"]),
        ("a.*", ["a.b"]),
        ("*", ["a", "ab"]),
        ("**", NAMES),
        ("a.**", ["a.b", "a.b.c", "a.x.c"]),
        ("a.*.c", ["a.b.c", "a.x.c"]),
        ("**.c", ["a.b.c", "a.x.c"]),
        ("re:a.b", ["a.b"]),
        ("a?", []),
    ],
)
def test_patterns(selector, expected):
    pattern = name_pattern(selector)
    assert [name for name in NAMES if pattern.fullmatch(name)] == expected


def test_a_regular_expression_that_is_none():
    with pytest.raises(ConfigError, match=r"^layers: 're:\[' is not a regular expression: .*\.$"):
        name_pattern("re:[")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("a#1", ("a", 1)),
        ("a", ("a", None)),
        ("a#", ("a#", None)),
        ("a#b", ("a#b", None)),
        ("re:a#1", ("re:a#1", None)),
    ],
)
def test_firings(selector, expected):
    assert split_firing(selector) == expected


def test_what_wrappers_add():
    assert stripped("module._orig_mod.a._fsdp_wrapped_module.b") == "a.b"
    assert stripped("a.module.b") == "a.module.b"


@pytest.mark.parametrize(("selectors", "expected"), [("a", ["a"]), (("a", "b"), ["a", "b"])])
def test_one_or_several(selectors, expected):
    assert as_list(selectors) == expected


@pytest.mark.parametrize(
    ("selectors", "message"),
    [
        ([], "layers: the list is empty. Give a name, or None for the default."),
        (7, "layers: expected a string such as 'encoder.layer.0' or a list of strings, got int. "),
        (["a", None], "layers: expected a string such as 'encoder.layer.0' or a list of strings, "),
    ],
)
def test_what_is_no_selector(selectors, message):
    with pytest.raises(ConfigError) as error:
        as_list(selectors)
    assert str(error.value).startswith(message)


def test_close_names():
    assert close_layers("layerx.*", ["layer1", "other"]) == "Close names: 'layer1'. "
    assert close_layers("zzz", ["layer1"]) == ""
