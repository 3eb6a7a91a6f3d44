from hooksim.capture.reader import ModelReader, View
from hooksim.capture.side import Reader
from tests.capture.tiny_models import Stack


def test_a_model_reader_has_all_that_the_loop_asks_for():
    reader: Reader = ModelReader(Stack(2), [View("A"), View("B", "blocks.*")])
    asked = {name for name in vars(Reader) if not name.startswith("_")}
    assert asked == {
        "finish",
        "keep",
        "layers",
        "names",
        "notes",
        "read",
        "titles",
        "warnings",
        "whole",
    }
    assert asked <= set(dir(reader))
    assert reader.titles == ["model A (Stack)", "model B (Stack)"]
