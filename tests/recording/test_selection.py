import pytest

from hooksim.errors import ConfigError, LayerNotFoundError
from hooksim.recording.selection import matches_all, select_recorded

NAMES = ["embed", "block#0", "block#1", "block#2", "head.0", "head.1", "a*b", "odd#7"]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (None, NAMES),
        ("embed", ["embed"]),
        (["head.1", "embed", "head.*"], ["head.1", "embed", "head.0"]),
        ("block", ["block#0", "block#1", "block#2"]),
        ("block#1", ["block#1"]),
        ("bl*#2", ["block#2"]),
        ("bl*", ["block#0", "block#1", "block#2"]),
        ("re:block#[02]", ["block#0", "block#2"]),
        ("re:b.*", ["block#0", "block#1", "block#2"]),
        ("**", NAMES),
        ("*", [name for name in NAMES if "." not in name]),
        ("a*b", ["a*b"]),
        ("module._orig_mod.head.0", ["head.0"]),
        ("module.block", ["block#0", "block#1", "block#2"]),
        ("odd#7", ["odd#7"]),
    ],
)
def test_selectors(selectors, expected):
    assert select_recorded(NAMES, selectors, "recording A") == expected
    assert matches_all(NAMES, selectors)


@pytest.mark.parametrize("selector", ["blocks", "block#3", "embed#0", "re:lock", "head"])
def test_no_match(selector):
    with pytest.raises(LayerNotFoundError, match=r"^no layer of recording A matches "):
        select_recorded(NAMES, ["embed", selector], "recording A")
    assert not matches_all(NAMES, ["embed", selector])


@pytest.mark.parametrize("selectors", [[], [0], "re:("])
def test_selectors_that_are_none(selectors):
    with pytest.raises(ConfigError, match=r"^layers: "):
        select_recorded(NAMES, selectors, "recording A")
    with pytest.raises(ConfigError, match=r"^layers: "):
        matches_all(NAMES, selectors)
