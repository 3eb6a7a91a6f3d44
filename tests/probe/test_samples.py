import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from hooksim.errors import ConfigError
from hooksim.probe.samples import check_loader

DATA = torch.randn(20, 3)


@pytest.mark.parametrize(
    "loader",
    [
        [DATA],
        DATA,
        DataLoader(DATA, batch_size=4),
        DataLoader(DATA, batch_sampler=BatchSampler(SequentialSampler(DATA), 4, drop_last=False)),
        DataLoader(DATA, sampler=DistributedSampler(DATA, 2, 0, shuffle=False)),
        DataLoader(DATA, batch_size=None),
    ],
    ids=["list", "tensor", "loader", "batch sampler", "a share", "no batches"],
)
def test_what_can_be_read_again_is_accepted(loader):
    check_loader(loader)


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": True},
        {"sampler": RandomSampler(DATA)},
        {"sampler": SubsetRandomSampler(range(9))},
        {"sampler": WeightedRandomSampler([1.0] * 20, 20)},
        {"sampler": DistributedSampler(DATA, 2, 0)},
        {"batch_sampler": BatchSampler(RandomSampler(DATA), 4, drop_last=False)},
        {"shuffle": True, "generator": torch.Generator()},
    ],
    ids=["shuffle", "random", "subset", "weighted", "shares", "batches", "generator"],
)
def test_a_shuffling_loader_is_found_out(options):
    with pytest.raises(ConfigError) as error:
        check_loader(DataLoader(DATA, **options))
    for words in ("it shuffles (", "Sampler)", "in another order", "shuffle=False", "Subset("):
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ((batch for batch in [DATA]), "a generator can be read only once"),
        (iter([DATA]), "a list_iterator can be read only once"),
        (zip([DATA], [DATA], strict=True), "a zip can be read only once"),
        (None, "expected an iterable of batches, got NoneType"),
        (3, "expected an iterable of batches, got int"),
        ({"input_ids": DATA}, "expected an iterable of batches, got dict"),
        ("data", "expected an iterable of batches, got str"),
    ],
)
def test_what_cannot_be_read_again_is_refused(loader, words):
    with pytest.raises(ConfigError, match=r"^loader: ") as error:
        check_loader(loader)
    assert words in str(error.value)
