"""Work on several items at the same time, as if it were done one after the other."""

import os
import threading
import time

import pytest
import torch

from hooksim.functional.side_by_side import side_by_side

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_items(threads):
    with side_by_side(CPU) as in_order:
        found = in_order(lambda n: torch.full((n,), n).sum().item(), range(40))
        assert list(found) == [n * n for n in range(40)]


def test_every_thread_of_work_has_one_core_and_the_caller_keeps_its_own(threads):
    seen = set()

    def look(_: int) -> None:
        torch.ones(300, 300) @ torch.ones(300, 300)
        seen.add((torch.get_num_threads(), torch.is_grad_enabled()))

    with side_by_side(CPU) as in_order:
        list(in_order(look, range(20)))
    expected_grad = threads == 1  # then it is the caller's own thread
    assert seen == {(1, expected_grad)}
    assert torch.get_num_threads() == threads


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core is all there is")
def test_products_use_no_other_core_either():
    """MKL has a number of threads of its own: all that the process works is the worker's work."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    square = torch.ones(1500, 1500)

    def share(_: int) -> float:
        square @ square  # the first one sets threads up
        whole, own = time.process_time(), time.thread_time()
        for _ in range(5):
            square @ square
        return (time.thread_time() - own) / (time.process_time() - whole)

    try:
        with side_by_side(CPU) as in_order:
            [found] = in_order(share, [0])
    finally:
        torch.set_num_threads(before)
    assert found > 0.8  # half where another core multiplies, too


def test_threads_that_start_meanwhile_have_as_many_as_ever(threads):
    """Their first call of PyTorch takes over a number of the process, for good."""
    found = []

    def look() -> None:
        torch.ones(2) + 1
        found.append(torch.get_num_threads())

    def started() -> None:
        each = threading.Thread(target=look)
        each.start()
        each.join()

    with side_by_side(CPU) as in_order:
        list(in_order(lambda n: n, range(6)))
        started()
    started()
    assert found == [threads, threads]


def test_few_items_share_all_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    try:
        with side_by_side(CPU, 2) as in_order:
            assert set(in_order(lambda _: torch.get_num_threads(), range(2))) == {4}
        with side_by_side(CPU, 1) as in_order:
            assert list(in_order(lambda _: torch.get_num_threads(), [0])) == [8]
    finally:
        torch.set_num_threads(before)


def test_work_may_write_to_inference_tensors_of_its_caller(threads):
    with torch.inference_mode(), side_by_side(CPU) as in_order:
        sums = torch.zeros(6)
        list(in_order(lambda n: sums[n].add_(n), range(6)))
        assert sums.tolist() == [0, 1, 2, 3, 4, 5]


def test_items_are_worked_on_at_the_same_time():
    """Each waits for the other one."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    together = threading.Barrier(2, timeout=20)
    try:
        with side_by_side(CPU) as in_order:
            list(in_order(lambda _: together.wait(), range(4)))
    finally:
        torch.set_num_threads(before)


def test_items_are_taken_only_a_few_ahead(threads):
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    with side_by_side(CPU) as in_order:
        for n in in_order(lambda n: n, items()):
            assert len(taken) <= n + 1 + threads


def test_an_error_is_the_works_own_and_nothing_goes_on_after_it(threads):
    done = []

    def work(n: int) -> None:
        if n == 3:
            raise ValueError("three")
        done.append(n)

    with pytest.raises(ValueError, match="three"), side_by_side(CPU) as in_order:
        list(in_order(work, range(1000)))
    assert len(done) < 20


def test_it_is_plain_map_on_other_devices_and_within_such_work(threads):
    with side_by_side(torch.device("meta")) as in_order:
        assert in_order is map

    def nested(_: int) -> bool:
        with side_by_side(CPU) as inner:
            return inner is map

    with side_by_side(CPU) as in_order:
        assert all(in_order(nested, range(6)))
