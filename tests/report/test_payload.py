"""What a page may be given, and what it may not."""

from dataclasses import replace

import numpy as np
import pytest

from hooksim.errors import ConfigError, ShapeError
from hooksim.report import Axis, Model, Payload, Plane
from tests.report.pages import trajectory


def test_every_axis_has_short_names():
    with pytest.raises(ShapeError) as caught:
        Axis("runs/a", ("x.0", "x.1"), ("0",))
    assert str(caught.value) == (
        "axis 'runs/a': 2 names and 1 short ones, expected one short name for each."
    )


def test_shapes_over_steps_and_pairs_of_steps_fit():
    assert trajectory().matrices[0].values.shape == (4, 3, 3)
    assert trajectory(pairs=True).matrices[0].values.shape == (4, 4, 3, 3)


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 3), (4, 2, 3), (4, 4, 4, 3, 3)])
def test_other_shapes_are_refused(shape):
    good = trajectory()
    wrong = replace(good.matrices[0], values=np.zeros(shape), stderr=np.zeros(shape))
    with pytest.raises(ShapeError) as caught:
        replace(good, matrices=(wrong, *good.matrices[1:]))
    assert str(caught.value) == (
        f"page: matrix 'cka': values of shape {shape}, expected (4, 3, 3) or (4, 4, 3, 3), the "
        "same for values and standard errors."
    )


def test_standard_errors_are_shaped_like_the_values():
    good = trajectory()
    wrong = replace(good.matrices[0], stderr=np.zeros((4, 4, 3, 3)))
    with pytest.raises(ShapeError, match=r"stderr of shape \(4, 4, 3, 3\)"):
        replace(good, matrices=(wrong, *good.matrices[1:]))


def test_a_comparison_has_no_steps():
    with pytest.raises(ShapeError, match=r"values of shape \(4, 3, 3\), expected \(3, 3\)"):
        replace(trajectory(), steps=(), curves=())


def test_curves_have_a_value_at_each_step():
    good = trajectory()
    wrong = replace(good.curves[0], values=np.zeros((3, 3)))
    with pytest.raises(ShapeError, match=r"curves of 'cka': values of shape \(3, 3\), .*\(4, 3\)"):
        replace(good, curves=(wrong,))


def test_planes_and_curves_name_matrices_that_are_there():
    good = trajectory()
    known = "It has: 'cka', 'imbalance_a_to_b', 'imbalance_b_to_a'."
    with pytest.raises(ConfigError) as caught:
        replace(good, planes=(Plane("x", "cka", "ckb"),))
    assert str(caught.value) == f"page: no matrix 'ckb' to be drawn. {known}"
    with pytest.raises(ConfigError, match="no matrix 'x' to be drawn"):
        replace(good, curves=(replace(good.curves[0], key="x"),))
    with pytest.raises(ConfigError, match="It has: none"):
        Payload((Model("a"), Model("b")), "", (), "", "", planes=(Plane("x", "a", "b"),))


def test_a_key_comes_once():
    good = trajectory()
    with pytest.raises(ConfigError, match="expected every key once, got 'cka', 'cka'"):
        replace(good, matrices=(good.matrices[0],) * 2, planes=(), curves=())


@pytest.mark.parametrize("place", [-1, 4])
def test_the_reference_is_one_of_the_steps(place):
    with pytest.raises(ConfigError) as caught:
        trajectory(reference_step=place)
    assert str(caught.value) == (
        f"page: reference_step={place}, expected the position of one of 4 steps, or None."
    )
    assert trajectory(reference_step=3).reference_step == 3
