"""Memory that is written to again, by one user at a time."""

import pytest
import torch

from hooksim.blocks.memory import KernelMemory

CPU = torch.device("cpu")


def test_it_is_taken_again_where_it_is_enough():
    memory = KernelMemory()
    first = memory.take((4, 5), torch.float32, CPU)
    assert memory.take((3, 6), torch.float32, CPU).data_ptr() == first.data_ptr()
    assert memory.take((3, 6), torch.float64, CPU).dtype == torch.float64
    assert memory.take((5, 5), torch.float64, CPU).shape == (5, 5)


def test_nobody_else_gets_what_is_lent():
    memory = KernelMemory()
    with memory.lent((4, 4), torch.float32, CPU) as outer:
        with memory.lent((4, 4), torch.float32, CPU) as inner:
            assert inner.data_ptr() != outer.data_ptr()
        assert memory.take((4, 4), torch.float32, CPU).data_ptr() != outer.data_ptr()
    assert memory.take((4, 4), torch.float32, CPU).data_ptr() == outer.data_ptr()


def test_it_comes_back_after_an_error():
    memory = KernelMemory()
    with pytest.raises(KeyError), memory.lent((4,), torch.float32, CPU) as lent:
        raise KeyError
    assert memory.take((4,), torch.float32, CPU).data_ptr() == lent.data_ptr()
