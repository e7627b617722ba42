"""The document of the linked views that is kept beside the code."""

import json

from segapp.views import compose
from segapp.views.scene import PANELS, SCENE, Scene


def test_the_kept_document_is_that_of_the_scene(monkeypatch):
    def composed(scene):
        raise AssertionError("document.json.gz is old: run python -m segapp.views.compose")

    monkeypatch.setattr(compose, "compose", composed)
    kept = compose.document(SCENE)
    text = json.dumps(kept.item)
    assert set(kept.drawn) == set(SCENE.layers)
    for layer in (*SCENE.images, *SCENE.curves):
        assert set(kept.drawn[layer.name]) == set(layer.panels)
        assert all(f'"{model}"' in text for ids in kept.drawn[layer.name].values() for model in ids)
    assert set(kept.figures) == {panel.name for panel in PANELS}


def test_another_scene_is_composed():
    made = compose.document(Scene(PANELS[:1], SCENE.images[:1]))
    assert list(made.figures) == ["stain"]
    assert made.drawn.keys() == {"stain"}


def test_the_page_brings_bokeh_of_the_installed_version():
    import bokeh

    script = compose.script()
    assert f'const wanted = "{bokeh.__version__}"' in script
    assert len(script) > 1_000_000
