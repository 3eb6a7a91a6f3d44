"""Curves over steps: places, scales, colours, bands, gaps."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from hooksim.plotting import Curves, Scale, draw_curves, png_bytes

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
    assert ax.get_xlabel() == "step" and ax.get_ylabel() == "CKA"
    assert [line.get_xdata().tolist() for line in lines(ax)] == [[0, 100, 400]] * 2
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
    ("steps", "scale"),
    [
        ([0, 500, 1000, 1500], "linear"),
        ([10, 30, 100, 300], "symlog"),
        ([0, 1, 2, 4, 8, 16, 512, 1000], "symlog"),
        ([500, 1000, 1500, 1510], "linear"),
        ([*range(100, 5001, 100), 5001], "linear"),
        ([-5, 10, 100, 1000], "linear"),
        ([7], "linear"),
    ],
)
def test_steps_that_grow_by_factors_stand_on_a_logarithmic_axis(steps, scale) -> None:
    _, ax = draw_curves(curves(torch.rand(len(steps), 2), steps))
    assert ax.get_xscale() == scale
    assert ax.get_xlabel() == ("step" if scale == "linear" else "step (logarithmic)")
    places = ax.transData.transform([(step, 0.0) for step in sorted(steps)])[:, 0]
    assert (np.diff(places) > 0).all()
    if len(steps) <= 9:
        assert ax.get_xticks().tolist() == steps


def test_words_stand_side_by_side_and_steps_out_of_order_are_joined_in_order() -> None:
    _, ax = draw_curves(curves(torch.rand(3, 1), ["init", "a$b", "x" * 60]))
    assert lines(ax)[0].get_xdata().tolist() == [0, 1, 2]
    texts = [text.get_text() for text in ax.get_xticklabels()]
    assert texts[:2] == ["init", r"a\$b"] and len(texts[2]) < 21
    _, ax = draw_curves(curves(torch.tensor([[0.3], [0.1], [0.2]]), [30, 10, 20]))
    assert lines(ax)[0].get_xdata().tolist() == [10, 20, 30]
    assert np.allclose(lines(ax)[0].get_ydata(), [0.1, 0.2, 0.3])


def test_the_reference_gets_a_line() -> None:
    values = torch.rand(3, 1)
    _, ax = draw_curves(curves(values, [0, 50, 100], against=50))
    assert [line.get_xdata() for line in ax.lines if line.get_linestyle() == "--"] == [[50, 50]]
    _, ax = draw_curves(curves(values, [0, 50, 100]))
    assert not [line for line in ax.lines if line.get_linestyle() == "--"]


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
    _, equal = draw_curves(curves(torch.zeros(3, 1)))
    low, high = equal.get_ylim()
    assert high - low == pytest.approx(0.01)


def test_every_size_has_a_panel_of_one_size() -> None:
    for steps, layers in itertools.product((1, 60), (1, 48)):
        fig, ax = draw_curves(curves(torch.rand(steps, layers)))
        fig.draw_without_rendering()
        box = ax.get_position()
        assert box.width * fig.get_figwidth() == pytest.approx(6.2, abs=0.1)
        assert box.height * fig.get_figheight() == pytest.approx(3.9, abs=0.1)
