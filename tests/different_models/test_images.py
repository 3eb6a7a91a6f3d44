"""A ViT against a ResNet on the same pictures, each with its own preprocessing."""

import pytest
import yaml
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

import hooksim
from hooksim.cli.main import main
from tests.different_models import by_hand

VIT = [f"layers.{index}" for index in range(3)]
RESNET = ["encoder.stages.0.layers.0", "encoder.stages.1.layers.0", "encoder.stages.1.layers.1"]
VIT_POOLS = {"auto": by_hand.mean_of_tokens, "mean": by_hand.mean_of_tokens}
VIT_POOLS |= {"cls": by_hand.first_token, "last": by_hand.last_token}
RESNET_POOLS = {"auto": by_hand.flat, "flatten": by_hand.flat, "mean": by_hand.mean_of_positions}


@pytest.fixture(scope="module")
def loaded(zoo):
    names = ("vit", "resnet")
    return (
        {name: AutoModel.from_pretrained(zoo / name) for name in names},
        {name: AutoImageProcessor.from_pretrained(zoo / name, backend="pil") for name in names},
    )


def upright(path):
    """A picture as it is seen: transparent ones on white."""
    picture = Image.open(path)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def inputs(zoo, processor):
    """Each picture by itself."""
    files = sorted((zoo / "pictures").rglob("*.png"))
    return [dict(processor([upright(file)], return_tensors="pt")) for file in files]


def expected(zoo, loaded, name, layers, pool):
    models, processors = loaded
    return by_hand.rows_by_hand(models[name], inputs(zoo, processors[name]), layers, pool)


def write_config(zoo, path, **changes):
    content = {
        "model_a": str(zoo / "vit"),
        "model_b": str(zoo / "resnet"),
        "data": {"kind": "images", "path": str(zoo / "pictures"), "batch_size": 9},
        "output": str(path / "result"),
    }
    (path / "c.yaml").write_text(yaml.safe_dump({**content, **changes}))
    return str(path / "c.yaml")


@pytest.mark.parametrize(
    ("rows_a", "rows_b"), [("auto", "auto"), ("mean", "mean"), ("cls", "mean"), ("last", "flatten")]
)
def test_the_command(zoo, loaded, tmp_path, rows_a, rows_b):
    config = write_config(zoo, tmp_path, rows=[rows_a, rows_b])
    assert main(["compare", config]) == 0
    result = hooksim.Comparison.load(tmp_path / "result")
    assert (result["cka"].layers_a, result["cka"].layers_b) == (VIT, RESNET)
    assert result.metadata["warnings"] == []
    by_hand.assert_right(
        result,
        expected(zoo, loaded, "vit", VIT, VIT_POOLS[rows_a]),
        expected(zoo, loaded, "resnet", RESNET, RESNET_POOLS[rows_b]),
    )


def test_paired_batches(zoo, loaded):
    models, processors = loaded
    halves = [inputs(zoo, processors[name])[:30] for name in models]
    loader = [
        hooksim.PairedBatch(a["pixel_values"], b["pixel_values"])
        for a, b in zip(*halves, strict=True)
    ]
    result = hooksim.compare(models["vit"], models["resnet"], loader, rows=("cls", "mean"))
    rows = [
        by_hand.rows_by_hand(models["vit"], halves[0], VIT, by_hand.first_token),
        by_hand.rows_by_hand(models["resnet"], halves[1], RESNET, by_hand.mean_of_positions),
    ]
    by_hand.assert_right(result, *rows)


def test_a_file_that_is_cut_short_is_named_by_the_command(zoo, tmp_path, capsys):
    whole = next((zoo / "pictures").rglob("*.png")).read_bytes()
    (tmp_path / "pictures").mkdir()
    for number in range(8):
        (tmp_path / f"pictures/{number}.png").write_bytes(whole[: 200 if number == 3 else None])
    config = write_config(zoo, tmp_path)
    assert main(["compare", config, "--set", f"data.path={tmp_path / 'pictures'}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{config}: data.path: cannot read '3.png': image file is truncated")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("data.path=nowhere", "data.path: 'nowhere' is no folder in '"),
        ("data.processor=x", "data.processor: unknown key, did you mean 'processor_"),
        (
            "data.order=shufled",
            "data.order: expected 'shuffled' or 'as_is', got 'shufled', did you ",
        ),
        (
            "data.processor_b=nowhere",
            "data.processor_b.path: no folder 'nowhere' here, and no such",
        ),
        (
            "data.processor_b={kind: pyton}",
            "data.processor_b.kind: expected one of 'transformers', ",
        ),
        (
            "data.kind=image",
            "data.kind: expected one of 'digits', 'text', 'images', 'npz', 'python'",
        ),
    ],
)
def test_one_line_for_a_config_that_does_not_fit(zoo, tmp_path, capsys, change, words):
    config = write_config(zoo, tmp_path)
    assert main(["compare", config, "--set", change]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{config}: {words}")
    assert error.count("\n") == 1
