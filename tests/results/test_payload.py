"""What the page of a comparison is given."""

import matplotlib as mpl
import numpy as np
import pytest

from hooksim.report import Model, Plane
from hooksim.results import Comparison
from hooksim.results.payload import (
    axis,
    colour_tables,
    comparison_payload,
    plane,
    side_models,
    warning_pairs,
)
from tests.report.pages import comparison


def test_matrices_come_with_names_numbers_and_file_names():
    result = comparison((4, 3))
    shown = comparison_payload(result)
    assert [matrix.key for matrix in shown.matrices] == result.keys()
    assert [matrix.group for matrix in shown.matrices] == ["cka", "imbalance", "imbalance"]
    assert shown.planes == (
        Plane("Information Imbalance (k = 1)", "imbalance_a_to_b", "imbalance_b_to_a"),
    )
    for matrix in shown.matrices:
        theirs = result[matrix.key]
        assert np.array_equal(matrix.values, theirs.values.numpy())
        assert np.array_equal(matrix.stderr, theirs.stderr.numpy())
        assert matrix.values.dtype == np.float64
        assert (matrix.best, matrix.range) == (theirs.meaning.best, theirs.meaning.range)
        assert matrix.caption == theirs.caption and "Standard errors are per cell" in matrix.caption
        assert (matrix.a.label, matrix.b.label) == ("runs/a", "runs/b")
    assert shown.facts == "n = 450 in one block · 4 x 3 layers"


def test_files_are_called_as_in_the_folder():
    m = comparison()["cka"]
    keys = ["diagnostics", "a/b", "x_a_to_b", "x_b_to_a", "x"]
    shown = comparison_payload(Comparison(dict.fromkeys(keys, m), 1, {}))
    assert [matrix.file for matrix in shown.matrices] == [
        "diagnostics", "a_b", "x_a_to_b", "x_b_to_a", "x",
    ]  # fmt: skip
    # Names that end as directions do are anybody's choice: CKA has no direction.
    assert [matrix.group for matrix in shown.matrices] == keys


def test_colours_are_those_of_the_pictures():
    close, depth = colour_tables()
    assert len(close) == len(depth) == 256 * 6
    for table, name in ((close, "viridis"), (depth, "plasma")):
        wanted = mpl.colormaps[name](np.linspace(0, 1, 256), bytes=True)[:, :3]
        assert table == wanted.tobytes().hex()


def test_models_are_called_by_name_and_class():
    assert side_models({}) == (Model("model A"), Model("model B"))
    assert side_models({"name_a": "runs/a", "model_a": "X", "model_b": "Y"}) == (
        Model("runs/a", "X"), Model("Y"),
    )  # fmt: skip
    long = "runs/" * 40
    assert side_models({"name_a": long, "model_b": 3})[0].name == long, "the page has room"


def test_all_warnings_are_there_the_different_ones_first():
    some = [{"code": "x", "text": str(i)} for i in range(9)] + [{"code": "y", "text": "last"}]
    pairs = warning_pairs({"warnings": some})
    assert len(pairs) == 10 and ("y", "last") in pairs[:3]
    assert warning_pairs({}) == ()


def test_layers_have_a_table_for_each_side():
    layer = {"layer": "encoder.0", "width": 3072, "rows_per_dimension": 0.1465,
             "participation_ratio": 12.34, "duplicate_rows": 0.002, "largest_share": "0.0123",
             "order": "nan"}  # fmt: skip
    tables = comparison_payload(comparison(diagnostics={"a": [layer], "b": []})).tables
    assert [table.title for table in tables] == ["Model A: runs/a"]
    assert tables[0].rows == (("encoder.0", "3,072", "0.146", "12.3", "0.2%", "1.2%", "-"),)
    assert len(tables[0].columns) == 7
    assert comparison_payload(comparison()).tables == ()


def test_one_layer_keeps_its_name():
    assert axis("x", ["encoder.layer.0"]).short == ("encoder.layer.0",)
    assert axis("x", []).layers == ()


def test_the_floor_of_the_imbalance_is_that_of_equal_spaces():
    described = {"measures": [{"name": "cka", "key": "cka"}, {"key": "x", "k": 3}]}
    assert plane("x", "II", {**described, "blocks": [100]}).floor == 0.04
    # Blocks of unequal size: 100 rows at 4 / 100 and 300 at 4 / 300.
    assert plane("x", "II", {**described, "blocks": [100, 300]}).floor == pytest.approx(8 / 400)
    for metadata in ({}, described, {"blocks": [9]}, {"measures": None, "blocks": None}):
        assert plane("x", "II", metadata) == Plane("II", "x_a_to_b", "x_b_to_a", None)
