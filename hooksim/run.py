"""One run over sides and pairs of sides: from a loader to filled accumulators."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from hooksim.accumulators.base import Accumulator, SideNames, accumulate
from hooksim.blocks.block import Block
from hooksim.blocks.blocker import Blocker, BlockSize
from hooksim.capture.side import Reader
from hooksim.capture.slices import Slice
from hooksim.capture.stream import stream
from hooksim.errors import LayerNotFoundError, Note

__all__ = ["Run"]


class Run:
    """Drives batches through readers, rows into blocks, and blocks into accumulators.

    State: the accumulators, the blocker's tail of rows, and the counts below.

    Args:
        readers: What gives the rows; the sides that they serve, one after the other.
        accumulators: What to fill.
        block_size: Rows to a block, `"batch"` or `"auto"`.
        needs: What asks for the largest smallest block, for the error.
        common_layers: Keep only layers that every side has, by name.

    Attributes:
        n_samples: Loader items seen.
        n_rows: Rows seen; more than samples where these are tokens.
        blocks: The sizes of the blocks so far.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        accumulators: Sequence[Accumulator],
        block_size: BlockSize,
        needs: str,
        *,
        common_layers: bool = False,
    ) -> None:
        self.n_samples = 0
        self.n_rows = 0
        self.blocks: list[int] = []
        self._readers = list(readers)
        self._accumulators = list(accumulators)
        self._minimum = max(accumulator.minimum for accumulator in accumulators)
        dtype = max(
            (accumulator.gram_dtype for accumulator in accumulators), key=lambda kind: kind.itemsize
        )
        self._blocker = Blocker(
            block_size,
            dtype,
            self._minimum,
            needs,
            with_rows=any(accumulator.needs_rows for accumulator in accumulators),
        )
        self._common_layers = common_layers

    def execute(
        self,
        loader: Iterable[Any],
        *,
        max_samples: int | None = None,
        on_batch: Callable[[int], None] | None = None,
    ) -> None:
        """Read the loader once, to its end.

        Args:
            loader: Any iterable of batches.
            max_samples: Loader items to read; None for all.
            on_batch: Called after each batch with its number of items.

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
            )
            for slices in batches:
                self._take(self._blocker.push(self._compared(slices)))
                self.n_samples += slices[0].items
                self.n_rows += slices[0].n
                if on_batch is not None:
                    on_batch(slices[0].items)
                del slices  # or its Gram matrices would stay while the next batch makes its own
        self._take(self._blocker.close())

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
        found = list(self._blocker.notes)
        for accumulator in self._accumulators:
            found += accumulator.notes(self.names)
        return list(dict.fromkeys(found))

    @property
    def notes(self) -> list[Note]:
        """What the readers left out or chose."""
        return list(dict.fromkeys(note for reader in self._readers for note in reader.notes))

    def _take(self, blocks: Iterator[Block]) -> None:
        for block in blocks:
            accumulate(self._accumulators, block, self.names)
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
