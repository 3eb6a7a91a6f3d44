"""Pictures: which files, which order, which pixels, which processor."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ConvNextImageProcessorPil, ViTImageProcessorPil

from hooksim.capture.batches import PairedBatch
from hooksim.cli.data import build_data, data_notes
from hooksim.cli.pictures import find_pictures, read_picture
from hooksim.errors import ConfigError

SQUARE = ViTImageProcessorPil(size={"height": 8, "width": 8})
CROPPED = ConvNextImageProcessorPil(size={"shortest_edge": 8}, crop_pct=0.5)

PROCESSORS = """\
import numpy as np
import torch


def red(scale=1.0):
    def process(pictures):
        small = [np.array(each.resize((4, 4)))[..., 0] for each in pictures]
        return torch.tensor(np.stack(small) * scale)

    return process


def patches():
    return lambda pictures: {"pixel_values": torch.zeros(2 * len(pictures), 4)}
"""


def pixels(seed: int, high: int = 10, wide: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (high, wide, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Ten pictures in two folders, and two checkpoints with processors of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "picture_processors.py").write_text(PROCESSORS)
    for folder in ("pics/a", "pics/b", "other"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(1, 11):
        where = f"pics/{'ab'[number % 2]}/{number}.png"
        Image.fromarray(pixels(number)).save(where)
    for name, processor in (("vit", SQUARE), ("vit-copy", SQUARE), ("cnn", CROPPED)):
        processor.save_pretrained(name)
        (tmp_path / name / "config.json").write_text('{"model_type": "vit"}')


def checkpoint(path: str) -> dict:
    return {"kind": "transformers", "path": path}


def batches(a="vit", b="vit", **spec) -> list:
    models = (checkpoint(a), checkpoint(b))
    return list(build_data({"kind": "images", "path": "pics", **spec}, models))


class TestFinding:
    def test_natural_order_folder_by_folder(self):
        names = ["a/2.png", "a/4.png", "a/6.png", "a/8.png", "a/10.png"]
        names += ["b/1.png", "b/3.png", "b/5.png", "b/7.png", "b/9.png"]
        assert find_pictures("pics").ids == names

    def test_folders_that_are_linked_are_read_once(self, tmp_path):
        Image.fromarray(pixels(0)).save("other/x.JPG")
        (tmp_path / "pics/c").symlink_to(tmp_path / "other")
        (tmp_path / "other/round").symlink_to(tmp_path / "pics")
        found = find_pictures("pics").ids
        assert len(found) == 11
        assert found[-1] == "c/x.JPG"

    def test_what_is_not_read_is_noted(self):
        (find_pictures("pics").folder / "labels.csv").write_text("1,2")
        frames = [Image.fromarray(pixels(seed)) for seed in (1, 2)]
        frames[0].save("pics/moving.gif", save_all=True, append_images=frames[1:])
        loader = build_data({"kind": "images", "path": "pics"}, (checkpoint("vit"),) * 2)
        assert [(note.code, note.text) for note in data_notes(loader)] == [
            ("no_pictures", "data: 1 file beside the 11 pictures not read ('labels.csv')."),
            (
                "first_frames",
                "data: of 1 picture of several frames ('moving.gif') the first frame is taken.",
            ),
        ]

    @pytest.mark.parametrize("name", [".thumbs/2.png", "a/._2.png", "__MACOSX/a/2.png"])
    def test_hidden_copies_are_no_samples(self, name, tmp_path):
        (tmp_path / "pics" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pics" / name).write_bytes((tmp_path / "pics/a/2.png").read_bytes())
        found = find_pictures("pics")
        assert len(found.ids) == 10
        text = f"data: 1 file beside the 10 pictures not read ({name!r})."
        assert [note.text for note in found.notes] == [text]

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("pisc", "path: 'pisc' is no folder, did you mean 'pics'?"),
            ("zzz", "path: 'zzz' is no folder in '"),
            ("pics/a/2.png", "path: 'pics/a/2.png' is a file, expected a folder"),
            ("other", "path: 'other' holds no pictures"),
            ("vit", "path: 'vit' holds no pictures among 2 files ('config.json', 'preprocessor"),
        ],
    )
    def test_one_line_for_what_is_wrong(self, path, words):
        with pytest.raises(ConfigError) as error:
            find_pictures(path)
        assert str(error.value).startswith(words)

    def test_a_file_that_is_no_picture_is_named_before_the_work(self, tmp_path):
        (tmp_path / "pics/b/11.jpg").write_text("<html>")
        with pytest.raises(ConfigError) as error:
            find_pictures("pics")
        assert str(error.value) == (
            "path: cannot read 'b/11.jpg': it is no picture of a format that Pillow knows. "
            "Mend the file or take it out of the folder."
        )

    def test_a_file_that_is_cut_short_is_named_where_it_is_read(self, tmp_path):
        whole = (tmp_path / "pics/b/9.png").read_bytes()
        (tmp_path / "pics/b/9.png").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(
            ConfigError, match=r"^data.path: cannot read 'b/9.png': image file is trunc"
        ):
            batches()


class TestReading:
    def read(self, picture, name, **options):
        picture.save(f"other/{name}", **options)
        found = read_picture(find_pictures("other").folder, name)
        assert found.mode == "RGB"
        return np.asarray(found)

    def test_colours_and_grey(self):
        colours = pixels(3)
        assert np.array_equal(self.read(Image.fromarray(colours), "c.png"), colours)
        grey = self.read(Image.fromarray(colours[..., 0]), "g.png")
        assert np.array_equal(grey, np.repeat(colours[..., :1], 3, axis=2))

    def test_transparent_is_white(self):
        rgba = np.zeros((2, 2, 4), dtype=np.uint8)
        rgba[0] = [200, 0, 0, 255]
        assert self.read(Image.fromarray(rgba), "t.png")[:, 0].tolist() == [[200, 0, 0], [255] * 3]
        palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("P")
        palette.putpalette([9, 9, 9, 50, 60, 70])
        found = self.read(palette, "p.png", transparency=0)
        assert found.tolist() == [[[255] * 3, [50, 60, 70]]]

    def test_a_picture_taken_sideways_is_turned(self):
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: to be shown a quarter to the right
        colours = pixels(4)
        found = self.read(Image.fromarray(colours), "s.png", exif=exif)
        assert np.array_equal(found, np.rot90(colours, -1))

    def test_sixteen_bits_are_scaled_and_not_cut_off(self):
        deep = np.array([[0, 256, 32896, 65535]], dtype=np.uint16)
        assert self.read(Image.fromarray(deep), "d.png")[0, :, 0].tolist() == [0, 0, 128, 255]
        plain = np.asarray(Image.open("other/d.png").convert("RGB"))
        assert plain[0, :, 0].tolist() == [0, 255, 255, 255]  # a naive reader's

    def test_twelve_bits_in_sixteen_are_noted(self):
        for name, brightest in (("dim", 4095), ("bright", 65535)):
            deep = np.linspace(0, brightest, 64).astype(np.uint16).reshape(8, 8)
            Image.fromarray(deep).save(f"pics/{name}.png")
        Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save("pics/black.png")
        loader = build_data({"kind": "images", "path": "pics"}, (checkpoint("vit"),) * 2)
        assert data_notes(loader) == []
        list(loader)
        assert [(note.code, note.text) for note in data_notes(loader)] == [
            (
                "dark_pictures",
                "data: 1 picture of 16 bits ('dim.png') came out almost black: no value uses more "
                "than 12 of the bits. Scale the values to 16 bits (12-bit ones times 16).",
            )
        ]

    def test_pixels_without_a_range(self):
        with pytest.raises(
            ConfigError, match=r"^data.path: 'f.tif' has pixels of 32 bits \(mode 'F'\)"
        ):
            self.read(Image.fromarray(np.ones((2, 2), dtype=np.float32)), "f.tif")


class TestBatches:
    def test_one_processor_gives_mappings(self):
        found = batches(b="vit-copy", order="as_is", batch_size=4)
        assert [len(each["sample_ids"]) for each in found] == [4, 4, 2]
        pictures = [Image.open(f"pics/{name}") for name in found[0]["sample_ids"]]
        expected = SQUARE(pictures, return_tensors="pt")["pixel_values"]
        assert torch.equal(found[0]["pixel_values"], expected)

    def test_two_processors_give_each_model_its_own(self):
        [found] = batches(b="cnn")
        assert isinstance(found, PairedBatch)
        pictures = [Image.open(f"pics/{name}") for name in found.ids]
        for half, processor in ((found.a, SQUARE), (found.b, CROPPED)):
            expected = processor(pictures, return_tensors="pt")["pixel_values"]
            assert torch.equal(half["pixel_values"], expected)
        assert not torch.equal(found.a["pixel_values"], found.b["pixel_values"])

    def test_shuffled_is_one_fixed_permutation(self):
        [first], [second] = batches(), batches()
        assert first["sample_ids"] == second["sample_ids"]
        assert sorted(first["sample_ids"]) == sorted(find_pictures("pics").ids)
        assert first["sample_ids"] != find_pictures("pics").ids

    def test_a_processor_of_one_channel_gets_grey(self, tmp_path):
        grey = ViTImageProcessorPil(
            size={"height": 8, "width": 8}, image_mean=[0.5], image_std=[0.5]
        )
        grey.save_pretrained("grey")
        [found] = batches(processor_a="grey", processor_b="grey")
        assert found["pixel_values"].shape == (10, 1, 8, 8)

    def test_a_processor_by_the_name_of_its_file(self):
        spec = checkpoint("cnn/preprocessor_config.json")
        [found] = batches(processor_b=spec)
        assert isinstance(found, PairedBatch)
        assert torch.equal(found.b["pixel_values"], batches(b="cnn")[0].b["pixel_values"])

    def test_a_processor_from_a_factory(self):
        spec = {"kind": "python", "factory": "picture_processors:red"}
        [found] = batches(processor_a=spec, processor_b=spec)
        assert found.b is found.a
        assert found.a.shape == (10, 4, 4)
        other = {**spec, "kwargs": {"scale": 2.0}}
        [found] = batches(processor_a=spec, processor_b=other)
        assert torch.equal(found.a * 2.0, found.b)


class TestProcessorsThatDoNotFit:
    @pytest.mark.parametrize(
        ("models", "spec", "words"),
        [
            (
                ("vit", "bare"),
                {},
                "processor_b: 'bare' holds no image processor; name one that fits the model: "
                "processor_b: FOLDER, or {kind: python, factory: ...}",
            ),
            (
                ("vit", None),
                {},
                "processor_b: missing; a model of kind 'python' has no image processor of its own",
            ),
            (
                ("vit", "vit"),
                {"processor_b": checkpoint("bare")},
                "processor_b.path: 'bare' holds no image processor",
            ),
            (
                ("vit", "vit"),
                {"processor_a": checkpoint("new.json")},
                "processor_a.path: no image processor can be loaded from 'new.json': it needs "
                "torchvision, which is not installed: pip install torchvision",
            ),
        ],
    )
    def test_one_line(self, tmp_path, monkeypatch, models, spec, words):
        monkeypatch.setattr("hooksim.loading.preparation.find_spec", lambda name: None)
        (tmp_path / "bare").mkdir()
        (tmp_path / "bare/config.json").write_text('{"model_type": "vit"}')
        only_torchvision = {"image_processor_type": "DINOv3ViTImageProcessor"}
        (tmp_path / "new.json").write_text(json.dumps(only_torchvision))
        specs = tuple(checkpoint(path) if path else {"kind": "python"} for path in models)
        with pytest.raises(ConfigError) as error:
            build_data({"kind": "images", "path": "pics", **spec}, specs)
        assert str(error.value) == words

    def test_samples_that_are_not_one_of_each_picture(self):
        spec = {"kind": "python", "factory": "picture_processors:patches"}
        with pytest.raises(ConfigError) as error:
            batches(processor_b=spec)
        assert str(error.value) == (
            "data.processor_b: it makes 20 samples of 10 pictures (pixel_values (20, 4) float32); "
            "expected one of each"
        )

    def test_pictures_of_different_sizes_that_stay_so(self, tmp_path):
        Image.fromarray(pixels(0, 5, 7)).save("pics/a/0.png")
        ViTImageProcessorPil(do_resize=False).save_pretrained("as-they-are")
        with pytest.raises(ConfigError) as error:
            batches(processor_a=checkpoint("as-they-are"), order="as_is")
        words = str(error.value)
        assert words.startswith("data.processor_a: it makes no batch of these pictures (")
        assert "'a/0.png' 7 x 5, 'b/9.png' 12 x 10" in words
        assert "\n" not in words
