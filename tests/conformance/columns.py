"""Every tool of the conformance table through its own front door, and float64 to hold it against.

A tool is imported when it is called, because no environment holds all of them.
"""

import io
import resource
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests import reference
from tests.datasets import CASES

__all__ = [
    "CASES",
    "REFERENCES",
    "TOOLS",
    "Outcome",
    "Tool",
    "dadapy_imbalance",
    "fingerprint",
    "outcome",
    "same_inputs",
]

Values = Sequence[float]
Run = Callable[[Tensor, Tensor], Values]
Outcome = list[float] | str  # a value for each direction, or why there is none

MEMORY = 16 << 30  # bytes that a tool may take: one of them wants 34 GB for a case


# --------------------------------------------------------------------------- the tools of others


class StoredRows(nn.Module):
    """A model of one layer, whose output is the stored rows that the input asks for."""

    rows: Tensor

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.layer = nn.Identity()

    def forward(self, index: Tensor) -> Tensor:
        """The rows of these positions, passed through the layer."""
        output: Tensor = self.layer(self.rows[index])
        return output


def pytorch_cka(x: Tensor, y: Tensor) -> Values:
    """`compute_cka`, all samples in one batch."""
    loader = DataLoader(TensorDataset(torch.arange(len(x))), batch_size=len(x))
    (matrix,) = import_module("cka").compute_cka(
        StoredRows(x), StoredRows(y), loader, layers=["layer"], device="cpu", progress=False
    )
    return [matrix.item()]


def torch_cka(x: Tensor, y: Tensor) -> Values:
    """`CKA(...).compare`, all samples in one batch."""
    loader = DataLoader(TensorDataset(torch.arange(len(x))), batch_size=len(x))
    names = {f"model{i}_layers": ["layer"] for i in (1, 2)}
    comparison = import_module("torch_cka").CKA(StoredRows(x), StoredRows(y), "A", "B", **names)
    comparison.compare(loader, loader)
    return [comparison.export()["CKA"].item()]


def ckatorch(x: Tensor, y: Tensor) -> Values:
    """`CKA(...)(loader)`: it takes `(batch, n, d)` alone, so the batch is one item of n rows."""
    loader = DataLoader(TensorDataset(torch.arange(len(x))[None]), shuffle=True)
    comparison = import_module("ckatorch").CKA(
        StoredRows(x), StoredRows(y), ["layer"], first_name="A", second_name="B"
    )
    return [comparison(loader, epochs=1).item()]


def dadapy_imbalance(x: Tensor, y: Tensor, k: int = 1) -> Values:
    """`return_information_imbalace` (its spelling) with all neighbours, float64 as it asks for."""
    a, b = x.double().numpy(), y.double().numpy()
    data = import_module("dadapy").MetricComparisons(coordinates=a, maxk=len(a) - 1, n_jobs=1)
    return [float(estimate[0]) for estimate in data.return_information_imbalace(b, k=k)]


# --------------------------------------------------------------------- hooksim, and what it shares


def tensordict_module(package: str, name: str, *keys: str) -> Run:
    """A TensorDict module with its own defaults."""

    def run(x: Tensor, y: Tensor) -> Values:
        data = import_module("tensordict").TensorDict({"data_a": x, "data_b": y})
        result = getattr(import_module(package), name)()(data)
        return [result[key].item() for key in keys]

    return run


def function(name: str) -> Run:
    """A function of `hooksim.functional`."""

    def run(x: Tensor, y: Tensor) -> Values:
        values = getattr(import_module("hooksim").functional, name)(x, y)
        return [value.item() for value in (values if isinstance(values, tuple) else (values,))]

    return run


