"""Loaders that give each process samples of its own, and models that all must run."""

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler

import hooksim
from hooksim.comparison.options import Options
from hooksim.comparison.processes import needs_all, shared_options
from hooksim.distributed import is_dealt_out, number_of_shares, processes_together
from hooksim.errors import ConfigError
from hooksim.recording import Recording
from tests.distributed.processes import outcome

DATA = torch.randn(21, 3)


class Two:
    """Stands for a group of two, as its second process sees it."""

    rank, size = 1, 2

    def exchange(self, value):
        return [value] * self.size


def dealt_out(kind):
    if kind == "torch":
        return DataLoader(DATA, sampler=DistributedSampler(DATA, 2, 1))
    batches = BatchSampler(range(21), 5, drop_last=False)
    return DataLoader(DATA, batch_sampler=BatchSamplerShard(batches, 2, 1))


@pytest.mark.parametrize("kind", ["torch", "accelerate"])
class TestShares:
    def test_they_are_found(self, kind):
        assert is_dealt_out(dealt_out(kind))
        assert number_of_shares(dealt_out(kind)) == 2

    def test_the_first_samples_of_all_cannot_be_counted(self, kind):
        with pytest.raises(ConfigError, match="max_samples: DataLoader gives each process samples"):
            shared_options(Two(), Options(max_samples=5), dealt_out(kind), [])

    def test_recordings_do_not_go_with_them(self, kind):
        recording = Recording.from_tensors({"x": DATA})
        with pytest.raises(ConfigError, match=r"loader: .* samples of its own, but a recording"):
            shared_options(Two(), Options(), dealt_out(kind), [recording])

    def test_there_must_be_one_for_each_process(self, kind):
        three = Two()
        three.size = 3
        told = "loader: DataLoader deals its samples out to 2 processes, but 3 compare together"
        with pytest.raises(ConfigError, match=told):
            shared_options(three, Options(), dealt_out(kind), [])

    def test_one_process_alone_is_warned(self, kind):
        model = nn.Sequential(nn.Linear(3, 2))
        result = hooksim.compare(model, model, dealt_out(kind), progress=False)
        codes = [note["code"] for note in result.metadata["warnings"]]
        assert "one_share" in codes


def test_any_other_loader_is_not_and_only_the_first_process_shows_progress():
    for loader in (DataLoader(DATA, batch_size=4), [DATA], iter([DATA]), None):
        assert not is_dealt_out(loader)
    assert not shared_options(Two(), Options(), [DATA], []).progress


EXACT = {"measures": [{"name": "cka", "exact": True}], "block_size": 64}
SHARED = [
    {"n": 1, "ids": True, "batch": 4, "options": EXACT},
    {"n": 21, "ids": True, "batch": 4, "options": EXACT},
    {"n": 43, "ids": True, "batch": 5, "options": EXACT, "wrapped": "ddp"},
    {"n": 43, "ids": True, "batch": 5, "options": EXACT, "wrapped": "fsdp"},
    {"n": 203, "ids": True, "batch": 16, "mixed": True, "options": EXACT},
    {"n": 203, "ids": True, "batch": 16, "options": {"block_size": 2048}},
    {"n": 203, "ids": True, "batch": 16, "options": {"block_size": 40}},
]


@pytest.mark.parametrize("size", [2, 3])
def test_shares_are_put_together_and_repeats_left_out(in_processes, size):
    no_ids = {"n": 21, "ids": False, "options": EXACT}
    too_many = {"n": 21, "ids": True, "replicas": size + 1, "options": EXACT}
    batches = {"n": 203, "ids": True, "batch": 16, "options": {"block_size": "batch"}}
    found = in_processes(size, [*SHARED, no_ids, too_many, batches])
    for number, job in enumerate(SHARED):
        alone = outcome(0, job)
        for told in found:
            (kind, *got), _, _ = told[number]
            assert kind == alone[0], (job, got, alone)
            if kind == "error":
                assert got[:2] == list(alone[1:3]), job
                continue
            padded = -job["n"] % size
            assert got[1] == alone[2] == job["n"] == sum(got[2]["blocks"])
            assert got[2].get("repeated_samples", 0) == padded
            for key, tables in alone[1].items():
                near = job["options"] is not EXACT and job["options"]["block_size"] == 40
                compare_tables(got[0][key], tables, near=near)
    for told in found:
        (kind, name, text, _), _, _ = told[len(SHARED)]
        assert (kind, name) == ("error", "ConfigError")
        assert text.startswith("loader: it gives each process samples of its own, and some of them")
        (kind, name, text, _), _, _ = told[len(SHARED) + 1]
        assert (kind, name) == ("error", "ConfigError")
        assert f"deals its samples out to {size + 1} processes, but {size} compare" in text
        (kind, *got), _, _ = told[-1]
        assert kind == "result" and sum(got[2]["blocks"]) == got[1] == 203


@pytest.mark.parametrize("size", [2, 3])
def test_a_process_that_is_given_nothing_waits_for_the_others(in_processes, size):
    every = [EXACT, {"block_size": 2048}, {"block_size": "all"}, {"block_size": "batch"}]
    jobs = [
        {"n": 103, "ids": True, "batch": 25, "only": [owner], "options": options}
        for options in every
        for owner in (0, size - 1)
    ]
    found = in_processes(size, jobs)
    for number, job in enumerate(jobs):
        alone = outcome(0, job)
        for told in found:
            (kind, *got), _, _ = told[number]
            assert kind == "result", (job, got)
            assert got[1] == alone[2] == 103
            assert got[2]["blocks"] == alone[3]["blocks"]
            assert got[2]["layers_a"] == alone[3]["layers_a"]
            for key, tables in alone[1].items():
                compare_tables(got[0][key], tables, near=False)


def test_the_last_batches_of_a_share_are_in_a_block_of_their_own(in_processes):
    job = {"n": 130, "ids": True, "batch": 30, "options": {"block_size": "batch"}}
    for told in in_processes(2, [job]):
        (kind, *got), _, _ = told[0]
        assert kind == "result"
        assert sorted(got[2]["blocks"]) == [30, 30, 35, 35]


def compare_tables(got, expected, *, near):
    """Values, within three standard errors where the blocks are others."""
    for rows, others, spreads in zip(got[0], expected[0], expected[1], strict=True):
        for one, other, spread in zip(rows, others, spreads, strict=True):
            assert abs(one - other) <= (3 * spread if near else 1e-10)


def test_outside_a_group_there_are_no_processes():
    with processes_together() as processes:
        assert processes is None


def test_a_model_of_which_each_process_holds_a_part_is_run_by_all():
    class FSDPModule(nn.Sequential):
        pass

    whole, part = nn.Sequential(nn.Linear(2, 2)), FSDPModule(nn.Linear(2, 2))
    assert [needs_all(each) for each in (whole, part, nn.Sequential(part))] == [False, True, True]
    assert not needs_all(Recording.from_tensors({"x": DATA}))
