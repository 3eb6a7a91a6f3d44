"""Heatmaps: orientation, colours, numbers, marks, sizes, and nothing left in pyplot."""

import io
import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from hooksim.plotting import Panel, Scale, draw_heatmap, draw_heatmaps, png_bytes
from hooksim.plotting.cells import choose_text, decimals_for, format_number
from hooksim.plotting.colours import clip_rounding, colour_map, extension, text_colours

NAN = float("nan")
MINUS = "\N{MINUS SIGN}"


def names(count: int, stem: str = "vit.layers") -> list[str]:
    return [f"{stem}.{i}" for i in range(count)]


def panel(values: torch.Tensor, title: str = "CKA", best: str = "max") -> Panel:
    rows, columns = values.shape
    scale = Scale(best, 0.0, 1.0, title)  # type: ignore[arg-type]
    return Panel(values, 0.1 * values.abs(), names(rows), names(columns, "res.net"), title, scale)


def colour_bars(fig: Figure) -> list[object]:
    return [ax for ax in fig.axes if ax.get_label() == "<colorbar>"]


def texts(ax: object) -> list[str]:
    return [text.get_text() for text in ax.texts]  # type: ignore[attr-defined]


def test_a_is_vertical_and_layer_0_is_at_the_bottom() -> None:
    values = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    _, ax = draw_heatmap(Panel(values, None, names(2), names(3, "res.net"), label_a="ours"))
    assert ax.get_ylabel() == "ours\nvit.layers.*" and ax.get_xlabel() == "model B\nres.net.*"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0", "1"]
    low, high = ax.get_ylim()
    assert low < high
    top_right = next(text for text in ax.texts if text.get_text() == "0.600")
    assert top_right.get_position() == (2, 1)


def test_better_is_brighter_for_both_kinds_of_measure() -> None:
    def lightness(colour: object) -> float:
        return float(np.dot(to_rgba(colour)[:3], [0.2126, 0.7152, 0.0722]))  # type: ignore[arg-type]

    similarity, distance = colour_map("max"), colour_map("min")
    assert similarity(0.999) == pytest.approx(distance(0.0), abs=0.02)
    steps = [0.0, 0.25, 0.5, 0.75, 0.999]
    for colours in ([similarity(s) for s in steps], [distance(s) for s in steps[::-1]]):
        brightness = [lightness(colour) for colour in colours]
        assert brightness == sorted(brightness) and len(set(brightness)) == len(steps)


def test_values_beyond_the_range_look_like_its_end() -> None:
    for best in ("max", "min"):
        colours = colour_map(best)  # type: ignore[arg-type]
        assert colours(-0.1) == colours(0.0) and colours(1.1) == colours(0.9999)


def test_imbalances_are_drawn_by_their_square_root_with_ticks_to_match() -> None:
    fig, ax = draw_heatmap(panel(torch.tensor([[0.04, 0.25, 1.0]]), "Imbalance", "min"))
    assert np.allclose(ax.images[0].norm([0.0, 0.04, 0.25, 1.0]), [0, 0.2, 0.5, 1])
    bar = colour_bars(fig)[0]
    assert np.allclose(bar.get_yticks(), [0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1])  # type: ignore[attr-defined]
    low, high = bar.transData.transform([(0, 0.0), (0, 1.0)])[:, 1]  # type: ignore[attr-defined]
    middle = bar.transData.transform((0, 0.25))[1]  # type: ignore[attr-defined]
    assert (middle - low) / (high - low) == pytest.approx(0.5)
    image = draw_heatmap(panel(torch.tensor([[0.04, 0.25, 1.0]])))[1].images[0]
    assert np.allclose(image.norm([0.04, 0.25]), [0.04, 0.25])


