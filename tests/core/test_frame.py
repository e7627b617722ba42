"""The frame: stain and transcripts lie over each other, or one sentence says why they cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core import frame, rna
from segapp.core.frame import ORIENTATIONS, RnaParams, StainParams
from segapp.core.types import Grid, InputError, StainFile, Transcripts, Unavailable


def make_transcripts(x, y, gene=None, total=None, genes=("Malat1", "Actb"), header=None, **layers):
    x, y = np.asarray(x, np.int32), np.asarray(y, np.int32)
    gene = np.zeros(len(x), np.int32) if gene is None else np.asarray(gene, np.int32)
    total = np.ones(len(x), np.uint32) if total is None else np.asarray(total, np.uint32)
    counts = {"total": total, **{name: np.asarray(value, np.uint32) for name, value in layers.items()}}
    return Transcripts(x, y, gene, counts, tuple(genes), header or {})


def ramp(height, width, dtype=np.uint8):
    return (np.arange(height * width) % 251).astype(dtype).reshape(height, width)


def stain_file(image, **kwargs):
    return StainFile(image, name="stain.tif", **kwargs)


BOX = make_transcripts([0, 39, 5], [0, 29, 7])


def test_frame_without_stain_is_the_bounding_box():
    stain, grid = frame.place_stain(None, make_transcripts([9600, 9898], [12600, 12899]), 0.5, StainParams())
    assert stain is None
    assert grid == Grid(9600, 12600, 300, 299, 0.5)


def test_frame_is_the_stains_and_rows_are_y():
    image = ramp(30, 40)
    stain, grid = frame.place_stain(stain_file(image), BOX, 0.5, StainParams())
    np.testing.assert_array_equal(stain, image)
    assert grid == Grid(0, 0, 30, 40, 0.5)


@pytest.mark.parametrize(
    ("origin", "start"), [("zero", (0, 0)), ("min", (3, 2)), ("header", (1, 2))], ids=["zero", "min", "header"]
)
def test_origin(origin, start):
    transcripts = make_transcripts([3, 38], [2, 28], header={"OffsetX": "1", "OffsetY": "2"})
    _, grid = frame.place_stain(stain_file(ramp(30, 40)), transcripts, 0.5, StainParams(origin=origin))
    assert (grid.x0, grid.y0) == start


def test_header_offsets_are_never_added():
    transcripts = make_transcripts([0, 39], [0, 29], header={"OffsetX": "9600", "OffsetY": "12600"})
    _, grid = frame.place_stain(stain_file(ramp(30, 40)), transcripts, 0.5, StainParams())
    assert (grid.x0, grid.y0) == (0, 0)


def test_origin_header_without_offsets():
    with pytest.raises(InputError, match="OffsetX and OffsetY"):
        frame.place_stain(stain_file(ramp(30, 40)), BOX, 0.5, StainParams(origin="header"))


def test_stain_that_lies_across_names_both_shapes_and_the_transpose():
    with pytest.raises(InputError, match=r"40 x 30 px .* 30 x 40 px.*try stain.orientation=transpose$"):
        frame.place_stain(stain_file(ramp(40, 30)), BOX, 0.5, StainParams())
    stain, _ = frame.place_stain(stain_file(ramp(40, 30)), BOX, 0.5, StainParams(orientation="transpose"))
    np.testing.assert_array_equal(stain, ramp(40, 30).T)


def test_stain_at_the_wrong_origin_names_the_origin():
    transcripts = make_transcripts([9600, 9639], [12600, 12629])
    with pytest.raises(InputError, match=r"2 UMIs \(100 %\) lie outside.*try stain.origin=min$"):
        frame.place_stain(stain_file(ramp(30, 40)), transcripts, 0.5, StainParams())
    with pytest.raises(InputError, match=r"try stain.orientation=transpose and stain.origin=min$"):
        frame.place_stain(stain_file(ramp(40, 30)), transcripts, 0.5, StainParams())


def test_stain_at_another_scale_names_the_scale():
    with pytest.raises(InputError, match=r"15 x 20 px .* look larger .* stain.um_per_px=1$"):
        frame.place_stain(stain_file(ramp(15, 20)), BOX, 0.5, StainParams())
    with pytest.raises(InputError, match=r"4.0 times the area.* look smaller .* stain.um_per_px=0.25$"):
        frame.place_stain(stain_file(ramp(60, 80)), BOX, 0.5, StainParams())


def test_stain_up_to_twice_the_area_is_accepted():
    stain, grid = frame.place_stain(stain_file(ramp(60, 40)), BOX, 0.5, StainParams())
    assert stain.shape == grid.shape == (60, 40)


@pytest.mark.parametrize(
    ("image", "axes", "channels", "listed"),
    [
        (
            np.stack([ramp(30, 40)] * 3, -1),
            "YXS",
            (),
            "an RGB image; set stain.channel to one of red, green, blue, grey",
        ),
        (np.stack([ramp(30, 40)] * 2), "CYX", ("DAPI", "WGA"), "2 channels; set stain.channel to one of DAPI, WGA"),
        (np.stack([ramp(30, 40)] * 2), "CYX", (), "2 channels; set stain.channel to one of 0, 1"),
    ],
    ids=["rgb", "named", "unnamed"],
)
def test_several_channels_without_a_choice_are_listed(image, axes, channels, listed):
    with pytest.raises(InputError, match=listed):
        frame.place_stain(stain_file(image, axes=axes, channels=channels), BOX, 0.5, StainParams())


def test_channels_are_chosen_by_name_number_or_grey():
    planes = np.stack([np.full((2, 2), i, np.uint8) + np.eye(2, dtype=np.uint8) for i in (10, 20, 33)])
    named = stain_file(planes, axes="CYX", channels=("DAPI", "WGA", "ssDNA"))
    rgb = stain_file(np.moveaxis(planes, 0, -1), axes="YXS")
    np.testing.assert_array_equal(frame.choose_channel(named, "ssdna"), planes[2])
    np.testing.assert_array_equal(frame.choose_channel(named, "1"), planes[1])
    np.testing.assert_array_equal(frame.choose_channel(rgb, "green"), planes[1])
    np.testing.assert_array_equal(frame.choose_channel(rgb, "grey"), np.full((2, 2), 21) + np.eye(2))
    assert frame.choose_channel(stain_file(planes[:1], axes="CYX"), "auto").shape == (2, 2)
    with pytest.raises(InputError, match=r"none is called Hoechst; .* DAPI, WGA, ssDNA"):
        frame.choose_channel(named, "Hoechst")
    with pytest.raises(InputError, match="single channel"):
        frame.choose_channel(stain_file(planes[0]), "WGA")


@pytest.mark.parametrize("dtype", [np.uint8, ">u2", np.int16, np.float64, np.float32])
def test_stain_dtypes(dtype):
    image = frame.choose_channel(stain_file(ramp(30, 40).astype(dtype)), "auto")
    assert image.dtype.isnative and image.dtype in (np.uint8, np.uint16, np.float32)
    np.testing.assert_array_equal(image, ramp(30, 40))


def test_constant_and_broken_stains_are_refused():
    with pytest.raises(InputError, match=r"constant \(every pixel is 7\)"):
        frame.place_stain(stain_file(np.full((30, 40), 7, np.uint16)), BOX, 0.5, StainParams())
    broken = ramp(30, 40, np.float32)
    broken[3, 3] = np.nan
    with pytest.raises(InputError, match="NaN"):
        frame.choose_channel(stain_file(broken), "auto")
    with pytest.raises(InputError, match="no pixels"):
        frame.choose_channel(stain_file(np.zeros((0, 4))), "auto")
    with pytest.raises(InputError, match="axes"):
        frame.choose_channel(stain_file(np.zeros((2, 3, 4))), "auto")


def test_orientations_are_the_eight_of_the_square():
    image = ramp(3, 5)
    turned = {name: frame.orient(image, name) for name in ORIENTATIONS}
    assert len({(t.shape, t.tobytes()) for t in turned.values()}) == 8
    np.testing.assert_array_equal(turned["rot90"], np.rot90(image))
    np.testing.assert_array_equal(turned["rot180"], np.rot90(image, 2))
    np.testing.assert_array_equal(turned["rot270"], np.rot90(image, 3))
    np.testing.assert_array_equal(turned["flip-x"], np.fliplr(image))
    np.testing.assert_array_equal(turned["flip-y"], np.flipud(image))
    np.testing.assert_array_equal(turned["anti-transpose"], np.rot90(image, 2).T)
    with pytest.raises(InputError, match="rot90"):
        frame.orient(image, "sideways")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(0, 2), st.integers(0, 9)), min_size=1))
def test_rasterize_counts_every_umi_once(records):
    x, y, gene, count = (np.array(column) for column in zip(*records, strict=True))
    transcripts = make_transcripts(x, y, gene, count, genes=("A", "b", "C"))
    expected = np.zeros((5, 7), np.uint32)
    np.add.at(expected, (y, x), count.astype(np.uint32))
    np.testing.assert_array_equal(rna.rasterize(transcripts, Grid(0, 0, 5, 7), "total"), expected)
    parts = [rna.rasterize(transcripts, Grid(0, 0, 5, 7), "total", (name,)) for name in ("a", "B", "C")]
    np.testing.assert_array_equal(sum(parts), expected)


def test_rasterize_a_window_and_its_errors():
    counts = rna.rasterize(make_transcripts([4, 5, 9], [4, 5, 9]), Grid(5, 5, 2, 2), "total")
    np.testing.assert_array_equal(counts, [[1, 0], [0, 0]])
    with pytest.raises(InputError, match="more than"):
        rna.rasterize(make_transcripts([0, 0], [0, 0], total=[2**32 - 1, 1]), Grid(0, 0, 1, 1), "total")
    with pytest.raises(Unavailable, match="layers here are total"):
        rna.rasterize(BOX, Grid(0, 0, 1, 1), "spliced")


def test_nuclear_auto_prefers_unspliced_then_genes_then_says_why():
    grid = Grid(0, 0, 1, 3)
    both = make_transcripts([0, 1, 2], [0, 0, 0], [0, 1, 1], unspliced=[0, 3, 0])
    nuclear, total, source = rna.rna_layers(both, grid, RnaParams())
    assert (nuclear.tolist(), total.tolist(), source) == ([[0, 3, 0]], [[1, 1, 1]], "unspliced")
    shouting = make_transcripts([0, 1, 2], [0, 0, 0], [0, 1, 2], genes=("MALAT1", "Actb", "neat1"), unspliced=[0, 0, 0])
    nuclear, _, source = rna.rna_layers(shouting, grid, RnaParams())
    assert (nuclear.tolist(), source) == ([[1, 0, 1]], "genes: MALAT1, neat1")
    nuclear, total, source = rna.rna_layers(make_transcripts([0], [0], genes=("Actb",)), grid, RnaParams())
    assert nuclear is None and total.sum() == 1
    assert "no unspliced counts" in source and "Malat1" in source


def test_nuclear_by_name_or_a_sentence():
    grid = Grid(0, 0, 30, 40)
    nuclear, total, source = rna.rna_layers(BOX, grid, RnaParams(nuclear="total"))
    assert nuclear is total and source == "total"
    exon = make_transcripts([0], [0], exon=[5])
    assert rna.rna_layers(exon, grid, RnaParams(nuclear="exon"))[0][0, 0] == 5
    with pytest.raises(Unavailable, match=r"needs unspliced counts, but .* only total"):
        rna.rna_layers(BOX, grid, RnaParams(nuclear="unspliced"))
    with pytest.raises(Unavailable, match="found none of Foxp3"):
        rna.rna_layers(BOX, grid, RnaParams(nuclear="genes", genes=("Foxp3",)))


def test_pixel_size_from_bin_size_or_number():
    assert rna.pixel_size(BOX, RnaParams()) == 0.5
    assert rna.pixel_size(make_transcripts([0], [0], header={"BinSize": "20"}), RnaParams()) == 10.0
    assert rna.pixel_size(BOX, RnaParams(um_per_px=2)) == 2.0
    with pytest.raises(InputError, match="BinSize=twenty"):
        rna.pixel_size(make_transcripts([0], [0], header={"BinSize": "twenty"}), RnaParams())


def test_empty_transcripts_are_refused():
    with pytest.raises(InputError, match="empty"):
        frame.place_stain(None, make_transcripts([], []), 0.5, StainParams())


def test_warm_compiles():
    frame.warm()


def test_any_layer_may_be_called_nuclear_and_each_but_unspliced_comes_with_a_caution():
    records = make_transcripts([0], [0], genes=("Malat1",), spliced=[3], unspliced=[4])
    grid = Grid(0, 0, 1, 1)
    assert rna.rna_layers(records, grid, RnaParams(nuclear="spliced"))[0][0, 0] == 3
    assert "Spliced RNA fills whole cells" in rna.cautions(records, RnaParams(nuclear="spliced"))[0]
    assert rna.cautions(records, RnaParams(nuclear="unspliced")) == ()


def test_genes_that_are_not_there_are_named_with_those_that_are_spelled_like_them():
    records = make_transcripts([0, 0], [0, 0], genes=("Malat1", "Neat1"))
    typed = RnaParams(nuclear="genes", genes=("MALAT1", "Neat2", "Foxp3"))
    (sentence,) = rna.cautions(records, typed)
    assert sentence == "rna.genes: Neat2, Foxp3 are not among 2 genes (Neat1?)."
    assert rna.cautions(records, RnaParams(nuclear="genes", genes=("malat1", "NEAT1"))) == ()
    assert rna.cautions(records, RnaParams()) == ()  # the defaults are those that are found
    with pytest.raises(Unavailable, match=r"found none of Maltt1 .*\(Malat1\?\); set rna.genes"):
        rna.rna_layers(records, Grid(0, 0, 1, 1), RnaParams(nuclear="genes", genes=("Maltt1",)))


def test_bright_field_is_turned_over_and_grey_is_taken_of_its_colours():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (30, 40, 3), np.uint8)
    on = StainParams(invert="on")
    made, _ = frame.place_stain(stain_file(rgb, axes="YXS"), BOX, 0.5, on)
    grey = frame.choose_channel(stain_file(rgb, axes="YXS"), "grey")
    np.testing.assert_array_equal(made, 255 - grey)
    red, _ = frame.place_stain(stain_file(rgb, axes="YXS"), BOX, 0.5, on.with_(channel="red", orientation="flip-x"))
    np.testing.assert_array_equal(red, 255 - rgb[:, ::-1, 0])
    with pytest.raises(InputError, match=r"of dark nuclei on white \(H&E\), set stain.invert=on"):
        frame.place_stain(stain_file(rgb, axes="YXS"), BOX, 0.5, StainParams())
