"""Where a result comes from, in words."""

from hooksim.results.provenance import provenance

METADATA = {
    "name_a": "runs/a",
    "model_a": "BertModel",
    "device": ["cpu", "cuda:0"],
    "recordings": {"a": None, "b": {"path": "runs/b", "n_samples": 10}},
    "rows": {"a": {"policy": "mean", "normalize": True}, "b": {"policy": "cls"}},
    "blocks": [2048, 2048, 1500],
    "block_size": "auto",
    "measures": [{"name": "cka", "debiased": True, "key": "biased"}, "odd"],
    "versions": {"torch": "2.13.0"},
    "config": {"data": {"kind": "text", "sizes": list(range(20))}, "models": [{"path": "x"}]},
    "notes": [{"code": "dropped", "text": "A layer was dropped."}],
    "seconds": 1.23456,
    "something_new": 12345,
    "reference_side": {"name": "step 300", "rows": {"policy": "mean", "sizes": [1, 2]}},
    "checkpoints": [{"step": 10, "rows": {"policy": "mean"}}, {}],
    "layers_a": ["said elsewhere"],
    "diagnostics": {},
    "warnings": [],
}


def test_every_entry_is_worded_under_its_heading():
    tables = {table.title: dict(table.rows) for table in provenance(METADATA, 5596)}
    assert tables == {
        "Models": {
            "name_a": "runs/a", "model_a": "BertModel", "recording_a": "none",
            "recording_b": "path=runs/b, n_samples=10",
            "rows_a": "policy=mean, normalize=true", "rows_b": "policy=cls",
            "device_a": "cpu", "device_b": "cuda:0",
            "reference_side.name": "step 300", "reference_side.rows": "policy=mean, sizes=(1, 2)",
            "checkpoints.0": "step=10, rows=(policy=mean)", "checkpoints.1": "none",
        },
        "Data": {"n_samples": "5,596"},
        "Blocks": {"blocks": "3 blocks (2 of 2,048 and 1 of 1,500)", "block_size": "auto"},
        "Measures": {"biased": "cka, debiased=true", "": "odd"},
        "Versions": {"torch": "2.13.0"},
        "Configuration": {
            "data.kind": "text",
            "data.sizes": "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more",
            "models.0.path": "x",
        },
        "Run": {
            "seconds": "1.23", "dropped": "A layer was dropped.", "something_new": "12,345",
        },
    }  # fmt: skip


def test_odd_entries_do_no_harm():
    odd = {"blocks": None, "device": "cpu", "rows": "auto", "seconds": "nan", "config": "c.yaml"}
    tables = {table.title: dict(table.rows) for table in provenance(odd, 3)}
    assert tables["Blocks"] == {"blocks": "none"}
    assert tables["Models"] == {"rows": "auto", "device": "cpu"}
    assert tables["Configuration"] == {"": "c.yaml"} and tables["Run"] == {"seconds": "nan"}
    assert [table.title for table in provenance({}, 3)] == ["Data"]