def test_values_beyond_the_range_get_an_arrow_and_rounding_does_not() -> None:
    assert extension(np.array([-0.1, NAN, 0.5]), 0, 1) == "min"
    assert extension(np.array([0.1, 1.1]), 0, 1) == "max"
    assert extension(np.array([-0.1, 1.1]), 0, 1) == "both"
    almost = clip_rounding(np.array([1 + 1e-9, -1e-9, NAN]), 0, 1)
    assert extension(almost, 0, 1) == "neither" and np.isnan(almost[2])
    image = draw_heatmap(Panel(torch.tensor([[-0.1, 0.4]]), None, ["a"], ["b", "c"]))[1].images[0]
    assert image.get_clim() == (0.0, 1.0) and image.colorbar.extend == "min"


def test_the_contrast_of_text_is_high_on_every_colour() -> None:
    shades = np.stack([colour_map("max")(x) for x in np.linspace(-0.1, 1.1, 50)])
    linear = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4)
    luminance = linear[:, :3] @ [0.2126, 0.7152, 0.0722]
    white = text_colours(shades) == "white"
    contrast = np.where(white, 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05)
    assert contrast.min() > 4.5
    assert text_colours(np.zeros(4)) == "black"
    # (106, 118, 127) / 255 and its neighbours: white and black both reach 4.5, and black is taken.
    either = np.array([[g, g, g, 1.0] for g in (0.4585, 0.461, 0.4645)])
    assert (text_colours(either) == "black").all()


def test_undefined_cells_are_hatched_unwritten_and_explained() -> None:
    values = torch.tensor([[NAN, 0.5], [NAN, NAN]])
    fig, ax = draw_heatmap(Panel(values, None, names(2), names(2)))
    assert ax.patch.get_hatch() and ax.images[0].get_array().mask.sum() == 3  # type: ignore[union-attr]
    assert texts(ax).count("") == 3 and "Hatched: undefined." in fig.get_supxlabel()
    assert len(ax.collections[0].get_paths()) == 1


def test_numbers_fit_or_are_left_out() -> None:
    small = np.full((2, 2), 0.123)
    assert choose_text([(small, None)], [3], (36, 36), False)[0].texts[0, 0] == "0.123"  # type: ignore[index]
    assert choose_text([(small, None)], [3], (17, 17), False)[0].texts[0, 0] == "0.12"  # type: ignore[index]
    assert choose_text([(small, None)], [3], (8, 8), False) is None
    assert choose_text([(small, None)], [3], (8, 8), True) is not None
    assert choose_text([(small, small)], [3], (36, 10), False) is None
    assert choose_text([(small, small * NAN)], [3], (36, 36), False)[0].texts[0, 0] == "0.123"  # type: ignore[index]
    assert format_number(-0.0004, 2) == "0.00"


def test_a_matrix_has_as_many_decimals_as_its_errors_are_worth() -> None:
    """The rule of the page: two digits of the median error, 3 to 5."""
    for error, wanted in ((0.3, 3), (0.02, 3), (0.004, 4), (3e-4, 5), (1e-9, 5), (NAN, 3), (0, 3)):
        assert decimals_for(np.full((2, 2), error)) == wanted
    assert decimals_for(np.array([1e-9, 0.02, 0.03, NAN, NAN, NAN])) == 3
    values = torch.tensor([[0.98765, 0.5], [0.5, 0.5]], dtype=torch.float64)
    errors = torch.tensor([[0.0043, 2e-7], [0.0043, 0.0]], dtype=torch.float64)
    _, ax = draw_heatmap(Panel(values, errors, names(2), names(2)), show_stderr=True)
    assert texts(ax) == ["0.9877\n±0.0043", f"0.5000\n±2e{MINUS}7", "0.5000\n±0.0043", "0.5000\n±0"]
    fine = Panel(values, errors, names(2), names(2))
    coarse = replace(fine, stderr=10 * errors)
    _, axes = draw_heatmaps([coarse, fine])
    assert texts(axes[0])[0] == texts(axes[1])[0] == "0.9877", "directions of one measure"
    _, axes = draw_heatmaps([replace(coarse, scale=Scale("min")), fine])
    assert texts(axes[0])[0] == "0.988" and texts(axes[1])[0] == "0.9877"
    together = choose_text([(np.full((1, 1), 0.5), None)] * 2, [3, 5], (17, 17), False)
    assert [one.texts[0, 0] for one in together or []] == ["0.50", "0.50"]


