"""The guard of matrix products: on inside, as before outside, whoever comes and goes."""

import threading

import pytest
import torch

from hooksim.functional.precision import full_precision


@pytest.fixture(autouse=True)
def _settings():
    yield
    torch.backends.fp32_precision = "none"
    torch.backends.cuda.matmul.fp32_precision = "none"
    torch.backends.mkldnn.matmul.fp32_precision = "none"


def test_a_setting_comes_back():
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with full_precision():
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


def test_an_inherited_setting_stays_inherited():
    torch.backends.fp32_precision = "tf32"
    with full_precision():
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    torch.backends.fp32_precision = "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_the_last_thread_restores():
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    inside, leave = threading.Event(), threading.Event()

    def other():
        with full_precision():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with full_precision():
        thread.start()
        inside.wait(10)
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    leave.set()
    thread.join()
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


def test_an_error_inside_restores_too():
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with pytest.raises(RuntimeError), full_precision():
        raise RuntimeError
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