def two_blocks(x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The samples in two halves, one after the other."""
    return list(zip(x.chunk(2), y.chunk(2), strict=True))


def accumulator(name: str) -> Run:
    """An accumulator of hooksim's engine, fed two blocks."""

    def run(x: Tensor, y: Tensor) -> Values:
        sums = getattr(import_module("hooksim"), name)()
        for rows_a, rows_b in two_blocks(x, y):
            sums.update([rows_a], [rows_b])
        estimates = sums.compute()
        directions = (estimates,) if hasattr(estimates, "values") else estimates
        return [estimate.values.item() for estimate in directions]

    return run


def comparison(block_size: str, *keys: str) -> Run:
    """`hooksim.compare` of two models that give the rows, in two batches."""

    def run(x: Tensor, y: Tensor) -> Values:
        result = import_module("hooksim").compare(
            StoredRows(x),
            StoredRows(y),
            torch.arange(len(x)).chunk(2),
            layers_a="layer",
            measures=["cka" if "cka" in keys else "information_imbalance"],
            block_size=block_size,
            progress=False,
        )
        return [result[key].values.item() for key in keys]

    return run


# ------------------------------------------------------------------------------------ the columns


@dataclass(frozen=True)
class Tool:
    """A column of the table.

    Attributes:
        name: As the table and the command line write it.
        call: What is called.
        quantity: Key of REFERENCES: what the call claims to compute.
        run: Rows of both sides to a value, or one for each direction.
        module: What it imports.
        distribution: What the package index calls it.
    """

    name: str
    call: str
    quantity: str
    run: Run
    module: str
    distribution: str = "hooksim"

    @property
    def ours(self) -> bool:
        """Whether it is hooksim's, measured anew whenever the table is made."""
        return self.distribution == "hooksim"

    @property
    def installed(self) -> bool:
        """Whether this environment has it."""
        return find_spec(self.module) is not None


REFERENCES: dict[str, Run] = {
    "debiased CKA": lambda x, y: [reference.cka(x, y)],
    "biased CKA": lambda x, y: [reference.cka(x, y, debiased=False)],
    "debiased CKA of two blocks": lambda x, y: [reference.block_cka(two_blocks(x, y)).value],
    "imbalance": lambda x, y: reference.information_imbalance(x, y),
    "imbalance of two blocks": lambda x, y: [
        each.value for each in reference.block_information_imbalance(two_blocks(x, y))
    ],
}
"""What a tool may claim to compute, by its definition in float64."""

CKA, BOTH = "CkaEstimator", "InformationImbalanceEstimator"
KEYS = ("information_imbalance_a_to_b", "information_imbalance_b_to_a")
TDHOOK = "tdhook.latent.representation_similarity"

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("pytorch-cka", "compute_cka", "debiased CKA", pytorch_cka, "cka", "pytorch-cka"),
        Tool("torch_cka", "CKA.compare", "debiased CKA", torch_cka, "torch_cka", "torch_cka"),
        Tool("ckatorch", "CKA", "debiased CKA", ckatorch, "ckatorch", "ckatorch"),
        Tool(
            "tdhook-cka",
            CKA,
            "biased CKA",
            tensordict_module(TDHOOK, CKA, "cka"),
            "tdhook",
            "tdhook",
        ),
        Tool("hooksim-cka", "functional.cka", "debiased CKA", function("cka"), "hooksim"),
        Tool(
            "hooksim-cka-blocks",
            "GramAccumulator",
            "debiased CKA of two blocks",
            accumulator("GramAccumulator"),
            "hooksim",
        ),
        Tool(
            "hooksim-cka-batch",
            "compare(block_size='batch')",
            "debiased CKA of two blocks",
            comparison("batch", "cka"),
            "hooksim",
        ),
        Tool(
            "hooksim-cka-all",
            "compare(block_size='all')",
            "debiased CKA",
            comparison("all", "cka"),
            "hooksim",
        ),
        Tool(
            "hooksim-cka-estimator",
            CKA,
            "biased CKA",
            tensordict_module("hooksim", CKA, "cka"),
            "hooksim",
        ),
        Tool(
            "dadapy",
            "return_information_imbalace",
            "imbalance",
            dadapy_imbalance,
            "dadapy",
            "dadapy",
        ),
        Tool(
            "tdhook-imbalance",
            BOTH,
            "imbalance",
            tensordict_module(TDHOOK, BOTH, *KEYS),
            "tdhook",
            "tdhook",
        ),
        Tool(
            "hooksim-imbalance",
            "functional.information_imbalance",
            "imbalance",
            function("information_imbalance"),
            "hooksim",
        ),
        Tool(
            "hooksim-imbalance-blocks",
            "RankAccumulator",
            "imbalance of two blocks",
            accumulator("RankAccumulator"),
            "hooksim",
        ),
        Tool(
            "hooksim-imbalance-batch",
            "compare(block_size='batch')",
            "imbalance of two blocks",
            comparison("batch", *KEYS),
            "hooksim",
        ),
        Tool(
            "hooksim-imbalance-all",
            "compare(block_size='all')",
            "imbalance",
            comparison("all", *KEYS),
            "hooksim",
        ),
        Tool(
            "hooksim-imbalance-estimator",
            BOTH,
            "imbalance",
            tensordict_module("hooksim", BOTH, *KEYS),
            "hooksim",
        ),
    )
}


# ------------------------------------------------------------------------------ taking the values


@contextmanager
def limited_memory() -> Iterator[None]:
    """Let a large allocation fail at once, before the machine runs out of memory; on Linux only."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    allowed = before[1] if before[1] != resource.RLIM_INFINITY else MEMORY
    if sys.platform == "linux" and allowed >= MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def outcome(tool: Tool, x: Tensor, y: Tensor) -> Outcome:
    """The values of a tool, or the first line of its error, without progress bars and warnings."""
    limit = nullcontext() if tool.ours else limited_memory()
    try:
        with limit, redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [float(value) for value in tool.run(x, y)]
    except ImportError:  # a broken environment says nothing about the tool
        raise
    except Exception as error:  # whatever it is, it is what a user would meet
        return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]


def fingerprint(tensor: Tensor) -> dict[str, Any]:
    """What tells the rows of a case apart from others: a hash of the bits, and 8 of the entries."""
    flat = tensor.contiguous().flatten()
    entries = flat[torch.linspace(0, len(flat) - 1, 8).long()].double()
    digest = sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()
    return {"shape": list(tensor.shape), "sha256": digest, "entries": entries.tolist()}


def same_inputs(tensor: Tensor, stored: dict[str, Any]) -> bool:
    """Whether rows are the stored ones: bit for bit, or up to the rounding of another processor."""
    ours = fingerprint(tensor)
    if ours["sha256"] == stored["sha256"]:
        return True
    found, wanted = (torch.tensor(each["entries"]).double() for each in (ours, stored))
    if ours["shape"] != stored["shape"]:
        return False
    rounding = 4 * torch.finfo(tensor.dtype).eps
    return torch.allclose(found, wanted, rtol=rounding, atol=1e-5 * wanted.abs().max().item())
