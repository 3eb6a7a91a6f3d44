"""scikit-learn's handwritten digits: 1,797 pictures of 8 x 8 pixels, cut in two for good."""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from hooksim.cli.batching import Batches, BatchSize, ModelSpecs
from hooksim.errors import HooksimError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Digits", "digits_batches", "read_digits"]

Split: TypeAlias = Literal["train", "test", "all"]
Order: TypeAlias = Literal["shuffled", "as_is", "by_label"]

_TEST_SAMPLES = 450
_WHITE = 16.0


class Digits(NamedTuple):
    """Pictures, what they show, and which they are.

    Attributes:
        images: `(N, 1, 8, 8)` float32, 0 for paper and 1 for ink.
        labels: `(N,)` int64, 0 to 9.
        ids: `digits:` and the position in the original data set, one a picture.
    """

    images: "Tensor"
    labels: "Tensor"
    ids: list[str]


def read_digits(split: Split = "test", order: Order = "shuffled") -> Digits:
    """Read one part of the digits in one order.

    Args:
        split: `test` is a quarter, `train` the rest, always the same pictures; or `all`.
        order: `shuffled` is one fixed permutation; `as_is` the data set's own order; `by_label`
            sorted by digit, which shows what sorted data does to a comparison.

    Returns:
        The digits.

    Raises:
        HooksimError: scikit-learn is not installed.

    Example:
        >>> digits = read_digits("test")
        >>> digits.images.shape, digits.ids[:2]
        (torch.Size([450, 1, 8, 8]), ['digits:...', 'digits:...'])
    """
    import numpy as np
    import torch

    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise HooksimError(
            "the digits come with scikit-learn, which is not installed: pip install 'hooksim[demo]'"
        ) from error
    images, labels = load_digits(return_X_y=True)
    shuffled = np.random.default_rng(0).permutation(len(labels))
    cut = len(labels) - _TEST_SAMPLES
    chosen = {"train": shuffled[:cut], "test": shuffled[cut:], "all": shuffled}[split]
    if order != "shuffled":
        chosen = np.sort(chosen)
    if order == "by_label":
        chosen = chosen[np.argsort(labels[chosen], kind="stable")]
    pictures = torch.tensor(images[chosen] / _WHITE, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return Digits(pictures, torch.tensor(labels[chosen]), [f"digits:{index}" for index in chosen])


def digits_batches(
    _models: ModelSpecs,
    /,
    *,
    split: Split = "test",
    order: Order = "shuffled",
    batch_size: BatchSize = 128,
) -> Batches:
    """Batches of digits: `pixel_values` and sample ids.

    Args:
        split: As for `read_digits`.
        order: As for `read_digits`.
        batch_size: Pictures in a batch.

    Returns:
        A loader of mappings.

    Raises:
        HooksimError: scikit-learn is not installed.
    """
    digits = read_digits(split, order)

    def make(samples: range) -> dict[str, Any]:
        part = slice(samples.start, samples.stop)
        return {"pixel_values": digits.images[part], "sample_ids": digits.ids[part]}

    return Batches(len(digits.ids), batch_size, make)
