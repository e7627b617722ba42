"""How stains of any type of pixels are stored in a chip."""

import numpy as np
import pytest

from segapp.cli.main import main
from segapp.core.types import Grid, InputError, StainFile
from segapp.io.chip import Chip, convert_chip
from segapp.io.chip.stains import scaling_of
from segapp.io.image import write_image
from segapp.io.samples import write_sample


@pytest.fixture(scope="module")
def gem(tmp_path_factory):
    return write_sample("tissue", tmp_path_factory.mktemp("files"), size=256)[0]


@pytest.fixture
def convert(gem, tmp_path):
    def convert(image, axes="YX", name="a.tif"):
        stain = StainFile(image, axes=axes, name=name, digest="d")
        return convert_chip(gem, tmp_path / "chip", stain=stain)

    return convert


def floats(channels=1, seed=0):
    rng = np.random.default_rng(seed)
    image = np.squeeze(rng.gamma(2, 0.1, (channels, 256, 256)).astype(np.float32))
    return image


def test_floats_are_scaled_over_their_range_and_it_is_said(convert):
    image = floats() - np.float32(0.5)
    chip = convert(image)
    low, high = float(image.min()), float(image.max())
    assert chip.stain["dtype"] == "uint16" and chip.stain["bounds"] == [[low, high]]
    assert chip.notes == (
        f"The pixels of a.tif (float32) were stored as 16 bits: {low:.6g} to {high:.6g} became 0 to 65535.",
    )
    stored = chip.stain_image(Grid(0, 0, 256, 256))
    assert stored.min() == 0 and stored.max() == 65535 == chip.stain["highest"][0]
    # nothing is further from its value than half a step
    np.testing.assert_allclose(stored * ((high - low) / 65535) + low, image, atol=0.51 * (high - low) / 65535)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32, np.float32, np.float64])
def test_whole_numbers_of_16_bits_stay_the_same(convert, dtype):
    image = np.random.default_rng(1).integers(0, 30_000, (256, 256)).astype(dtype)
    chip = convert(image)
    np.testing.assert_array_equal(chip.stain_image(Grid(0, 0, 256, 256)), image)
    assert "stayed the same" in chip.notes[0]


def test_stains_of_8_and_16_bits_are_as_they_were(convert, tmp_path):
    image = np.random.default_rng(1).integers(0, 200, (256, 256)).astype(np.uint8)
    chip = convert(image)
    assert chip.notes == () and chip.stain["dtype"] == "uint8" and chip.stain["digest"] == "d"


def test_negative_and_large_whole_numbers_are_scaled():
    image = np.array([[-7, 0, 200_000]], np.int32)
    scaling = scaling_of(image, False, "a.tif")
    assert scaling.bounds == ((-7.0, 200_000.0),)
    assert scaling.apply(image).tolist() == [[0, 2, 65535]]


def test_a_hot_pixel_takes_no_levels_from_the_tissue():
    image = floats()
    image[3, 3] = 1e6
    scaling = scaling_of(image, False, "a.tif")
    made = scaling.apply(image)
    assert "brighter pixels 65535" in scaling.text and made[3, 3] == 65535
    assert len(np.unique(made)) > 2000


def test_channels_keep_their_own_range_and_those_of_one_picture_their_ratios(convert):
    image = floats(3) * np.array([1, 100, 0.01], np.float32)[:, None, None]
    stored = convert(image, "CYX").stain_image(Grid(0, 0, 256, 256))
    assert stored.max(axis=(1, 2)).tolist() == [65535] * 3
    scaling = scaling_of(image, True, "a.tif")
    assert len(set(scaling.bounds)) == 1
    made = scaling.apply(image).astype(float)
    assert made[1].mean() > 50 * made[0].mean()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_no_number_is_refused_and_nothing_is_left(convert, tmp_path, bad):
    image = floats().astype(np.float64)
    image[100, 200] = bad
    with pytest.raises(InputError, match=r"a.tif holds NaN, infinite or immense pixels; replace them"):
        convert(image)
    assert not (tmp_path / "chip").exists()


def test_a_stain_that_is_no_use_is_told_before_a_record_is_read(gem, tmp_path):
    image = floats()
    image[3, 4] = np.nan
    write_image(tmp_path / "a.tif", image)
    phases = []
    with pytest.raises(InputError, match=r"a.tif holds NaN"):
        convert_chip(gem, tmp_path / "chip", stain=tmp_path / "a.tif", tell=lambda phase, *_: phases.append(phase))
    assert phases == []


def test_the_command_line_says_what_was_done(gem, tmp_path, capsys):
    write_image(tmp_path / "f.tif", floats())
    words = ["convert", str(gem), "--stain", str(tmp_path / "f.tif"), "--out", str(tmp_path / "c")]
    assert main(words) == 0
    assert "f.tif (float32) were stored as 16 bits" in capsys.readouterr().err
    assert Chip.open(tmp_path / "c").stain["dtype"] == "uint16"
