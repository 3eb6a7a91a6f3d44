"""The imbalance plane: where its points are, and what its lines mean."""

from dataclasses import replace

import numpy as np
import pytest

from hooksim.report import Plane
from tests.report.pages import trajectory

pytestmark = pytest.mark.browser


def near(low: float, high: float, floor: float | None = None):
    """A trajectory whose imbalances lie between two values, without errors."""
    shown = trajectory()
    for matrix in shown.matrices[1:]:
        matrix.values[:] = low + (high - low) * matrix.values
        matrix.stderr[:] = 0
    plane = replace(shown.planes[0], floor=floor)
    return replace(shown, planes=(plane,))


def spread(page) -> float:
    """The longer side of the box around the points, as a share of the picture's width."""
    points = np.array([given[:2] for given in page.pen("plane", "arc")])
    assert len(points) >= 9
    return float(np.ptp(points, axis=0).max() / page.find("#plane canvas").rect["width"])


@pytest.mark.parametrize("width", [390, 1280])
def test_points_fill_the_picture_wherever_they_lie(page, write, width):
    page.open(write(near(0.02, 0.05)), width, recorded=True)
    assert spread(page) > 0.6
    assert "Shown is the part of the plane where the points are." in page.text("plane-words")
    page.press("Show the whole plane")
    assert spread(page) < 0.05
    assert "Shown is the part" not in page.text("plane-words")
    corners = {text for text, *_ in page.pen("plane", "fillText")}
    assert {"equivalent", "independent", "A informs B", "B informs A"} <= corners
    assert page.find("#whole").get_attribute("aria-pressed") == "true"


def test_axes_say_what_their_ends_mean_where_there_is_room(page, write):
    page.open(write(near(0, 1)), recorded=True)
    words = {text for text, *_ in page.pen("plane", "fillText")}
    assert "A to B (0: A tells the neighbours in B, 1: it tells none)" in words
    assert "B to A (0: B tells the neighbours in A, 1: it tells none)" in words
    page.open(write(near(0, 1)), 320, recorded=True)
    assert {"A to B", "B to A"} <= {text for text, *_ in page.pen("plane", "fillText")}


def test_the_least_value_and_the_line_of_equal_ones_are_explained(page, write):
    page.open(write(near(0.0, 0.2, floor=2 / 450)))
    page.press("Show the whole plane")
    words = page.text("plane-words")
    assert (
        "Dotted: 0.0044, the least there is, which equal spaces have: (k\xa0+\xa01)\xa0/\xa0n."
        in words
    )
    assert "Above the dashed line A tells more of B than B of A" in words
    page.open(write(near(0.0, 0.2)))
    assert "Dotted" not in page.text("plane-words")


def test_one_point_alone_has_a_place(page, write):
    page.open(write(near(0.3, 0.3)), recorded=True)
    assert spread(page) == 0
    assert page.messages() == []


def test_a_plane_knows_no_floor_by_default():
    assert Plane("x", "a", "b").floor is None
