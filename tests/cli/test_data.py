"""Loaders from specs: values, order, ids."""

import builtins

import numpy as np
import pytest
import torch

from hooksim.capture.batches import PairedBatch
from hooksim.cli.batching import Batches
from hooksim.cli.data import build_data, data_notes
from hooksim.cli.digits import read_digits
from hooksim.errors import ConfigError, HooksimError, Note

NO_MODELS = ({}, {})


def batches(**spec):
    return list(build_data(spec, NO_MODELS))


class TestDigits:
    def test_batches(self):
        found = batches(kind="digits", split="test", batch_size=128)
        assert [len(each["sample_ids"]) for each in found] == [128, 128, 128, 66]
        assert found[0]["pixel_values"].shape == (128, 1, 8, 8)
        images = torch.cat([each["pixel_values"] for each in found])
        assert images.dtype == torch.float32
        assert (images.min(), images.max()) == (0, 1)

    def test_train_and_test_share_nothing(self):
        train, test, both = (set(read_digits(part).ids) for part in ("train", "test", "all"))
        assert len(train) + len(test) == len(both) == 1797
        assert train | test == both

    def test_pictures_belong_to_their_ids_in_any_order(self):
        from sklearn.datasets import load_digits

        raw = load_digits()
        for order in ("shuffled", "as_is", "by_label"):
            digits = read_digits("test", order)
            place = [int(each.removeprefix("digits:")) for each in digits.ids]
            assert np.array_equal(digits.images[:, 0].numpy() * 16, raw.images[place])
            assert np.array_equal(digits.labels.numpy(), raw.target[place])
        assert (digits.labels.diff() >= 0).all()
        assert place != sorted(place)

    def test_the_order_is_the_same_each_time(self):
        assert read_digits("all").ids == read_digits("all").ids != read_digits("all", "as_is").ids

    def test_without_scikit_learn(self, monkeypatch):
        real = builtins.__import__

        def without(name, *rest):
            if name.startswith("sklearn"):
                raise ImportError(name)
            return real(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(HooksimError, match=r"not installed: pip install 'hooksim\[demo\]'$"):
            read_digits()


class TestNpz:
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        x, y = np.arange(10.0).reshape(5, 2), np.arange(5, dtype=np.int64)
        names = np.array(["a", "b", "c", "d", "e"])
        np.savez("one.npz", x=x)
        np.savez("more.npz", x=x, y=y, names=names)
        np.savez("uneven.npz", x=x, y=y[:3])
        np.savez("empty.npz", x=x[:0])
        np.savez("none.npz")
        np.save("single.npy", x)
        np.savez("objects.npz", x=np.array([{}], dtype=object))

    def test_one_array_is_a_tensor_with_ids(self):
        first, second, last = batches(kind="npz", path="one.npz", batch_size=2)
        assert isinstance(first, PairedBatch)
        assert torch.equal(first.a, torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
        assert first.b is first.a
        assert [*first.ids, *second.ids, *last.ids] == [f"one.npz:{i}" for i in range(5)]

    def test_named_arrays_are_a_mapping(self):
        [batch] = batches(kind="npz", path="more.npz", arrays={"inputs": "x"}, ids="names")
        assert set(batch) == {"inputs", "sample_ids"}
        assert batch["sample_ids"] == ["a", "b", "c", "d", "e"]
        [batch] = batches(kind="npz", path="more.npz", ids="names")
        assert set(batch) == {"x", "y", "sample_ids"}
        assert (batch["x"].dtype, batch["y"].dtype) == (torch.float32, torch.int64)

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ({"path": "xyz.npz"}, "path: no file 'xyz.npz' in "),
            ({"path": "mor.npz"}, "path: no file 'mor.npz', did you mean 'more.npz'?"),
            ({"path": "one.npz", "arrays": "z"}, "arrays: 'one.npz' has no array 'z'; it has 'x'"),
            ({"path": "more.npz", "ids": "nams"}, "ids: 'more.npz' has no array 'nams'; it has "),
            ({"path": "uneven.npz"}, "arrays: of different lengths {'x': 5, 'y': 3}"),
            ({"path": "empty.npz"}, "arrays: 'x' hold no samples"),
            ({"path": "none.npz"}, "path: 'none.npz' holds no arrays"),
            ({"path": "single.npy"}, "path: 'single.npy' is a single array; expected an .npz file"),
            (
                {"path": "objects.npz"},
                "path: cannot read 'objects.npz': Object arrays cannot be loaded when "
                "allow_pickle=False. Save texts by np.array(names, dtype=str)",
            ),
        ],
    )
    def test_one_line_for_what_is_wrong(self, spec, words):
        with pytest.raises(ConfigError) as error:
            batches(kind="npz", **spec)
        assert str(error.value).startswith(words)


class TestPython:
    def test_what_the_factory_returns(self):
        assert batches(kind="python", factory="builtins:dict", kwargs={"a": 1}) == ["a"]

    def test_not_iterable(self):
        with pytest.raises(ConfigError) as error:
            batches(kind="python", factory="builtins:object")
        assert str(error.value) == (
            "factory: 'builtins:object' returned object, expected an iterable of batches"
        )


class TestBatches:
    @pytest.mark.parametrize(("size", "count"), [(1, 5), (2, 3), (5, 1), (9, 1)])
    def test_every_sample_once(self, size, count):
        loader = Batches(5, size, list)
        assert len(loader) == len(list(loader)) == count
        assert [sample for batch in loader for sample in batch] == [0, 1, 2, 3, 4]

    def test_notes_of_other_loaders_are_not_taken_for_ours(self):
        assert data_notes([1, 2]) == []
        assert data_notes(Batches(1, 1, list)) == []

    def test_notes(self):
        class Loader(Batches):
            def notes(self):
                return [Note("code", "text")]

        assert data_notes(Loader(1, 1, list)) == [Note("code", "text")]