@pytest.mark.parametrize(("count", "errors"), [(1, True), (4, True), (12, False), (18, True)])
def test_written_numbers_stay_inside_their_cells(count: int, errors: bool) -> None:
    values = torch.rand(count, count) - 0.05
    fig, ax = draw_heatmap(
        Panel(values, values.abs(), names(count), names(count)), show_stderr=errors
    )
    fig.draw_without_rendering()
    for text in ax.texts:
        column, row = text.get_position()
        corners = ax.transData.transform([(column - 0.5, row - 0.5), (column + 0.5, row + 0.5)])
        box = text.get_window_extent()
        assert corners[0][0] <= box.x0 and box.x1 <= corners[1][0]
        assert corners[0][1] <= box.y0 and box.y1 <= corners[1][1]
    assert len(ax.texts) == count * count


@pytest.mark.parametrize(("count", "mark"), [(3, "Dashed"), (60, "Hollow")])
def test_matches_that_are_not_told_apart_are_marked_lightly(count: int, mark: str) -> None:
    values = torch.rand(3, count)
    own = replace(panel(values), decided=[True, False, True])
    fig, ax = draw_heatmap(own)
    assert f"{mark}: not told apart from the next best by the standard errors." in " ".join(
        fig.get_supxlabel().split()
    )
    clear, open_ones = ax.collections
    assert len(clear.get_paths()) == 2 and len(open_ones.get_paths()) == 1
    if mark == "Dashed":
        assert open_ones.get_linewidths()[0] < clear.get_linewidths()[0]
        assert open_ones.get_linestyles()[0][1] and not clear.get_linestyles()[0][1]
    else:
        assert not len(open_ones.get_facecolors()) and len(clear.get_facecolors())
    for decided in (None, [True] * 3):
        plain, _ = draw_heatmap(replace(own, decided=decided))
        assert "told apart" not in " ".join(plain.get_supxlabel().split())


def test_warnings_stand_in_dark_red_above_the_caption() -> None:
    own = panel(torch.rand(3, 3))
    fig, _ = draw_heatmap(
        own, caption="Small print.", warning="Warning: a.\n" + "Long words. " * 20
    )
    fig.draw_without_rendering()
    (small,), (red,) = fig.texts, fig.artists
    assert red.get_text().startswith("Warning: a.\nLong words.")
    assert red.get_color() == "#8b1a1a" != small.get_color()
    lines = red.get_text().count("\n") + 1
    assert small.get_text().startswith("\n" * (lines + 1) + "Small print.")
    above, box = red.get_window_extent(), small.get_window_extent()
    assert above.x0 >= 0 and above.x1 <= fig.bbox.width and above.y1 <= box.y1 + 1
    share = (lines + 1) / (small.get_text().count("\n") + 1)
    assert above.y0 >= box.y1 - share * box.height
    assert not draw_heatmap(own, caption="Small print.")[0].artists


def test_standard_errors_that_do_not_fit_are_said_to_be_missing() -> None:
    values = torch.rand(70, 70)
    fig, ax = draw_heatmap(Panel(values, values, names(70), names(70)), show_stderr=True)
    assert not ax.texts and "Standard errors are left out" in fig.get_supxlabel()
    assert "Dotted: the closest layer" in fig.get_supxlabel().replace("\n", " ")


@pytest.mark.parametrize(("best", "column"), [("max", 2), ("min", 0)])
def test_the_best_cell_of_each_row_is_framed(best: str, column: int) -> None:
    _, axes = draw_heatmaps([panel(torch.tensor([[0.1, 0.2, 0.3]]), best=best)])
    frame = axes[0].collections[0].get_paths()[0].get_extents()
    assert (frame.x0 + frame.x1) / 2 == pytest.approx(column)


