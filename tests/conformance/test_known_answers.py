"""Values that follow from the definitions with pen and paper, through every door."""

import math

import pytest
import torch
from torch import Tensor

from tests.conformance.doors import CKA_DOORS, IMBALANCE_DOORS

pytestmark = pytest.mark.conformance

each_cka = pytest.mark.parametrize("cka", CKA_DOORS.values(), ids=CKA_DOORS)
each_imbalance = pytest.mark.parametrize("imbalance", IMBALANCE_DOORS.values(), ids=IMBALANCE_DOORS)
debiased_or_not = pytest.mark.parametrize("debiased", [True, False], ids=["debiased", "biased"])


def columns(*rows: list[float]) -> Tensor:
    """Columns side by side, `(n, columns)`, float64."""
    return torch.tensor(rows, dtype=torch.float64).T


# Columns of a Hadamard matrix: balanced, orthogonal, of norm sqrt(8).
H1 = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0]
H2 = [1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0]
H3 = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]


@each_cka
class TestCka:
    @debiased_or_not
    def test_a_rotated_scaled_and_shifted_copy_gives_one(self, cka, debiased):
        x = torch.randn(40, 6, dtype=torch.float64)
        rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
        assert cka(x, -5.0 * x @ rotation + 3.0, debiased) == pytest.approx(1.0, abs=1e-6)

    def test_orthogonal_designs_give_zero(self, cka):
        """The biased value is |X'Y|^2 / (|X'X| |Y'Y|), and X'Y = 0."""
        assert cka(columns(H1), columns(H2), False) == pytest.approx(0.0, abs=1e-6)
        assert cka(columns(H1, H3), columns(H2), False) == pytest.approx(0.0, abs=1e-6)

    def test_orthogonal_designs_debiased(self, cka):
        """HSIC is -n^2 / (n-1) between the columns, n^2 (n-2) / (n-1) of one with itself."""
        assert cka(columns(H1), columns(H2), True) == pytest.approx(-1 / 6, abs=1e-6)

    def test_designs_that_share_a_part(self, cka):
        """|X'Y|^2 = n^2 against |X'X| |Y'Y|: sqrt(2) n n, and sqrt(2) n sqrt(2) n."""
        assert cka(columns(H1), columns(H1, H2), False) == pytest.approx(math.sqrt(0.5), abs=1e-6)
        assert cka(columns(H1, H2), columns(H1, H3), False) == pytest.approx(0.5, abs=1e-6)

    def test_two_columns_give_the_squared_correlation(self, cka):
        """1, 2, 3, 4 and 1, 3, 2, 4 correlate by 0.8."""
        x, y = columns([1.0, 2.0, 3.0, 4.0]), columns([1.0, 3.0, 2.0, 4.0])
        assert cka(x, y, False) == pytest.approx(0.64, abs=1e-6)

    def test_independent_rows_have_mean_zero_only_when_debiased(self, cka):
        """The biased value of two noises is about d / (d + n), here with n = d."""
        pairs = [(torch.randn(64, 64), torch.randn(64, 64)) for _ in range(20)]
        debiased = [cka(x, y, True) for x, y in pairs]
        error = torch.tensor(debiased).std().item() / math.sqrt(len(pairs))
        assert abs(sum(debiased) / len(pairs)) < 4 * error < 0.04
        assert cka(*pairs[0], False) == pytest.approx(0.48, abs=0.03)

    @debiased_or_not
    def test_a_constant_side_is_undefined(self, cka, debiased):
        x = torch.randn(20, 3)
        assert math.isnan(cka(x, torch.full((20, 2), 7.0), debiased))


@each_imbalance
class TestImbalance:
    @pytest.mark.parametrize("k", [1, 2, 7, 28])
    def test_identical_spaces_give_the_floor(self, imbalance, k):
        x = torch.randn(30, 4, dtype=torch.float64)
        assert imbalance(x, 2 * x - 1, k) == pytest.approx([(k + 1) / 30] * 2, abs=1e-12)

    @pytest.mark.parametrize("k", [1, 5])
    def test_a_constant_side_gives_one(self, imbalance, k):
        x = torch.randn(30, 4, dtype=torch.float64)
        assert imbalance(x, torch.full((30, 2), 7.0), k) == pytest.approx([1.0, 1.0], abs=1e-12)

    def test_four_points(self, imbalance):
        """Ranks 3, 3, 3, 1 of a's neighbours in b; 2, 3, 2, 1 the other way; times 2 / 4^2."""
        a, b = columns([0.0, 1.0, 3.0, 7.0]), columns([0.0, 10.0, 1.0, 2.5])
        assert imbalance(a, b, 1) == pytest.approx([1.25, 1.0], abs=1e-12)

    def test_a_tie_counts_with_its_mean(self, imbalance):
        """The second point has two neighbours at distance 1: ranks 1, (1 + 2) / 2, 1, 1."""
        a, b = columns([-1.0, 0.0, 1.0, 5.0]), columns([0.0, 1.0, 3.0, 7.0])
        assert imbalance(a, b, 1)[0] == pytest.approx(2 / 16 * 4.5, abs=1e-12)

    def test_independent_spaces_have_mean_one(self, imbalance):
        values = [imbalance(torch.randn(50, 3), torch.randn(50, 3), 1)[0] for _ in range(40)]
        error = torch.tensor(values).std().item() / math.sqrt(len(values))
        assert abs(sum(values) / len(values) - 1) < 4 * error < 0.1
        assert max(values) > 1
