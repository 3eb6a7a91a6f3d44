"""The imbalance plane: places, corners, labels that do not overlap."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hooksim.plotting import Panel
from hooksim.plotting import draw_plane as draw_panels


def draw_plane(
    forth: torch.Tensor,
    back: torch.Tensor,
    layers_a: list[str],
    layers_b: list[str],
    stderr: torch.Tensor | None = None,
    label_a: str = "model A",
    label_b: str = "model B",
) -> tuple[Figure, Axes]:
    panels = [
        Panel(values, stderr, layers_a, layers_b, label_a=label_a, label_b=label_b)
        for values in (forth, back)
    ]
    return draw_panels(*panels)


def names(count: int) -> list[str]:
    return [f"encoder.layer.{i}" for i in range(count)]


def test_one_point_is_one_pair_a_to_b_across() -> None:
    forth, back = torch.tensor([[0.1, 0.2]]), torch.tensor([[0.8, 0.9]])
    _, ax = draw_plane(forth, back, ["x"], ["y", "z"], label_a="ours", label_b="theirs")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("ours to theirs", "theirs to ours")
    scattered = next(c for c in ax.collections if len(c.get_offsets()) == 2)
    assert np.allclose(scattered.get_offsets(), [[0.1, 0.8], [0.2, 0.9]])


@pytest.mark.parametrize("across", [3, 4])
def test_depths_of_a_single_layer_are_no_colour(across: int) -> None:
    forth = torch.linspace(0.1, 0.9, across)[None]
    _, ax = draw_plane(forth, forth, ["x"], names(across))
    scattered = next(c for c in ax.collections if len(c.get_offsets()) == across)
    assert np.array_equal(scattered.get_array(), np.zeros(across))


@pytest.mark.parametrize(
    ("text", "right", "up"),
    [
        ("equivalent", False, False),
        ("A informs B", False, True),
        ("B informs A", True, False),
        ("independent", True, True),
    ],
)
def test_corners_say_what_they_mean(text: str, right: bool, up: bool) -> None:
    _, ax = draw_plane(torch.rand(3, 3), torch.rand(3, 3), names(3), names(3))
    across, height = next(t for t in ax.texts if t.get_text() == text).get_position()
    assert (across > 0.5, height > 0.5) == (right, up)


def test_values_above_1_and_undefined_pairs_have_their_place() -> None:
    forth = torch.tensor([[1.4, float("nan")]])
    fig, ax = draw_plane(forth, torch.tensor([[0.2, 0.3]]), ["x"], ["y", "z"])
    assert ax.get_xlim()[1] > 1.4 and ax.get_xlim() == ax.get_ylim()
    assert "1 of 2 pairs are undefined" in " ".join(fig.get_supxlabel().split())
    draw_plane(forth * float("nan"), forth, ["x"], ["y", "z"])


def test_labels_cover_neither_each_other_nor_points_nor_the_frame() -> None:
    depth = torch.linspace(0, 0.7, 12)
    forth = 0.1 + (depth[:, None] - depth).abs() + 0.03 * torch.rand(12, 12)
    fig, ax = draw_plane(forth, forth.T.contiguous(), names(12), names(12))
    fig.draw_without_rendering()
    labels = [t.get_window_extent() for t in ax.texts if "|" in t.get_text()]
    assert labels
    assert not any(a.overlaps(b) for a, b in itertools.combinations(labels, 2))
    places = ax.transData.transform(np.stack([forth.ravel(), forth.T.ravel()], axis=1))
    assert not any(box.contains(*place) for box in labels for place in places)
    frame = ax.get_window_extent()
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and b.y1 <= frame.y1 for b in labels)


def test_the_caption_explains_short_names_and_positions() -> None:
    values = torch.tensor([[0.4]])
    short = draw_plane(values.expand(2, 1), values.expand(2, 1), names(2), ["y"])[0]
    assert "by name (A | B: encoder.layer.* | *)" in " ".join(short.get_supxlabel().split())
    long = draw_plane(values, values, ["x" * 40], ["y"])[0]
    assert "by position (A | B)" in " ".join(long.get_supxlabel().split())
    assert len(long.axes) == 1


def test_errors_are_drawn_where_there_are_few_pairs() -> None:
    def bars(count: int) -> int:
        values = torch.rand(count, count)
        _, ax = draw_plane(values, values, names(count), names(count), stderr=values)
        return sum(type(c).__name__ == "LineCollection" for c in ax.collections)

    assert bars(3) == 2 and bars(20) == 0


def insets(ax: Axes) -> list[Axes]:
    return [child for child in ax.child_axes if isinstance(child, Axes)]


def rings(ax: Axes) -> list[list[float]]:
    """The places of the rings: points without a face."""
    hollow = [
        c for c in ax.collections
        if type(c).__name__ == "PathCollection" and not len(c.get_facecolors())
    ]  # fmt: skip
    return [list(map(float, place)) for c in hollow for place in c.get_offsets()]


def test_the_layer_closest_from_a_to_b_is_ringed_for_each_layer_of_a() -> None:
    forth = torch.tensor([[0.125, 0.5], [0.75, 0.25]])
    back = torch.tensor([[0.875, 0.0], [0.0, 0.625]])
    fig, ax = draw_plane(forth, back, names(2), names(2))
    assert rings(ax) == [[0.125, 0.875], [0.25, 0.625]]
    words = "Ringed: for each layer of A the layer of B with the smallest imbalance from A to B"
    assert words in " ".join(fig.get_supxlabel().split())
    undefined = torch.full((1, 2), float("nan"))
    fig, ax = draw_plane(undefined, undefined, ["x"], ["y", "z"])
    assert rings(ax) == [] and "Ringed" not in fig.get_supxlabel()


@pytest.mark.parametrize("corner", [(0.05, 0.05), (0.8, 0.85), (0.05, 0.8), (0.98, 0.98)])
def test_crowded_points_are_enlarged_where_they_are_not_covered(
    corner: tuple[float, float],
) -> None:
    forth, back = (start + 0.04 * torch.rand(4, 4) for start in corner)
    fig, ax = draw_plane(forth, back, names(4), names(4))
    fig.draw_without_rendering()
    (inset,) = insets(ax)
    assert len(rings(inset)) == 4 and rings(ax) == []
    assert any("|" in text.get_text() for text in inset.texts)
    places = np.stack([forth.ravel(), back.ravel()], axis=1)
    box, frame = inset.get_tightbbox(), ax.get_window_extent()
    assert box is not None
    assert not any(box.contains(*place) for place in ax.transData.transform(places))
    assert frame.x0 <= box.x0 and box.x1 <= frame.x1
    assert frame.y0 <= box.y0 and box.y1 <= frame.y1
    inside = inset.get_window_extent()
    assert all(inside.contains(*place) for place in inset.transData.transform(places))
    enlarged = inside.width / np.ptp(inset.get_xlim())
    assert enlarged > 4 * frame.width / np.ptp(ax.get_xlim())
    assert inside.width == pytest.approx(inside.height, rel=0.01)


def test_there_is_no_inset_where_it_would_enlarge_nothing() -> None:
    spread = torch.tensor([[0.1, 0.9], [0.4, 0.6]])
    assert insets(draw_plane(spread, 0.1 * spread, names(2), names(2))[1]) == []
    middle = torch.tensor([[0.39, 0.61], [0.5, 0.5]])
    assert insets(draw_plane(middle, middle, names(2), names(2))[1]) == []
    one = torch.tensor([[0.1]])
    assert insets(draw_plane(one, one, ["x"], ["y"])[1]) == []
    same = torch.full((2, 2), 0.1)
    assert len(insets(draw_plane(same, same, names(2), names(2))[1])) == 1
