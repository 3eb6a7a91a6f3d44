"""`compare()`: the front door for two models."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch

from hooksim.capture.calls import Forward
from hooksim.capture.layers import Selectors
from hooksim.comparison.engine import Compared, compare_sides
from hooksim.comparison.keeper import Keeper
from hooksim.comparison.options import (
    BlockSizeArgument,
    MeasuresArgument,
    Options,
    RowsArgument,
)
from hooksim.distributed import Processes, processes_together
from hooksim.results import Comparison
from hooksim.sides import Side, check_side

__all__ = ["compare", "compare_two"]


def compare(
    a: Side,
    b: Side,
    loader: Iterable[Any] | None = None,
    *,
    layers_a: Selectors = None,
    layers_b: Selectors = None,
    measures: MeasuresArgument = ("cka", "information_imbalance"),
    rows: RowsArgument = "auto",
    block_size: BlockSizeArgument = "auto",
    pairs: Literal["all", "same_name"] = "all",
    max_samples: int | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    stop_early: bool = True,
    on_nonfinite: Literal["error", "drop"] = "error",
    memory_budget: int | None = None,
    progress: bool = True,
) -> Comparison:
    """Compare two models layer by layer in one pass over a loader.

    In an initialised `torch.distributed` process group every process must call it, with the same
    models and the same loader. Process r of W then runs the batches r, r + W, r + 2 W, ..., and
    all get the same result; where one fails or ends, all raise an error that says so. A loader
    with a `DistributedSampler`, or prepared by accelerate, is a share already and is run whole; the
    samples that pad it are told by their ids, which it must have, and left out. A model whose
    parameters are sharded over processes is run on every batch by all of them.

    Args:
        a: Model A, or a `Recording` of one, whose layers go down the matrices.
        b: Model B, or a `Recording`, whose layers go across; may be the same object as `a`.
        loader: Batches: tensors, tuples whose first element is the input, mappings, or
            `PairedBatch` where each model takes its own input. Read once; may be a generator.
            None where both sides are recordings. A recording beside a model must be of the same
            samples in the same order.
        layers_a: Names, patterns (`*` one segment, `**` any number), `re:...`, or a list of them;
            None for the model's repeated blocks.
        layers_b: The same for B; None for those of A where all match, else B's repeated blocks.
        measures: Names, measures, or mappings with a name and options.
        rows: How an activation becomes one row a sample: a policy's name, a `Rows`, or a pair of
            them for A and B. A recording has its own already.
        block_size: Samples whose pairwise relations are looked at together; `"batch"` for one
            block a batch; `"all"` for one block of every sample, whose rows are kept until the
            end; `"auto"` for the largest of 2048, 1024, 512, 256 whose rows fit 2 GiB, else one
            block a batch, with a warning.
        pairs: `"same_name"` compares only layers of equal names.
        max_samples: Samples of the loader to read; None for all.
        forward: `(model, batch) -> anything`, for an unusual call; masks are found in mappings.
        device: Where to run; None for where each model's parameters are.
        stop_early: End each forward after the last layer that is read and the last module that has
            somebody else's hook (your own hooks run as ever; so do accelerate's). Never done where
            it is not safe: FSDP, DeepSpeed ZeRO-3, scripted models. A `forward` of your own ends
            there too, as by an exception; give False where it must go on.
        on_nonfinite: `"error"` for activations with NaN or infinity; `"drop"` to leave their
            samples out on both sides, count them in the metadata, and warn. To find them, the rows
            of each batch are looked at before the next one is run.
        memory_budget: Bytes that the rows kept for `"all"` may take in memory, and as many for
            the Gram matrices of any block; None for 2 GiB. Beyond, rows go to temporary files and
            Gram matrices are made strip by strip; the values are the same.
        progress: Show a bar where the error stream is a terminal.

    Returns:
        A `Comparison`: for each measure matrices of values and standard errors, shaped
        `(layers of A, layers of B)`, float64 on the CPU, NaN where a layer does not vary.

    Raises:
        HooksimError: Or one of its children, in one line: what is wrong, where, what to do.

    Example:
        >>> from torch import nn
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> result = compare(model, model, [torch.randn(50, 4) for _ in range(4)], progress=False)
        >>> result["cka"].layers_a, result.n_samples
        (['0', '2'], 200)
        >>> [round(value, 4) for value in result["cka"].values.diagonal().tolist()]
        [1.0, 1.0]

    Source: Kornblith et al. 2019 (CKA); Glielmo et al. 2022 (Information Imbalance).
    """
    options = {
        "layers_a": layers_a,
        "layers_b": layers_b,
        "measures": measures,
        "rows": rows,
        "block_size": block_size,
        "pairs": pairs,
        "max_samples": max_samples,
        "forward": forward,
        "device": device,
        "stop_early": stop_early,
        "on_nonfinite": on_nonfinite,
        "memory_budget": memory_budget,
        "progress": progress,
    }
    with processes_together() as processes:
        return compare_two(a, b, loader, options, processes=processes)


def compare_two(
    a: Side,
    b: Side,
    loader: Iterable[Any] | None,
    options: Mapping[str, Any],
    *,
    processes: Processes | None = None,
    keeper: Keeper | None = None,
) -> Comparison:
    """Compare two models, for those who have the processes together and may save the run.

    Args:
        a: Side A.
        b: Side B.
        loader: Batches.
        options: The keyword arguments of `compare`.
        processes: Those that compare together; None for this one alone.
        keeper: Saves the run while it goes on.

    Returns:
        A `Comparison`.

    Raises:
        HooksimError: As of `compare`.
    """
    check_side("a", a)
    check_side("b", b)
    sides = [Compared(a, "A", "a"), Compared(b, "B", "b")]
    [result] = compare_sides(
        sides, [(0, 1)], loader, Options(**options), processes=processes, keeper=keeper
    )
    return result
