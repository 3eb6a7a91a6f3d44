"""Names on axes: shared parts said once, nothing ambiguous, nothing touching."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooksim.plotting.names import choose_ticks, escape, shorten, shorten_all, split_names

NAMES = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join), min_size=1)


@pytest.mark.parametrize(
    ("names", "pattern", "rest"),
    [
        (["vit.layers.0", "vit.layers.1"], "vit.layers.*", ["0", "1"]),
        (["e.0.out", "e.1.out"], "e.*.out", ["0", "1"]),
        (["e.0.out", "e.1.mlp.out"], "e.**.out", ["0", "1.mlp"]),
        (["conv1", "layer1"], "", ["conv1", "layer1"]),
        (["only.one"], "", ["only.one"]),
        (["a.a", "a.a.a"], "a.**", ["a", "a.a"]),
        ([], "", []),
    ],
)
def test_shared_segments_are_taken_away(names: list[str], pattern: str, rest: list[str]) -> None:
    assert split_names(names) == (pattern, rest)


@given(NAMES)
def test_names_can_be_put_together_again(names: list[str]) -> None:
    pattern, rest = split_names(names)
    assert all(rest)
    if pattern:
        star = "**" if "**" in pattern else "*"
        assert [pattern.replace(star, one) for one in rest] == names
    else:
        assert rest == names


def test_the_end_of_a_name_is_kept_longer() -> None:
    assert shorten("abcdefghijklmnop", 9) == "abc…klmnop"
    assert shorten("short", 9) == "short"


def test_different_names_stay_different() -> None:
    names = [f"{'x' * 20}{i}{'y' * 20}" for i in range(3)]
    short = shorten_all(names, 8)
    assert len(set(short)) == 3
    assert max(map(len, shorten_all(["a" * 50, "b" * 50], 8))) == 9


@given(st.integers(1, 500), st.floats(0.5, 200))
def test_written_names_never_touch(count: int, spacing: float) -> None:
    ticks = choose_ticks(count, spacing)
    assert 6.0 <= ticks.font <= 9.0
    assert ticks.step >= count or ticks.step * spacing >= ticks.font * 1.149


def test_dollar_signs_and_line_ends_are_harmless() -> None:
    assert escape("a$x^2$\nb") == r"a\$x^2\$ b"
