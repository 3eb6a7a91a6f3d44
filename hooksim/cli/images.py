"""A folder of pictures, made ready by the image processor of each model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hooksim.capture.batches import PairedBatch, batch_size, describe
from hooksim.cli.batching import Batches, BatchSize, ModelSpecs
from hooksim.cli.pictures import Pictures, find_pictures, read_picture, uses_few_bits
from hooksim.cli.preparation import Preparation, load_pair
from hooksim.cli.schema import KindOf, LocalPath
from hooksim.errors import ConfigError, Note
from hooksim.loading import PROCESSOR_KINDS, load_processor
from hooksim.loading.wording import count, first_line, listed, shown

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageBatches", "image_batches"]

ProcessorSpec = Annotated[dict[str, Any], KindOf(PROCESSOR_KINDS), LocalPath]


def image_batches(
    models: ModelSpecs,
    /,
    *,
    path: str,
    order: Literal["shuffled", "as_is"] = "shuffled",
    batch_size: BatchSize = 32,
    processor_a: ProcessorSpec | None = None,
    processor_b: ProcessorSpec | None = None,
) -> "ImageBatches":
    """Batches of pictures.

    Args:
        models: Specs of the models, whose checkpoints hold the image processors.
        path: A folder; the pictures of the folders in it are taken too, and their paths in it
            are the sample ids.
        order: `shuffled` is one fixed permutation: a folder for each class would be sorted
            samples, and the first of them no fair choice; `as_is` is natural order.
        batch_size: Pictures in a batch.
        processor_a: Spec of model A's image processor, where its checkpoint holds none. A factory
            returns an image processor of transformers, or a function that makes a tensor or a
            mapping of a list of Pillow's pictures.
        processor_b: The same for model B.

    Returns:
        A loader of mappings, or of `PairedBatch` where the processors differ.

    Raises:
        ConfigError: No such folder, no pictures, a file that is none, or no image processor.
    """
    pictures = find_pictures(path)
    if order == "shuffled":
        import numpy as np

        places = np.random.default_rng(0).permutation(len(pictures.ids))
        pictures = pictures._replace(ids=[pictures.ids[place] for place in places])
    processors = load_pair(_PROCESSORS, models, processor_a, processor_b)
    return ImageBatches(pictures, batch_size, *processors)


class ImageBatches(Batches):
    """A loader over pictures.

    Args:
        pictures: The folder and the ids.
        batch_size: Pictures in a batch.
        processor_a: Image processor of model A, and of both where the other is None.
        processor_b: Image processor of model B where it differs.

    State: `dark_ids`, the ids of pictures of 16 bits that use 12 or fewer, as they are read.
    """

    def __init__(
        self, pictures: Pictures, batch_size: int, processor_a: Any, processor_b: Any = None
    ) -> None:
        super().__init__(len(pictures.ids), batch_size, self._batch)
        self.pictures = pictures
        self.processor_a = processor_a
        self.processor_b = processor_b
        self.dark_ids: set[str] = set()

    def _batch(self, samples: range) -> Any:
        ids = self.pictures.ids[samples.start : samples.stop]
        pictures = [read_picture(self.pictures.folder, name) for name in ids]
        self.dark_ids |= {
            name
            for name, picture in zip(ids, pictures, strict=True)
            if name in self.pictures.deep and uses_few_bits(picture)
        }
        first = _processed("processor_a", self.processor_a, pictures, ids)
        if self.processor_b is not None:
            second = _processed("processor_b", self.processor_b, pictures, ids)
            return PairedBatch(first, second, ids)
        if isinstance(first, Mapping):
            return {**first, "sample_ids": ids}
        return PairedBatch(first, first, ids)

    def notes(self) -> list[Note]:
        """Say which files were not read, of which only a part, and which came out almost black."""
        if not self.dark_ids:
            return self.pictures.notes
        some = f"{count(self.dark_ids, 'picture')} of 16 bits ({listed(sorted(self.dark_ids))})"
        text = (
            f"data: {some} came out almost black: no value uses more than 12 of the bits. Scale "
            "the values to 16 bits (12-bit ones times 16)."
        )
        return [*self.pictures.notes, Note("dark_pictures", text)]


def _processed(key: str, processor: Any, pictures: list["Image"], ids: list[str]) -> Any:
    """What a model is called with; a processor with the mean of one channel gets grey pictures."""
    grey = len(getattr(processor, "image_mean", None) or ()) == 1
    options = {"return_tensors": "pt"} if hasattr(processor, "to_dict") else {}
    try:
        inputs = processor([each.convert("L") if grey else each for each in pictures], **options)
    except ValueError as error:
        sizes = {picture.size: name for name, picture in zip(ids, pictures, strict=True)}
        some = shown(f"{name!r} {wide} x {high}" for (wide, high), name in sizes.items())
        wrong = f"it makes no batch of these pictures ({some}): {first_line(error)}"
        raise ConfigError(f"data.{key}: {wrong}") from error
    made = batch_size(inputs)
    if made != len(ids):
        raise ConfigError(
            f"data.{key}: it makes {made} samples of {len(ids)} pictures ({describe(inputs)}); "
            "expected one of each"
        )
    return dict(inputs) if isinstance(inputs, Mapping) else inputs


def _equal(first: Any, second: Any) -> bool:
    """Whether two image processors give the same numbers for every picture."""
    try:
        return bool(first.to_dict() == second.to_dict())
    except AttributeError:  # not of transformers: cannot be told apart
        return False


_PROCESSORS = Preparation("processor", "image processor", "pixel_values", load_processor, _equal)
