"""Heatmaps for the loggers of a training run that take figures."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from hooksim.results import Comparison

__all__ = ["show_heatmaps"]

_Show: TypeAlias = Callable[[str, Any, int], object]


def show_heatmaps(sinks: Iterable[Any], results: Mapping[str, Comparison], step: int) -> None:
    """Draw results for whatever takes figures; where nothing does, nothing is drawn.

    Args:
        sinks: A SummaryWriter of TensorBoard, a logger of Lightning with `log_image`, the module
            `wandb`, or anything else, which is passed over.
        results: By the names of their references, which name the figures.
        step: Of the training.
    """
    showing = [show for show in map(_way, sinks) if show is not None]
    if not showing:
        return
    for name, result in results.items():
        figure, _ = result.plot()
        for show in showing:
            show(f"hooksim/{name}", figure, step)


def _way(sink: Any) -> _Show | None:
    """How a sink is given a figure."""
    if hasattr(sink, "add_figure"):
        return lambda tag, figure, step: sink.add_figure(tag, figure, step, close=False)
    if hasattr(sink, "log_image"):
        return lambda tag, figure, step: sink.log_image(tag, [figure], step=step)
    if hasattr(sink, "Image") and hasattr(sink, "log"):
        return lambda tag, figure, step: sink.log(
            {tag: sink.Image(figure), "train/global_step": step}
        )
    return None
