"""What fills the layers of the linked views, without a session: hand-made arrays, and the messages to the page."""

import numpy as np
import pytest

from segapp.views.canvas import Canvas, Legend, Mark
from segapp.views.layers import Layers
from segapp.views.scene import SCENE


@pytest.fixture
def layers(sent):
    made = Layers(Canvas())
    made.canvas.place((20, 40), 0.5)
    made.update(artefacts())
    sent.clear()
    return made


def artefacts():
    cells, nuclei = np.zeros((20, 40), np.int32), np.zeros((20, 40), np.int32)
    cells[4:14, 4:16], nuclei[6:12, 6:12] = 1, 1
    cells[4:14, 16:22], nuclei[6:12, 18:20] = 2, 2
    cells[16:18, 30:36] = 5
    total = np.zeros((20, 40), np.uint32)
    total[4:14, 4:16] = 1
    total[4:14, 16:22] = 3
    scores = np.where(cells > 0, 0.25 * cells, 0).astype(np.float32).clip(0, 1)
    stain = np.arange(800, dtype=np.uint16).reshape(20, 40)
    return {
        "stain": stain,
        "stain_raw": stain[:, ::-1].copy(),
        "total": total,
        "nuclear": None,
        "cell_scores": scores,
        "cells": cells,
        "nuclei": nuclei,
        "nuclei_provenance": np.array([0, 1, 2], np.uint8),
        "ghosts": np.zeros_like(cells),
    }


def last(sent, layer):
    """The newest content of a layer."""
    for message, buffers in reversed(sent):
        for frame in message.get("frames", ()):
            if frame["layer"] == layer:
                return {
                    name: np.frombuffer(buffers[c["buffer"]], c["dtype"]).reshape(c["shape"])
                    for name, c in frame["columns"].items()
                    if isinstance(c, dict)
                }
    return None


def colour_of(layers, sent, label):
    """The colour that a cell has on the screen."""
    image = last(sent, "fill")["image"]
    (index,) = set(image[layers.artefacts["cells"] == label].tolist())
    return layers.canvas.palettes["fill"][index]


@pytest.mark.parametrize(
    ("by", "title", "low", "high"),
    [("area", "Area", "12", "120"), ("counts", "UMIs", "120", "180"), ("score", "score", "0.25", "1")],
)
def test_cells_by_a_number_have_a_legend_and_the_largest_is_brightest(layers, sent, by, title, low, high):
    layers.use(colour_by=by)
    legend = layers.canvas.legends["labels"]
    assert title in legend["title"] and (legend["low"], legend["high"]) == (low, high)
    values = {"area": (120, 60, 12), "counts": (120, 180, 0), "score": (0.25, 0.5, 1.0)}[by]
    order = [label for _, label in sorted(zip(values, (1, 2, 5), strict=True))]
    index = [layers.canvas.palettes["fill"].index(colour_of(layers, sent, label)) for label in order]
    assert index == sorted(index) and index[-1] == 255
    layers.use(colour_by="id")
    assert layers.canvas.legends == {} and layers.canvas.palettes["fill"][0] == "#00000000"


def test_cells_by_source_name_what_occurs(layers, sent):
    layers.use(colour_by="source")
    entries = dict(layers.canvas.legends["labels"]["entries"])
    assert list(entries.values()) == ["no nucleus found", "watershed", "network"]
    assert [entries[colour_of(layers, sent, label)] for label in (1, 2, 5)] == [
        "watershed",
        "network",
        "no nucleus found",
    ]


def test_without_the_numbers_cells_keep_their_own_colours(layers, sent):
    layers.drop(["total"])
    layers.use(colour_by="counts")
    assert layers.canvas.legends == {}
    layers.update({"total": artefacts()["total"]})
    assert "UMIs" in layers.canvas.legends["labels"]["title"]


def test_numbers_follow_the_cells(layers, sent):
    layers.use(colour_by="area")
    cells = layers.artefacts["cells"].copy()
    cells[cells == 5] = 0
    layers.update({"cells": cells})
    assert layers.canvas.legends["labels"]["low"] == "60"


def test_a_highlighted_cell_is_outlined_in_every_new_result(layers, sent):
    layers.highlight(2)
    curve = last(sent, "highlight")
    assert (np.nanmin(curve["x"]), np.nanmax(curve["x"])) == (16, 22)
    cells = np.roll(layers.artefacts["cells"], 3, 1)
    layers.update({"cells": cells})
    assert np.nanmax(last(sent, "highlight")["x"]) == 25
    layers.highlight(None)
    assert last(sent, "highlight")["x"].size == 0


