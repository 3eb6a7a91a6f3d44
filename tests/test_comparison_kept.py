"""Runs that lose nothing: samples left out on request, loaders that fail, full memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import hooksim
from hooksim.comparison.identity import first_difference, side_identity
from hooksim.recording import Recording


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def rows(n=60):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0))


def compare(loader, **options):
    return hooksim.compare(model(0), model(1), loader, progress=False, **options)


def values(result):
    return {key: (result[key].values, result[key].stderr) for key in result}


class TestDrop:
    """The result of the samples that are left, as if the others had never been there."""

    BAD = (3, 21, 22, 59)

    def data(self):
        points = rows()
        points[3, 1], points[21, 0] = torch.nan, torch.inf
        points[22], points[59, 2] = torch.nan, -torch.inf
        return points

    @pytest.mark.parametrize("size", [16, 2048, "all", "batch", "auto"])
    @pytest.mark.parametrize("recorded", [False, True])
    def test_what_is_left_is_compared(self, size, recorded):
        points = self.data()
        good = [number for number in range(60) if number not in self.BAD]
        sizes = [[number for number in good if number // 20 == batch] for batch in range(3)]
        if size == "batch":
            expected = compare([points[part] for part in sizes], block_size=size)
        else:
            expected = compare([points[good]], block_size=size)
        b = model(1)
        if recorded:
            clean = points.nan_to_num(0.0, 1.0, 1.0)
            b = Recording.from_tensors({"0": model(1)[0](clean).detach()})
            if size == "batch":
                pytest.skip("tensors from elsewhere have no batches")
        result = hooksim.compare(
            model(0), b, points.split(20), block_size=size, on_nonfinite="drop", progress=False
        )
        assert result.n_samples == result.metadata["n_samples"] == 56
        assert result.metadata["dropped_samples"] == 4
        assert sum(result.metadata["blocks"]) == 56
        for key, (value, stderr) in values(expected).items():
            mine = slice(None), slice(0, 1) if recorded else slice(None)
            torch.testing.assert_close(result[key].values, value[mine], rtol=0, atol=1e-6)
            torch.testing.assert_close(result[key].stderr, stderr[mine], rtol=0, atol=1e-6)

    def test_it_is_said_how_many_and_which_was_the_first(self):
        batches = [
            {"x": part, "sample_ids": range(20 * number, 20 * number + 20)}
            for number, part in enumerate(self.data().split(20))
        ]
        result = compare(
            batches, on_nonfinite="drop", forward=lambda module, batch: module(batch["x"])
        )
        [note] = [each for each in result.metadata["warnings"] if each["code"] == "dropped_samples"]
        assert note["text"] == (
            "4 of 60 samples have NaN or infinity in some layer and are left out, the first of "
            "them sample 3, id '3', in layer '0' of model A (Sequential)."
        )

    def test_a_sequence_is_left_out_as_a_whole(self):
        tokens = torch.randn(10, 3, 4)
        tokens[4, 1, 0] = torch.nan
        good = tokens[[number for number in range(10) if number != 4]]
        result = compare([tokens], rows="token", on_nonfinite="drop")
        expected = compare([good], rows="token")
        assert (result.n_samples, result.metadata["n_rows"]) == (9, 27)
        for key, (value, _) in values(expected).items():
            torch.testing.assert_close(result[key].values, value, rtol=0, atol=1e-6)

    def test_a_batch_of_which_nothing_is_left(self):
        points = rows()
        points[:20] = torch.nan
        result = compare(points.split(20), on_nonfinite="drop")
        assert result.n_samples == 40
        expected = compare(points[20:].split(20))
        for key, (value, _) in values(expected).items():
            torch.testing.assert_close(result[key].values, value, rtol=0, atol=1e-6)

    def test_where_nothing_is_left_it_is_said(self):
        told = "all 60 samples have NaN or infinity in some layer and are left out, the first of"
        for size in ("auto", "batch", "all"):
            with pytest.raises(hooksim.NotEnoughSamplesError, match=told):
                compare([rows() * torch.nan], on_nonfinite="drop", block_size=size)

    def test_where_nothing_was_bad_nothing_is_said(self):
        result = compare(rows().split(20), on_nonfinite="drop")
        assert result.metadata["dropped_samples"] == 0
        assert "dropped_samples" not in [each["code"] for each in result.metadata["warnings"]]
        assert "dropped_samples" not in compare(rows().split(20)).metadata


def test_the_sample_of_a_bad_activation_is_named():
    points = rows()
    points[33, 2] = torch.nan
    batches = [
        {"x": part, "sample_ids": [f"s{20 * number + each}" for each in range(20)]}
        for number, part in enumerate(points.split(20))
    ]
    with pytest.raises(hooksim.NonFiniteError, match=r"row 13 of batch 1 \(sample 33, id 's33'\)"):
        compare(batches, forward=lambda module, batch: module(batch["x"]))
    tokens = torch.randn(10, 3, 4)
    tokens[4, 1, 0] = torch.nan
    with pytest.raises(hooksim.NonFiniteError, match=r"row 13 of batch 0 \(sample 4\)"):
        compare([tokens], rows="token")


class Failing(Dataset):
    """Raises at one sample, or ends the process that asks for it."""

    def __init__(self, at, dies=False):
        self.at, self.dies = at, dies

    def __len__(self):
        return 40

    def __getitem__(self, place):
        if place == self.at:
            if self.dies:
                os._exit(9)
            raise ValueError(f"picture {place} is cut short")
        return torch.ones(4) * place


class TestLoaders:
    def test_a_sample_that_raises_here(self):
        with pytest.raises(ValueError, match="picture 17 is cut short") as caught:
            compare(DataLoader(Failing(17), batch_size=5))
        assert caught.value.__notes__ == ["in the loader, batch 3 (first sample 15)"]

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
    @pytest.mark.filterwarnings("ignore:'pin_memory'")
    def test_a_sample_that_raises_in_another_process(self):
        with pytest.raises(ValueError, match="picture 17 is cut short") as caught:
            compare(DataLoader(Failing(17), batch_size=5, num_workers=1))
        [note] = caught.value.__notes__
        told = "in the loader, batch 3 (first sample 15): ValueError: picture 17 is cut short"
        assert note == told

    @pytest.mark.parametrize("place", ["loader", "forward"])
    def test_a_process_of_the_loader_that_dies_is_noticed_anywhere(self, place):
        def dead():
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. \nMore")

        def forward(module, batch):
            if place == "forward" and bool((batch[:, 0] > 2).any()):
                dead()
            return module(batch)

        def loader():
            yield from rows().clamp(max=1).split(20)
            if place == "loader":
                dead()
            yield rows() + 10

        with pytest.raises(hooksim.HooksimError) as caught:
            compare(loader(), forward=forward, block_size=20)
        assert str(caught.value) == (
            "loader: a process of it has died, after batch 3 (first sample 60) was asked for: "
            "DataLoader worker (pid 7) is killed by signal: Killed. Most often the memory was too "
            "little: use fewer workers (num_workers) or smaller batches."
        )

    def test_one_that_dies_at_the_very_first_batch(self):
        def loader():
            raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
            yield

        told = (
            r"a process of it has died, after batch 0 \(first sample 0\) was asked for: DataLoader"
        )
        with pytest.raises(hooksim.HooksimError, match=told):
            compare(loader())

    @pytest.mark.parametrize("error", [ConnectionResetError(104, "reset by peer"), EOFError()])
    @pytest.mark.parametrize("workers", [0, 2])
    def test_one_that_dies_while_it_hands_a_batch_over(self, error, workers):
        class Loader:
            num_workers = workers

            def __iter__(self):
                yield rows(20)
                raise error

        kind = hooksim.HooksimError if workers else type(error)
        with pytest.raises(kind) as caught:
            compare(Loader())
        if workers:
            told = (
                "loader: a process of it has died, after batch 1 (first sample 20) was asked for: "
            )
            assert str(caught.value).startswith(told)
        else:
            assert caught.value.__notes__ == ["in the loader, batch 1 (first sample 20)"]

    def test_fewer_batches_than_there_should_be_are_said(self):
        class Ending(Failing):
            def __getitem__(self, place):
                if place == self.at:
                    raise StopIteration
                return torch.randn(4)

        result = compare(DataLoader(Ending(21), batch_size=5))
        assert result.n_samples == 20
        [note] = [each for each in result.metadata["warnings"] if each["code"] == "fewer_batches"]
        assert note["text"] == (
            "loader: it has 8 batches by its length, but 4 with samples came: the result is of "
            "these. A data set whose __getitem__ raises StopIteration ends it so."
        )
        for whole in (
            compare(DataLoader(Ending(99), batch_size=5)),
            compare(DataLoader(Ending(99), batch_size=5), max_samples=10),
            compare(iter([torch.randn(20, 4)])),
        ):
            assert "fewer_batches" not in [each["code"] for each in whole.metadata["warnings"]]

    @pytest.mark.slow
    def test_a_real_one(self):
        code = (
            "import torch, hooksim\n"
            "from torch import nn\n"
            "from torch.utils.data import DataLoader\n"
            "from tests.test_comparison_kept import Failing, model\n"
            "loader = DataLoader(Failing(17, dies=True), batch_size=5, num_workers=1)\n"
            "try:\n"
            "    hooksim.compare(model(), model(1), loader, progress=False)\n"
            "except hooksim.HooksimError as error:\n"
            "    print(str(error).splitlines())\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[1],
        )
        assert done.stdout.startswith("['loader: a process of it has died, after batch "), done

    def test_an_error_of_the_very_first_batch(self):
        with pytest.raises(ValueError, match="cut short") as caught:
            compare(DataLoader(Failing(0), batch_size=5))
        assert caught.value.__notes__ == ["in the loader, batch 0 (first sample 0)"]


class Greedy(nn.Sequential):
    """Asks for more memory than any computer has."""

    def forward(self, x):
        if bool((x[:, 0] > 2).any()):
            torch.empty(1 << 60)
        return super().forward(x)


class TestMemory:
    def test_in_a_forward(self):
        points = rows()
        points[45, 0] = 9.0
        greedy = Greedy(nn.Linear(4, 6), nn.ReLU())
        with pytest.raises(hooksim.HooksimError) as caught:
            hooksim.compare(greedy, model(), points.split(20), progress=False)
        text = str(caught.value)
        assert text.startswith("out of memory (4611686018427387904 bytes more were asked for) in")
        assert "in the forward pass of model A (Greedy), batch 2 (first sample 40)" in text
        assert text.endswith("Lower the batch size of the loader.") and "\n" not in text

    def test_in_a_hook(self, monkeypatch):
        def full(*_, **__):
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: "
                "you tried to allocate 8589934592 bytes. Error code 12"
            )

        monkeypatch.setattr("hooksim.blocks.blocker.Blocker._reduce", full)
        with pytest.raises(hooksim.HooksimError) as caught:
            compare(rows(200).split(20), block_size="batch")
        text = str(caught.value)
        assert text.startswith("out of memory (8589934592 bytes more were asked for)")
        assert "\n" not in text

    @pytest.mark.parametrize("size", [40, "all"])
    def test_in_a_block(self, monkeypatch, size):
        def full(*_, **__):
            raise MemoryError("Unable to allocate 7.5 GiB for an array")

        monkeypatch.setattr("hooksim.run.intake.accumulate", full)
        with pytest.raises(hooksim.HooksimError) as caught:
            compare(rows(200).split(20), block_size=size)
        text = str(caught.value)
        assert text.startswith("out of memory (7.5 GiB more were asked for) with ")
        assert " rows of 4 layers held, " in text
        told = "Lower block_size, memory_budget or the number of layers (layers_a, layers_b)."
        assert text.endswith(told)

    def test_another_error_is_left_alone(self, monkeypatch):
        def wrong(*_, **__):
            raise RuntimeError("something else")

        monkeypatch.setattr("hooksim.run.intake.accumulate", wrong)
        with pytest.raises(RuntimeError, match=r"^something else$"):
            compare(rows(200).split(20))


class TestIdentity:
    def test_weights_and_buffers(self):
        norm = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
        before = side_identity(norm)
        assert side_identity(norm) == before
        norm[1].running_mean += 1
        assert first_difference(before, side_identity(norm))[0] == "1.running_mean"

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
    def test_every_type(self, dtype):
        one, other = model(0).to(dtype), model(1).to(dtype)
        assert side_identity(one) == side_identity(model(0).to(dtype))
        assert first_difference(side_identity(one), side_identity(other))[0] == "0.weight"

    def test_recordings(self):
        one = Recording.from_tensors({"x": rows()}, sample_ids=range(60))
        other = Recording.from_tensors({"x": rows()}, sample_ids=range(1, 61))
        assert side_identity(one) != side_identity(other)

    def test_weights_without_values_are_known_by_shape(self):
        assert side_identity(model().to("meta")) == side_identity(model(1).to("meta"))
