"""Curves over steps: places, scales, colours, bands, gaps."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from hooksim.plotting import Curves, Scale, draw_curves, png_bytes
from hooksim.plotting.colours import depth_colours

NAN = float("nan")


def curves(
    values: torch.Tensor, steps: list[int | str] | None = None, against: int | None = None
) -> Curves:
    count, layers = values.shape
    names = [f"model.layers.{i}" for i in range(layers)]
    scale = Scale("max", 0.0, 1.0, "CKA")
    return Curves(
        steps or list(range(count)), names, values, 0.1 * values.abs(), scale, against
    )  # fmt: skip


def lines(ax: Axes) -> list[object]:
    """The curves, without the lines of the frame."""
    return [line for line in ax.lines if len(line.get_xdata()) > 2]


def test_a_line_a_layer_with_a_band_of_one_standard_error() -> None:
    values = torch.tensor([[1.0, 0.9], [0.8, 0.6], [0.5, 0.2]])
    fig, ax = draw_curves(curves(values, [0, 100, 400]), caption="small print", warning="beware")
    assert ax.get_xlabel() == "step (evenly spaced)" and ax.get_ylabel() == "CKA"
    assert [line.get_xdata().tolist() for line in lines(ax)] == [[0, 1, 2]] * 2
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "100", "400"]
    assert np.allclose([line.get_ydata() for line in lines(ax)], values.T)
    band = ax.collections[0].get_paths()[0].vertices
    assert np.isclose(band[:, 1].max(), 1.1) and np.isclose(band[:, 1].min(), 0.45)
    texts = [fig.get_supxlabel(), *(artist.get_text() for artist in fig.artists)]
    assert "small print Bands: one standard error either way." in texts[0]
    assert "beware" in texts


def test_colours_go_by_depth_and_the_bar_names_the_layers() -> None:
    fig, ax = draw_curves(curves(torch.rand(5, 24)))
    colours = [to_rgba(line.get_color()) for line in lines(ax)]
    lightness = [np.dot(colour[:3], [0.2126, 0.7152, 0.0722]) for colour in colours]
    assert len(colours) == 24 and lightness == sorted(lightness) and lightness[-1] < 0.8
    bar = next(each for each in fig.axes if each.get_label() == "<colorbar>")
    assert [text.get_text() for text in bar.get_yticklabels()] == [str(i) for i in range(24)]
    assert bar.get_ylabel() == "layer model.layers.*"
    assert ax.get_legend() is None


def test_many_layers_are_named_where_there_is_room() -> None:
    fig, _ = draw_curves(curves(torch.rand(5, 100)))
    bar = next(each for each in fig.axes if each.get_label() == "<colorbar>")
    names = [text.get_text() for text in bar.get_yticklabels()]
    assert names[0] == "0" and 20 < len(names) < 60


@pytest.mark.parametrize(
    "steps",
    [
        [7],
        [0, 1, 2, 4, 8, 16, 512, 1000],
        [30, 10, 20],
        [*range(0, 143_001, 1000)],
        ["init", "a$b", "x" * 60],
        [f"epoch number {i}" for i in range(200)],
    ],
)
def test_steps_stand_at_equal_distances_and_their_names_do_not_touch(steps) -> None:
    fig, ax = draw_curves(curves(torch.rand(len(steps), 1), steps))
    assert ax.lines[0].get_xdata().tolist() == list(range(len(steps)))
    fig.draw_without_rendering()
    names = ax.get_xticklabels()
    assert names[0].get_text() == str(steps[0])
    boxes = [name.get_window_extent() for name in names]
    for one, other in itertools.pairwise(boxes):
        if names[0].get_rotation() == 0:
            assert one.x1 < other.x0
        else:  # turned by 45 degrees: their ends lie side by side
            assert other.x1 - one.x1 > names[0].get_fontsize() * fig.dpi / 72


def test_names_of_steps_are_words_or_numbers_for_people() -> None:
    _, ax = draw_curves(curves(torch.rand(3, 1), [0, 1000, 143_000]))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1,000", "143,000"]
    _, ax = draw_curves(curves(torch.rand(3, 1), ["init", "a$b", "x" * 60]))
    texts = [text.get_text() for text in ax.get_xticklabels()]
    assert texts[:2] == ["init", r"a\$b"] and len(texts[2]) < 21


def test_the_reference_gets_a_line_that_the_caption_explains() -> None:
    values, words = torch.rand(3, 1), "Dashed line: step 50, which all are compared with."
    fig, ax = draw_curves(curves(values, [0, 50, 100], against=50))
    assert [line.get_xdata() for line in ax.lines if line.get_linestyle() == "--"] == [[1, 1]]
    assert words in " ".join(fig.get_supxlabel().split())
    for against in (None, 70):
        fig, ax = draw_curves(curves(values, [0, 50, 100], against))
        assert not [line for line in ax.lines if line.get_linestyle() == "--"]
        assert "Dashed" not in fig.get_supxlabel()


def test_gaps_and_layers_without_a_value() -> None:
    values = torch.tensor([[1.0, NAN, 1.0], [NAN, NAN, 0.5], [0.5, NAN, 0.2]])
    fig, ax = draw_curves(curves(values))
    assert len(lines(ax)) == 2 and np.isnan(lines(ax)[0].get_ydata()[1])
    assert "1 of 3 layers are left out" in " ".join(fig.get_supxlabel().split())
    fig, ax = draw_curves(curves(torch.full((3, 2), NAN)))
    assert lines(ax) == [] and ax.get_ylim() == (0.0, 1.0)
    assert "2 of 2 layers are left out" in " ".join(fig.get_supxlabel().split())
    assert png_bytes(fig).startswith(b"\x89PNG")


def test_the_range_is_shown_where_values_take_much_of_it() -> None:
    _, wide = draw_curves(curves(torch.tensor([[1.0], [0.4]])))
    assert wide.get_ylim()[0] < 0 < 1 < wide.get_ylim()[1]
    _, close = draw_curves(curves(torch.tensor([[0.051], [0.05]])))
    assert close.get_ylim()[1] < 0.07


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [(0.0, 0.0, 0.03), (1.0, 0.97, 1.0), (0.99, 0.97, 1.0), (0.5, 0.485, 0.515), (1.2, 1.17, 1.2)],
)
def test_what_hardly_changes_is_not_blown_up(value: float, low: float, high: float) -> None:
    """Three hundredths of the range at least, none of them beyond its ends for that alone."""
    values = torch.full((3, 1), value) + torch.tensor([[0.0], [1e-7], [0.0]])
    _, ax = draw_curves(replace(curves(values), stderr=0 * values))
    assert ax.get_ylim() == pytest.approx((low - 0.0012, high + 0.0012), abs=1e-4)


def test_every_colour_of_a_layer_stands_out_from_white() -> None:
    for count in (1, 2, 12, 100):
        shades = depth_colours(count)(range(count))[:, :3]
        linear = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4)
        assert (1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05)).min() >= 3
    assert to_rgba(lines(draw_curves(curves(torch.rand(3, 7)))[1])[-1].get_color()) == (
        depth_colours(7)(6)
    )


def test_every_size_has_a_panel_of_one_size() -> None:
    for steps, layers in itertools.product((1, 60), (1, 48)):
        fig, ax = draw_curves(curves(torch.rand(steps, layers)))
        fig.draw_without_rendering()
        box = ax.get_position()
        assert box.width * fig.get_figwidth() == pytest.approx(6.2, abs=0.1)
        assert box.height * fig.get_figheight() == pytest.approx(3.9, abs=0.1)
