"""CKA and Information Imbalance as TensorDict modules: keys and checks, no maths."""

from typing import Any

from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from tensordict.utils import NestedKey

from hooksim.functional.cka import check_kernel, kernel_cka
from hooksim.functional.information_imbalance import check_neighbours, imbalance_both_ways
from hooksim.functional.inputs import check_pair, result_dtype

__all__ = ["CkaEstimator", "InformationImbalanceEstimator"]


def _keys(*keys: NestedKey) -> list[Any]:
    """The keys as the list that tensordict asks for, whose type leaves out nested ones."""
    return list(keys)


class CkaEstimator(TensorDictModuleBase):
    """Write the centered kernel alignment of two entries of a TensorDict into a third.

    1 means that the two agree up to rotation, scale and shift; 0 that they share no linear
    structure. One value for each batch item, computed without a loop over them.

    Args:
        in_key_a: Entry with rows `(N, D_a)` or `(..., N, D_a)`.
        in_key_b: Entry with rows `(N, D_b)` or `(..., N, D_b)`, the same samples.
        out_key: Entry to write, `()` or `(...)`; float64 for float64 input, else float32. NaN
            where a side does not vary, and with fewer than 4 samples (2 if biased).
        kernel: `"linear"` or `"rbf"`.
        eps: A side does not vary where its HSIC, of rows scaled to mean squared norm 1, is not
            above this; so activations may be as small as they like.
        debiased: With unbiased HSIC, which has mean 0 for independent rows.
        bandwidth: Of the RBF kernel, as a multiple of the median distance between samples.

    Raises:
        ShapeError: When called: the entries are not rows of the same samples. A `ValueError`.
        ConfigError: Another kernel, complex numbers, or two devices. A `ValueError`.

    Example:
        >>> import torch
        >>> from tensordict import TensorDict
        >>> rows = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [4.0, 1.0]])
        >>> data = TensorDict({"data_a": rows, "data_b": 2 * rows + 1})
        >>> round(CkaEstimator()(data)["cka"].item(), 6)
        1.0

    Source: Kornblith et al. 2019 (CKA); Song et al. 2012, equation 5 (unbiased HSIC).
    """

    def __init__(
        self,
        in_key_a: NestedKey = "data_a",
        in_key_b: NestedKey = "data_b",
        out_key: NestedKey = "cka",
        kernel: str = "linear",
        eps: float = 1e-12,
        debiased: bool = False,
        bandwidth: float = 1.0,
    ) -> None:
        super().__init__()
        check_kernel(kernel, bandwidth)
        self.in_keys, self.out_keys = _keys(in_key_a, in_key_b), _keys(out_key)
        self.kernel = kernel
        self.eps = eps
        self.debiased = debiased
        self.bandwidth = bandwidth

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Add the value to `tensordict` and return it."""
        x, y = (tensordict[key] for key in self.in_keys)
        check_pair(x, y, str(self.in_keys[0]), str(self.in_keys[1]))
        value = kernel_cka(
            x,
            y,
            kernel=self.kernel,
            debiased=self.debiased,
            bandwidth=self.bandwidth,
            eps=self.eps,
        )
        return tensordict.set(self.out_keys[0], value.to(result_dtype(x, y)))

    def __repr__(self) -> str:
        return (
            f"CkaEstimator(in_keys={self.in_keys}, out_keys={self.out_keys}, "
            f"kernel={self.kernel!r}, eps={self.eps}, debiased={self.debiased}, "
            f"bandwidth={self.bandwidth})"
        )


class InformationImbalanceEstimator(TensorDictModuleBase):
    """Write the Information Imbalance of two entries of a TensorDict, both ways, into two others.

    `(k + 1) / N` means that the source's neighbours are the target's, 1 that they say nothing
    about them. One value for each batch item and direction, computed without a loop over them.

    Args:
        in_key_a: Entry with rows `(N, D_a)` or `(..., N, D_a)`.
        in_key_b: Entry with rows `(N, D_b)` or `(..., N, D_b)`, the same samples.
        out_key_a_to_b: Entry to write, `()` or `(...)`: how badly a's neighbours predict b's;
            float64 for float64 input, else float32. 1 where a side is constant, NaN where one
            holds NaN.
        out_key_b_to_a: Entry to write: the other direction.
        p: Exponent of the norm that measures distances.
        k: Number of neighbours, 1 to N - 1.

    Raises:
        ShapeError: When called: the entries are not rows of the same samples. A `ValueError`.
        NotEnoughSamplesError: When called: fewer than 2 samples. A `ValueError`.
        ConfigError: `k` or `p` out of range, complex numbers, or two devices. A `ValueError`.

    Example:
        >>> import torch
        >>> from tensordict import TensorDict
        >>> rows = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
        >>> data = TensorDict({"data_a": rows, "data_b": 2 * rows})
        >>> InformationImbalanceEstimator()(data)["information_imbalance_a_to_b"].item()
        0.5

    Source: Glielmo et al. 2022, "Ranking the information content of distance measures".
    """

    def __init__(
        self,
        in_key_a: NestedKey = "data_a",
        in_key_b: NestedKey = "data_b",
        out_key_a_to_b: NestedKey = "information_imbalance_a_to_b",
        out_key_b_to_a: NestedKey = "information_imbalance_b_to_a",
        p: float = 2.0,
        k: int = 1,
    ) -> None:
        super().__init__()
        check_neighbours(k, p)
        self.in_keys = _keys(in_key_a, in_key_b)
        self.out_keys = _keys(out_key_a_to_b, out_key_b_to_a)
        self.p = p
        self.k = k

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Add both values to `tensordict` and return it."""
        x, y = (tensordict[key] for key in self.in_keys)
        check_pair(x, y, str(self.in_keys[0]), str(self.in_keys[1]))
        check_neighbours(self.k, self.p, x.shape[-2])
        values = imbalance_both_ways(x, y, self.k, self.p)
        for key, value in zip(self.out_keys, values, strict=True):
            tensordict.set(key, value.to(result_dtype(x, y)))
        return tensordict

    def __repr__(self) -> str:
        return (
            f"InformationImbalanceEstimator(in_keys={self.in_keys}, out_keys={self.out_keys}, "
            f"p={self.p}, k={self.k})"
        )
