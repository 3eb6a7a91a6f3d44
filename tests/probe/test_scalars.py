import math

import pytest
import torch

from hooksim import CKA
from hooksim.errors import ConfigError
from hooksim.probe import Probe
from hooksim.probe.scalars import check_names, summary_scalars
from hooksim.results import Comparison, Meaning, SimilarityMatrix
from tests.probe.probed import batches, stack


def comparison(values, layers_a, layers_b, best="max") -> Comparison:
    values = torch.tensor(values, dtype=torch.float64)
    matrix = SimilarityMatrix("m", values, 0 * values, layers_a, layers_b, Meaning("M", best))
    return Comparison({"m": matrix}, 50, {})


def test_layers_are_paired_by_name_not_by_position():
    result = comparison([[1.0, 2.0], [4.0, 8.0]], ["x", "y"], ["y", "x"])
    assert summary_scalars("r", result) == {"r_m_diagonal_mean": 3.0}


def test_only_what_both_have_counts():
    result = comparison([[1.0, 2.0, 3.0]], ["x"], ["y", "x", "z"])
    assert summary_scalars("r", result) == {"r_m_diagonal_mean": 2.0}


def test_nan_is_left_out():
    result = comparison([[math.nan, 2.0], [4.0, 8.0]], ["x", "y"], ["x", "y"])
    assert summary_scalars("r", result) == {"r_m_diagonal_mean": 8.0}
    result = comparison([[math.nan]], ["x"], ["x"])
    assert summary_scalars("r", result) == {}


def test_without_equal_names_the_closest_layers_count():
    values = [[1.0, 2.0], [4.0, 8.0]]
    result = comparison(values, ["x", "y"], ["u", "v"])
    assert summary_scalars("r", result) == {"r_m_best_match_mean": 6.0}
    result = comparison(values, ["x", "y"], ["u", "v"], best="min")
    assert summary_scalars("r", result) == {"r_m_best_match_mean": 1.5}


def test_two_scalars_of_one_name_are_refused():
    check_names(["a", "a_b"], ["cka", "c_cka"])
    with pytest.raises(ConfigError, match=r"'a_b' with key 'cka' and reference 'a' with key 'b_c"):
        check_names(["a", "a_b"], ["cka", "b_cka"])


def test_a_probe_refuses_them_when_it_is_made():
    measures = (CKA(), CKA(key="b_cka"))
    with pytest.raises(ConfigError, match="Give one of the references another name"):
        Probe(batches(), reference={"a": stack(), "a_b": stack()}, measures=measures)
