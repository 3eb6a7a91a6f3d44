from concurrent.futures import ThreadPoolExecutor

import pytest
from torch import nn

from hooksim.capture.holding import held
from hooksim.errors import HooksimError
from tests.capture.tiny_models import Stack


def hold(model):
    with held(model, "model A (Stack)"):
        pass


def in_another_thread(function, *arguments):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result(timeout=60)


def test_one_thread_may_hold_a_model_twice():
    model = Stack(2)
    with held(model, "A"), held(model, "B"):
        hold(model)


@pytest.mark.parametrize(
    "part", [lambda model: model, lambda model: model.blocks[0], nn.Sequential]
)
def test_another_thread_may_not(part):
    model = Stack(2)
    with held(model, "B"), pytest.raises(HooksimError) as error:
        in_another_thread(hold, part(model))
    assert str(error.value) == (
        "model A (Stack) is being read in another thread. Compare one after the other, or give "
        "each thread a model of its own, such as copy.deepcopy(model)."
    )
    in_another_thread(hold, part(model))


def test_other_models_are_free():
    with held(Stack(2), "A"):
        in_another_thread(hold, Stack(2))


def test_let_go_of_whatever_happens():
    model = Stack(1)
    with pytest.raises(KeyboardInterrupt), held(model, "A"):
        raise KeyboardInterrupt
    in_another_thread(hold, model)