def test_a_highlighted_area_is_a_closed_curve(layers, sent):
    layers.highlight([np.array([[1, 1], [5, 1], [5, 9]])])
    assert last(sent, "highlight")["x"].tolist()[:4] == [1, 5, 5, 1]
    assert np.isnan(last(sent, "highlight")["x"][4])


def test_an_overlay_brings_its_colours_and_its_legend(layers, sent):
    image = np.zeros((20, 40), np.uint8)
    image[2:5] = 2
    layers.overlay(image, ["#ff0000", "#00ff00"], Legend("From A to B", (("#00ff00", "3 gained"),)))
    assert (last(sent, "overlay")["image"] == image).all()
    assert layers.canvas.palettes["overlay"][:3] == ["#00000000", "#ff0000", "#00ff00"]
    assert layers.canvas.legends["labels"]["title"] == "From A to B"
    layers.overlay(None)
    assert last(sent, "overlay")["image"].shape == (1, 1) and layers.canvas.legends == {}


def test_contrast_is_left_to_the_page(layers):
    """Bytes span nearly all values; the page knows the byte of every percentile."""
    levels = layers.canvas.levels["stain"]["levels"]
    assert len(levels) == 1001 and levels == sorted(levels) and (levels[0], levels[-1]) == (0, 255)
    assert layers.canvas.levels["rna"]["low"] == 0
    layers.update({"bins": np.ones((20, 40), np.uint8)})
    layers.use(rna="bins")
    assert layers.canvas.levels["rna"] is None


def new_page(layers):
    """Show the same view in a page that has nothing yet."""
    (x0, y0, x1, y1), screen = layers.canvas.view.bounds, layers.canvas.view.screen
    layers.canvas._receive(None, {"type": "ready", "view": [x0, y0, x1, y1], "screen": list(screen)}, [])


def test_what_the_page_shows_already_is_not_sent_again(layers, sent):
    new_page(layers)
    layers.send_all()
    assert last(sent, "stain")["image"].any()
    sent.clear()
    layers.update({"cells": layers.artefacts["cells"].copy()})
    layers.send_all()
    assert not sent


def test_layers_on_demand_travel_while_they_are_seen_only(layers, sent):
    new_page(layers)
    layers.send_all()
    assert last(sent, "nuclei_fill")["image"].shape == (1, 1)
    layers.canvas._receive(None, {"type": "wanted", "layers": ["nuclei_fill", "cells", "no such layer"]}, [])
    assert last(sent, "nuclei_fill")["image"].shape == (20, 40)
    assert layers.canvas.wanted == {"nuclei_fill", "cells"}


def test_the_stain_is_compared_with_rna_or_with_itself(layers, sent):
    layers.canvas._receive(None, {"type": "wanted", "layers": ["other", "stain"]}, [])
    layers.use(compare="flicker")
    rna = last(sent, "other")["image"]
    assert rna.shape == (20, 40) and rna[9, 19] > rna[1, 1]
    layers.use(compare="before")
    before = last(sent, "other")["image"]
    new_page(layers)
    layers.send(["stain"])
    assert (before == last(sent, "stain")["image"][:, ::-1]).all()


def test_every_style_draws_what_the_scene_holds():
    drawn = {layer.name: layer.panels for layer in (*SCENE.images, *SCENE.curves)}
    for switch in SCENE.switches:
        for style in switch.styles.values():
            assert all(set(panels) <= set(drawn[layer]) for layer, panels in style.items())


def test_keys_of_layers_and_tools_are_told_apart():
    keys = [item.key for item in (*SCENE.switches, *SCENE.tools)]
    assert len(set(keys)) == len(keys) and not set(keys) & set("+-=0byzf?")


def test_taps_strokes_and_marks(sent):
    canvas, heard = Canvas(on_message=lambda kind, message: heard.append(kind)), []
    taps, strokes = [], []
    canvas.on_tap(lambda x, y: taps.append((x, y)))
    canvas.on_stroke(strokes.append)
    canvas._receive(None, {"type": "tap", "at": [3, 4.5]}, [])
    canvas._receive(None, {"type": "stroke", "tool": "split", "points": [[1, 2], [3, 4]], "target": "nuclei"}, [])
    assert taps == [(3.0, 4.5)] and heard == ["tap", "stroke"]
    assert strokes[0].points == ((1.0, 2.0), (3.0, 4.0)) and strokes[0].target == "nuclei"
    canvas.show_marks("a", [Mark(((1, 2),), "1")])
    canvas.show_marks("b", [Mark(((3, 4),), "2")])
    canvas.show_marks("a", ())
    assert [mark["text"] for mark in canvas.marks] == ["2"]
