"""What may not change a value, and what must, through every door."""

import pytest
import torch
from torch import Tensor

from tests.conformance.doors import CKA_DOORS, IMBALANCE_DOORS
from tests.datasets import related

pytestmark = pytest.mark.conformance

each_cka = pytest.mark.parametrize("cka", CKA_DOORS.values(), ids=CKA_DOORS)
each_imbalance = pytest.mark.parametrize("imbalance", IMBALANCE_DOORS.values(), ids=IMBALANCE_DOORS)
debiased_or_not = pytest.mark.parametrize("debiased", [True, False], ids=["debiased", "biased"])


def pair(n: int = 90, width: int = 20) -> tuple[Tensor, Tensor]:
    """Related rows in float64."""
    x, y = related(n, width, seed=20)
    return x.double(), y.double()


def rotation(width: int) -> Tensor:
    return torch.linalg.qr(torch.randn(width, width, dtype=torch.float64))[0]


ISOMETRIES = {
    "rotation": lambda x: x @ rotation(x.shape[1]),
    "scale": lambda x: 1e-3 * x,
    "mirror": lambda x: -x,
    "shift": lambda x: x + 50.0,
    "constant dimensions": lambda x: torch.nn.functional.pad(x, (0, 3), value=4.0),
}
each_isometry = pytest.mark.parametrize("change", ISOMETRIES.values(), ids=ISOMETRIES)


@each_cka
@debiased_or_not
class TestCka:
    @each_isometry
    def test_isometries_and_scale(self, cka, debiased, change):
        x, y = pair()
        value = cka(x, y, debiased)
        assert cka(change(x), y, debiased) == pytest.approx(value, abs=1e-6)
        assert cka(x, change(y), debiased) == pytest.approx(value, abs=1e-6)

    def test_order_of_the_samples(self, cka, debiased):
        x, y = pair()
        order = torch.randperm(len(x))
        assert cka(x[order], y[order], debiased) == pytest.approx(cka(x, y, debiased), abs=1e-6)

    def test_exchange_of_the_sides(self, cka, debiased):
        x, y = pair()
        assert cka(y, x, debiased) == pytest.approx(cka(x, y, debiased), abs=1e-6)

    def test_a_general_linear_map_changes_it(self, cka, debiased):
        x, y = pair()
        stretch = torch.linspace(0.1, 3.0, x.shape[1], dtype=torch.float64)
        mixed = x @ torch.randn(x.shape[1], x.shape[1], dtype=torch.float64)
        value = cka(x, y, debiased)
        assert abs(cka(x * stretch, y, debiased) - value) > 0.01
        assert abs(cka(mixed, y, debiased) - value) > 0.01

    def test_the_order_of_one_side_changes_it(self, cka, debiased):
        x, y = pair()
        assert cka(x.flip(0), y, debiased) < 0.5 * cka(x, y, debiased)


@each_imbalance
@pytest.mark.parametrize("k", [1, 4])
class TestImbalance:
    @each_isometry
    def test_isometries_and_scale(self, imbalance, k, change):
        x, y = pair()
        value = imbalance(x, y, k)
        assert imbalance(change(x), y, k) == pytest.approx(value, abs=1e-12)
        assert imbalance(x, change(y), k) == pytest.approx(value, abs=1e-12)

    def test_a_monotone_change_of_distance(self, imbalance, k):
        """Points on a half circle: the chord grows with the arc."""
        _, y = pair()
        arc = torch.rand(len(y), 1, dtype=torch.float64) * 3.1
        circle = torch.cat([arc.cos(), arc.sin()], 1)
        assert imbalance(circle, y, k) == pytest.approx(imbalance(arc, y, k), abs=1e-12)
        assert imbalance(arc, circle, k) == pytest.approx([(k + 1) / len(y)] * 2, abs=1e-12)

    @pytest.mark.parametrize("ties", [False, True])
    def test_order_of_the_samples(self, imbalance, k, ties):
        x, y = pair(width=3)
        if ties:
            x, y = x.round(), y[:, :2].round()
        order = torch.randperm(len(x))
        assert imbalance(x[order], y[order], k) == pytest.approx(imbalance(x, y, k), abs=1e-12)

    def test_exchange_of_the_sides_exchanges_the_values(self, imbalance, k):
        x, y = pair()
        assert imbalance(y, x, k) == pytest.approx(imbalance(x, y, k)[::-1], abs=1e-12)

    def test_it_is_not_symmetric(self, imbalance, k):
        """All dimensions predict two of them; two of them do not predict all."""
        x, _ = pair()
        whole_to_part, part_to_whole = imbalance(x, x[:, :2], k)
        assert part_to_whole > whole_to_part + 0.05

    def test_a_stretched_dimension_changes_it(self, imbalance, k):
        x, y = pair()
        stretch = torch.linspace(0.1, 3.0, x.shape[1], dtype=torch.float64)
        assert abs(imbalance(x * stretch, y, k)[0] - imbalance(x, y, k)[0]) > 1e-3

    def test_it_depends_on_the_number_of_samples(self, imbalance, k):
        x, y = pair()
        assert imbalance(x[::2], y[::2], k)[0] > imbalance(x, y, k)[0]
