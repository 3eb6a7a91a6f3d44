import pytest

from hooksim.capture.arguments import check_loader, check_on_nonfinite, check_whole
from hooksim.errors import ConfigError


@pytest.mark.parametrize("loader", [[], (), iter([]), range(3)])
def test_what_gives_batches(loader):
    check_loader(loader)


@pytest.mark.parametrize(
    ("loader", "got"),
    [
        (None, "None. Or none."),
        (3, "int."),
        ({"x": 1}, "dict. Put a batch in a list."),
        ("data", "str."),
    ],
)
def test_what_gives_no_batches(loader, got):
    with pytest.raises(ConfigError) as error:
        check_loader(loader, " Or none.")
    assert str(error.value) == f"loader: expected an iterable of batches, got {got}"


@pytest.mark.parametrize("value", [None, 2, 3])
def test_whole_numbers(value):
    check_whole("n", value, "a whole number from 2", 2)


@pytest.mark.parametrize("value", [1, 2.0, "2", True])
def test_no_whole_numbers(value):
    with pytest.raises(ConfigError) as error:
        check_whole("n", value, "a whole number from 2", 2)
    assert str(error.value) == f"n: expected a whole number from 2, got {value!r}."


def test_on_nonfinite():
    check_on_nonfinite("error")
    with pytest.raises(ConfigError, match="on_nonfinite='drop' is not available in this version"):
        check_on_nonfinite("drop")
