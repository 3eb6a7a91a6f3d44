"""One run over sides and pairs of sides: from a loader to filled accumulators."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal

from hooksim.accumulators.base import Accumulator, SideNames, accumulate
from hooksim.blocks.block import Block
from hooksim.blocks.blocker import Blocker, BlockSize
from hooksim.capture.alignment import matched_by
from hooksim.capture.side import Reader
from hooksim.capture.slices import Slice
from hooksim.capture.stream import stream
from hooksim.errors import LayerNotFoundError, Note
from hooksim.run.gatherer import Gatherer

__all__ = ["Run"]

_BUDGET = 2 << 30  # bytes that rows, and as many that Gram matrices, may take in memory
_MATCHES = ("sample_ids", "inputs", "counts")  # from the strongest to the weakest


class Run:
    """Drives batches through readers, rows into blocks, and blocks into accumulators.

    State: the accumulators, the blocker's tail of rows, and the counts below.

    Args:
        readers: What gives the rows; the sides that they serve, one after the other.
        accumulators: What to fill.
        block_size: Rows to a block, `"batch"`, `"auto"`, or `"all"`.
        minimum: The fewest rows that a block may have.
        needs: What asks for that many, for the error.
        speaking: The accumulators whose notes are warnings; None for all.
        common_layers: Keep only layers that every side has, by name.
        memory_budget: Bytes that the rows of one block of every sample may take in memory, and as
            many for the Gram matrices of any block; beyond, rows go to temporary files and Gram
            matrices are made strip by strip. None for 2 GiB.

    Attributes:
        n_samples: Loader items seen.
        n_rows: Rows seen; more than samples where these are tokens.
        blocks: The sizes of the blocks so far.
        matched_by: How the samples of the sides were found to be the same: the least that held
            for every batch, of `sample_ids`, `inputs` and `counts`.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        accumulators: Sequence[Accumulator],
        block_size: BlockSize | Literal["all"],
        minimum: int,
        needs: str,
        *,
        speaking: Sequence[Accumulator] | None = None,
        common_layers: bool = False,
        memory_budget: int | None = None,
    ) -> None:
        self.n_samples = 0
        self.n_rows = 0
        self.blocks: list[int] = []
        self.matched_by = _MATCHES[0]
        self._readers = list(readers)
        self._accumulators = list(accumulators)
        self._speaking = self._accumulators if speaking is None else list(speaking)
        self._minimum = minimum
        self._common_layers = common_layers
        self._ahead = block_size in ("batch", "auto")  # where a small last batch may be joined
        budget = _BUDGET if memory_budget is None else memory_budget
        dtype = max(
            (accumulator.gram_dtype for accumulator in accumulators), key=lambda kind: kind.itemsize
        )
        blocker = partial(
            Blocker,
            dtype=dtype,
            minimum=minimum,
            needs=needs,
            with_rows=any(accumulator.needs_rows for accumulator in accumulators),
            gram_budget=budget,
        )
        self._blocker = (
            Gatherer(self._readers, blocker, budget) if block_size == "all" else blocker(block_size)
        )

    def execute(
        self,
        loader: Iterable[Any],
        *,
        max_samples: int | None = None,
        on_batch: Callable[[int], None] | None = None,
        on_rows: Callable[[int, int], None] | None = None,
    ) -> None:
        """Read the loader once, to its end.

        Args:
            loader: Any iterable of batches.
            max_samples: Loader items to read; None for all.
            on_batch: Called after each batch with its number of items.
            on_rows: Called with the rows of a block that are taken, and with all it has.

        Raises:
            HooksimError: Whatever the parts refuse; models and hooks are as before then too.
        """
        with ExitStack() as stack:
            for reader in self._readers:
                stack.enter_context(reader)
            batches = stream(
                self._readers,
                loader,
                self._blocker.reducer,
                max_samples=max_samples,
                smallest=max(4, self._minimum),
                ahead=self._ahead,
            )
            for slices in batches:
                self._note_match(slices)
                self._take(self._blocker.push(self._compared(slices)), on_rows)
                self.n_samples += slices[0].items
                self.n_rows += slices[0].n
                if on_batch is not None:
                    on_batch(slices[0].items)
                del slices  # or its Gram matrices would stay while the next batch makes its own
            if max_samples is None or self.n_samples < max_samples:
                for reader in self._readers:
                    reader.finish(self.n_samples)
        self._take(self._blocker.close(), on_rows)

    @property
    def names(self) -> list[SideNames]:
        """What messages call the sides and their layers; complete after the first batch."""
        return [
            SideNames(title, reader.names(view))
            for reader in self._readers
            for view, title in enumerate(reader.titles)
        ]

    @property
    def warnings(self) -> list[Note]:
        """What should make a user doubt the values."""
        found = [note for reader in self._readers for note in reader.warnings]
        found += self._blocker.notes
        for accumulator in self._speaking:
            found += accumulator.notes(self.names)
        return list(dict.fromkeys(found))

    @property
    def notes(self) -> list[Note]:
        """What the readers left out or chose."""
        return list(dict.fromkeys(note for reader in self._readers for note in reader.notes))

    def _note_match(self, slices: Sequence[Slice]) -> None:
        """Remember the weakest proof that all sides have seen the same samples."""
        found = [self.matched_by, *(matched_by(slices[0], other) for other in slices[1:])]
        self.matched_by = max(found, key=_MATCHES.index)

    def _take(self, blocks: Iterator[Block], on_rows: Callable[[int, int], None] | None) -> None:
        for block in blocks:
            accumulate(self._accumulators, block, self.names, on_rows)
            self.blocks.append(block.n)

    def _compared(self, slices: list[Slice]) -> list[Slice]:
        """The slices with only the layers that are compared; after the first, they come so."""
        if self.n_samples or not self._common_layers:
            return slices
        sides = self.names
        shared = _shared_names(sides)
        for reader in self._readers:
            for view in range(len(reader.titles)):
                reader.keep(view, shared)
        return [
            each._replace(values=[each.values[side.layers.index(name)] for name in shared])
            for each, side in zip(slices, sides, strict=True)
        ]


def _shared_names(sides: Sequence[SideNames]) -> list[str]:
    """The layers that every side has, by name, in the order of the first."""
    shared = [name for name in sides[0].layers if all(name in side.layers for side in sides)]
    if not shared:
        examples = " and ".join(f"{side.layers[0]!r} of {side.title}" for side in sides)
        raise LayerNotFoundError(
            f"pairs='same_name': no layer has the same name on both sides, for example "
            f"{examples}. Use pairs='all'."
        )
    return shared
