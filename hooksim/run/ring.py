"""The rows of one block dealt out to processes, whose kernel matrices they make together."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from tempfile import TemporaryFile
from typing import Any

import torch
from torch import Tensor

from hooksim.blocks.grams import LayerGram, layer_gram
from hooksim.blocks.slabs import kernel_between
from hooksim.distributed import Processes
from hooksim.recording.held_rows import temporary_rows
from hooksim.recording.row_files import map_open_file
from hooksim.run.layout import RowLayout

__all__ = ["Ring"]


class Ring:
    """Each process makes the rows of the kernel matrices that stand for its own share of rows.

    For that the shares are passed round, layer by layer, so that a process holds its own and one
    more. Process 0 asks for slabs and receives them in order; the others `serve`.

    State: the share of this process.

    Args:
        processes: All of them.
        layout: Who has which rows.
        rows: For each stored layer those that this process has had, in its own order.
        device: Where kernel matrices are made.
        budget: Bytes of the share to hold in memory; a larger one is in temporary files.
    """

    def __init__(
        self,
        processes: Processes,
        layout: RowLayout,
        rows: Sequence[Tensor],
        device: torch.device,
        budget: int,
    ) -> None:
        self._processes = processes
        self._layout = layout
        self._device = device
        self._places = [layout.places(rank) for rank in range(layout.size)]
        own = len(self._places[processes.rank])
        size = own * sum(layer.shape[1] * layer.itemsize for layer in rows)
        make = _in_file if size > budget else torch.empty
        self._share = [self._dealt(layer, make) for layer in rows]
        self._grams: list[LayerGram] = []

    def grams(self, dtype: torch.dtype, groups: Tensor | None) -> list[LayerGram]:
        """What a block keeps of each layer, without rows; process 0 sees one layer at a time.

        Args:
            dtype: Of the kernel matrices.
            groups: `(n,)` sequence of each row; None where each row is a sample.
        """
        for layer in range(len(self._share)):
            made = None
            rows = self._collected(layer, range(self._layout.n), 0)
            if rows is not None:
                rows = rows.to(self._device)
                made = layer_gram(rows, groups, dtype=dtype, with_kernel=False)
                made = made._replace(rows=None).to(torch.device("cpu"))
            self._processes.exchange(None)  # before what comes, hear whether it comes
            self._grams.append(self._processes.broadcast(made).to(self._device))
        return self._grams

    def whole_grams(
        self, dtype: torch.dtype, groups: Tensor | None, is_exact: bool
    ) -> list[LayerGram]:
        """The same with whole Gram matrices in process 0, each made by one of the processes.

        Args:
            dtype: Of the kernel matrices.
            groups: `(n,)` sequence of each row; None where each row is a sample.
            is_exact: Whether the block will be; else slabs may be asked for all the same, in
                float64.
        """
        rank, size, n = self._processes.rank, self._layout.size, self._layout.n
        count = len(self._share)
        grams: list[LayerGram] = []
        kernels = torch.empty((0 if rank else count, n, n), dtype=dtype, device=self._device)
        for first in range(0, count, size):
            layers = range(first, min(first + size, count))
            rows = [self._collected(each, range(n), each - first) for each in layers]
            made = None
            if first + rank < count:
                out = None if rank else kernels[first]
                made = self._made(rows[rank], groups, dtype, out, with_rows=not is_exact)
            told = self._processes.exchange(None if made is None else _without_matrix(made))
            for maker, layer in enumerate(layers):
                known = _known(told[maker]).to(self._device)
                self._grams.append(known if is_exact else known.exact())
                if rank == 0:
                    if maker:
                        kernels[layer] = self._received_matrix(kernels[layer], maker)
                    grams.append(_with_matrix(known, kernels[layer]))
                elif maker == rank and made is not None and made.kernel is not None:
                    self._processes.pass_on(made.kernel.cpu(), 0)
        return grams

    def slabs(self, layers: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """The kernel matrices of some layers, from the first row to the last; for process 0.

        Args:
            layers: Stored layers.

        Yields:
            Place of the first row, and rows of the matrices, `(layers, m, n)`.
        """
        self._processes.exchange(("slabs", list(layers)))
        for turn in range(self._layout.turns):
            self._processes.exchange(None)
            slab, failure = self._slab(layers, turn)
            waiting = [rank for rank in range(1, self._layout.size) if self._unit(rank, turn)]
            try:
                if failure is not None:
                    raise failure
                yield self._unit(0, turn).start, slab
                while waiting:
                    rank = waiting.pop(0)
                    yield self._unit(rank, turn).start, self._received(rank, turn, slab)
            finally:
                for rank in waiting:  # who sends must not wait for ever
                    self._received(rank, turn, slab)

    def some(self, layer: int, places: Sequence[int]) -> Tensor:
        """Some rows of a layer, in the order of their places; for process 0.

        Args:
            layer: A stored layer.
            places: Of the rows in the block, ascending.
        """
        self._processes.exchange(("some", layer, list(places)))
        found = self._collected(layer, places, 0)
        if found is None:
            raise ValueError("process 0 alone collects rows.")
        return found.to(self._device)

    def end(self) -> None:
        """Let the other processes go; for process 0."""
        self._processes.exchange(("end",))

    def serve(self) -> None:
        """Do what process 0 asks for, until it needs no more; for the others."""
        while True:
            asked: Any = self._processes.exchange(None)[0]
            if asked[0] == "end":
                return
            if asked[0] == "some":
                self._collected(asked[1], asked[2], 0)
                continue
            for turn in range(self._layout.turns):
                self._processes.exchange(None)
                slab, failure = self._slab(asked[1], turn)
                self._processes.pass_on(slab.cpu(), 0)
                if failure is not None:
                    raise failure

    def _unit(self, rank: int, turn: int) -> range:
        return self._layout.units(rank, turn)

    def _dealt(self, rows: Tensor, make: Callable[..., Tensor]) -> Tensor:
        """The share of one layer, its rows in the order of the block."""
        rank, size = self._processes.rank, self._layout.size
        places = self._places[rank]
        share = make(len(places), rows.shape[1], dtype=rows.dtype)
        for step in range(size):
            to, source = (rank + step) % size, (rank - step) % size
            given = rows[self._layout.moved(rank, to)]
            came = self._layout.moved(source, rank)
            into = given if source == rank else rows.new_empty(len(came), rows.shape[1])
            if step:
                self._processes.pass_on(given, to, into, source)
            share[torch.searchsorted(places, self._layout.came(source)[came])] = into
        return share

    def _collected(self, layer: int, places: Sequence[int], to: int) -> Tensor | None:
        """Rows of one layer in one of the processes; None in the others, which send theirs."""
        share = self._share[layer]
        wanted = torch.tensor(places, dtype=torch.int64)
        owners = wanted // self._layout.unit % self._layout.size
        rank = self._processes.rank
        own = share[torch.searchsorted(self._places[rank], wanted[owners == rank])]
        if rank != to:
            self._processes.pass_on(own, to)
            return None
        found = share.new_empty(len(wanted), share.shape[1])
        found[owners == rank] = own
        for source in range(self._layout.size):
            if source != rank:
                into = share.new_empty(int((owners == source).sum()), share.shape[1])
                self._processes.take_in(into, source)
                found[owners == source] = into
        return found

    def _slab(self, layers: Sequence[int], turn: int) -> tuple[Tensor, Exception | None]:
        """The kernel rows of this process's next unit, and why they could not be made."""
        unit = self._unit(self._processes.rank, turn)
        n, dtype = self._layout.n, self._grams[0].norms.dtype
        slab = torch.empty((len(layers), len(unit), n), dtype=dtype, device=self._device)
        failure: Exception | None = None
        for layer, out in zip(layers, slab, strict=True):
            own = self._share[layer]
            rows = own[turn * self._layout.unit :][: len(unit)].to(self._device)
            for holder, others in self._round(layer):
                try:
                    if len(unit) and failure is None:
                        self._fill(layer, rows, others, holder, out)
                except Exception as error:  # the others wait for what is passed on
                    failure = error
        return slab, failure

    def _fill(self, layer: int, rows: Tensor, others: Tensor, holder: int, out: Tensor) -> None:
        part = out.new_empty(len(rows), len(others))
        kernel_between(self._grams[layer], rows, others.to(self._device), part)
        out.index_copy_(1, self._places[holder].to(self._device), part)

    def _round(self, layer: int) -> Iterator[tuple[int, Tensor]]:
        """The shares of all processes, passed round: this one's own first."""
        rank, size = self._processes.rank, self._layout.size
        holder, share = rank, self._share[layer]
        for step in range(size):
            yield holder, share
            if step < size - 1:
                holder = (holder - 1) % size
                into = share.new_empty(len(self._places[holder]), share.shape[1])
                self._processes.pass_on(share, (rank + 1) % size, into, (rank - 1) % size)
                share = into

    def _made(
        self,
        rows: Tensor | None,
        groups: Tensor | None,
        dtype: torch.dtype,
        out: Tensor | None,
        with_rows: bool,
    ) -> LayerGram:
        if rows is None:
            raise ValueError("the rows were collected by another process.")
        rows = rows.to(self._device)
        return layer_gram(rows, groups, dtype=dtype, out=out, with_rows=with_rows)

    def _received_matrix(self, like: Tensor, maker: int) -> Tensor:
        into = torch.empty(like.shape, dtype=like.dtype)
        self._processes.take_in(into, maker)
        return into

    def _received(self, rank: int, turn: int, like: Tensor) -> Tensor:
        shape = (like.shape[0], len(self._unit(rank, turn)), like.shape[2])
        into = torch.empty(shape, dtype=like.dtype)
        self._processes.take_in(into, rank)
        return into.to(like.device)


def _without_matrix(layer: LayerGram) -> LayerGram:
    """What is told of a layer: on the CPU, without its rows and its matrix."""
    few = layer._replace(kernel=None, rows=None, norms=layer.norms.clone())
    return few.to(torch.device("cpu"))


def _known(told: LayerGram | None) -> LayerGram:
    if told is None:
        raise ValueError("no process has made this layer.")
    return told


def _with_matrix(known: LayerGram, kernel: Tensor) -> LayerGram:
    """The same with the matrix, of which the norms are the diagonal, as of one process alone."""
    return known._replace(kernel=kernel, norms=kernel.diagonal())


def _in_file(n: int, width: int, *, dtype: torch.dtype) -> Tensor:
    """Rows in a temporary file without a name.

    Its space is taken at once: a disk that is full when the rows are written would end the process.
    """
    size = n * width * dtype.itemsize
    with TemporaryFile() as file, temporary_rows():
        if sys.platform == "linux" and size:
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return map_open_file(file, dtype, (n, width))
