from types import SimpleNamespace

from hooksim.callbacks.figures import show_heatmaps


class Drawn:
    """Stands for a comparison, and counts how often it is drawn."""

    def __init__(self) -> None:
        self.count = 0

    def plot(self):
        self.count += 1
        return "figure", []


def test_each_in_its_own_way():
    got: list = []
    sinks = [
        SimpleNamespace(add_figure=lambda *args, **options: got.append((args, options))),
        SimpleNamespace(log_image=lambda *args, **options: got.append((args, options))),
        SimpleNamespace(Image=lambda figure: [figure], log=got.append),
        SimpleNamespace(log=got.append),
        None,
    ]
    drawn = Drawn()
    show_heatmaps(sinks, {"initial": drawn}, 7)
    assert drawn.count == 1
    assert got == [
        (("hooksim/initial", "figure", 7), {"close": False}),
        (("hooksim/initial", ["figure"]), {"step": 7}),
        {"hooksim/initial": ["figure"], "train/global_step": 7},
    ]


def test_nothing_is_drawn_for_nobody():
    drawn = Drawn()
    show_heatmaps([None, SimpleNamespace(log_metrics=print)], {"initial": drawn}, 7)
    assert drawn.count == 0
