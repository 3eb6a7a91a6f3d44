import pytest
import torch

from hooksim.capture.eager import eager
from hooksim.capture.hooks import forward_hooks
from tests.capture.tiny_models import Stack, compiled

fast_path = torch.backends.mha.get_fastpath_enabled


def test_compiled_submodules_run_eagerly():
    model = Stack(2)
    inner = model.blocks[1]
    model.blocks[1] = compiled(inner)
    with torch.no_grad():
        model(torch.ones(3, 4))
    fired = []
    with forward_hooks([(inner.outer, lambda *seen: fired.append(1))]), eager():
        model(torch.ones(3, 4))
    assert fired == [1]


def test_the_fast_path_is_off_inside_and_back_after():
    assert torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(KeyboardInterrupt), eager():
        assert not torch.backends.mha.get_fastpath_enabled()
        raise KeyboardInterrupt
    assert torch.backends.mha.get_fastpath_enabled()


def half_compiled():
    model = Stack(2)
    model.blocks[1] = compiled(model.blocks[1])
    return model


def runs_eagerly():
    """Whether a compiled module would run as it is written."""
    fired = []
    model = half_compiled()
    with torch.no_grad():
        model(torch.ones(3, 4))
        with forward_hooks([(model.blocks[1]._orig_mod.outer, lambda *seen: fired.append(1))]):
            model(torch.ones(3, 4))
    return bool(fired)


def test_contexts_may_nest():
    with eager():
        with eager(), eager():
            assert not fast_path()
        assert not fast_path()
        assert runs_eagerly()
    assert fast_path()
    assert not runs_eagerly()


def test_contexts_may_leave_in_another_order():
    one, two = eager(), eager()
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    assert not fast_path()
    assert runs_eagerly()
    two.__exit__(None, None, None)
    assert fast_path()
    assert not runs_eagerly()


def test_a_fast_path_that_was_off_stays_off():
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with eager():
            pass
        assert not fast_path()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