@pytest.mark.parametrize(
    ("rows", "columns", "stem"),
    [
        (1, 1, "layers"),
        (1, 12, "model.decoder.some_very_long_module_name_that_never_ends"),
        (30, 20, "model.decoder.some_very_long_module_name_that_never_ends"),
        (60, 50, "layers"),
    ],
)
def test_no_label_is_cut_off_and_names_do_not_overlap(rows: int, columns: int, stem: str) -> None:
    layers = [[f"{stem}.{i}.part_{i % 3}" for i in range(count)] for count in (rows, columns)]
    panel = Panel(torch.rand(rows, columns), None, *layers, title="A title that is a little long")
    panel = replace(panel, label_a="model A (SomeVeryLongClassNameForClassification)")
    fig, ax = draw_heatmap(panel, caption="A caption. " * 20)
    fig.draw_without_rendering()
    drawn = [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.title, ax.xaxis.label, ax.yaxis.label]
    for text in [*drawn, fig.texts[0]]:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= fig.bbox.width and box.y1 <= fig.bbox.height
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert all(a.y1 <= b.y0 + 0.5 for a, b in itertools.pairwise(boxes))


def test_cells_are_square() -> None:
    fig, ax = draw_heatmap(Panel(torch.rand(6, 9), None, names(6), names(9)))
    fig.draw_without_rendering()
    box = ax.get_window_extent()
    assert box.width / 9 == pytest.approx(box.height / 6, rel=0.02)


def test_panels_of_one_scale_share_a_colour_bar_with_the_better_end_up() -> None:
    panels = [panel(torch.rand(3, 3))]
    panels += [panel(torch.rand(3, 3) + 0.5 * i, "Imbalance", "min") for i in range(2)]
    fig, axes = draw_heatmaps(panels)
    bars = colour_bars(fig)
    assert len(axes) == 3 and len(bars) == 2
    assert bars[1].yaxis_inverted() and not bars[0].yaxis_inverted()  # type: ignore[attr-defined]
    assert axes[1].get_ylabel() == "" and axes[0].get_ylabel() != ""
    assert axes[1].images[0].colorbar.extend == "max"


def test_names_with_dollar_signs_are_drawn_as_they_are() -> None:
    fig, ax = draw_heatmap(Panel(torch.rand(2, 1), None, ["a$_b", "$\\x$"], ["x"], title="$"))
    fig.draw_without_rendering()
    assert ax.get_yticklabels()[0].get_text() == r"a\$_b"


def test_figures_are_unknown_to_pyplot_and_shown_by_notebooks() -> None:
    from matplotlib import pyplot as plt

    fig, _ = draw_heatmap(Panel(torch.rand(2, 2), None, names(2), names(2)))
    assert plt.get_fignums() == []
    assert Image.open(io.BytesIO(fig._repr_png_())).format == "PNG"  # type: ignore[attr-defined]
    assert png_bytes(fig, 50) != png_bytes(fig, 100)
    fig.show()
    assert plt.get_fignums() == [1]
    plt.close("all")


def test_given_axes_are_drawn_into() -> None:
    own = Figure()
    first, second = own.subplots(1, 2)
    fig, ax = draw_heatmap(
        Panel(torch.rand(2, 2), None, names(2), names(2)), caption="c", ax=second
    )
    assert fig is own and ax is second and not first.images and own.get_supxlabel() == ""


def test_drawing_does_not_import_pyplot() -> None:
    import subprocess

    code = (
        "import sys, torch; from hooksim.plotting import Panel, draw_heatmap, png_bytes; "
        "assert 'matplotlib' not in sys.modules; "
        "png_bytes(draw_heatmap(Panel(torch.eye(2), None, ['0', '1'], ['0', '1']))[0]); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
