"""How a feature plugs into the app.

Add one in three steps:

1. A class in a module of its own in `segapp/app/features/`, derived from `Feature`, with a `name`::

       class Histograms(Feature):
           name = "histograms"

           def __init__(self, app):
               super().__init__(app)
               self.panel = HistogramPanel(self.move_threshold)     # widgets live in segapp/views
               self.drawer = {"Histograms": self.panel.widget}      # a slot

           def result(self, stage, artefacts):                      # an event
               if stage == "cell_score":
                   self.panel.show(artefacts["cell_scores"])

           @guarded
           def move_threshold(self, value):                         # a callback of a widget
               self.session.set("cell_mask", threshold=value)

2. Its row in `FEATURES` (`segapp/app/features/__init__.py`); the order there is the order on the page.
3. A test: ``App(session)`` without a loop computes at once; ``app.features["histograms"]`` is the object.

Slots are attributes that the page reads once, after ``__init__``: `header` (before Run full), `header_end` (last in
the header), `lines` (messages over the lower part of the views), `drawer` (title -> widget: tabs beside or below the
views, 280 px and wider, so contents wrap; built on first sight where the value is a function that returns the
widget), `cards` (stage -> widgets below the controls of its card), `overlay` (over the whole page; each positions
itself), `menu` ((title, what it does, function): the menu at the end of the header), `keys` ("ctrl+z" -> (title,
function); the list of keys shows them).

Events are the methods of `Feature` below; override those that matter. They run on the thread of the widgets. What an
event or a `guarded` callback raises becomes a banner, and no other feature notices. Work that takes longer than a
few milliseconds belongs into ``self.app.background(work, done)``.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segapp.core.types import SegappError

if TYPE_CHECKING:
    import ipywidgets as w

    from segapp.app.dashboard import App
    from segapp.views.canvas import View

log = logging.getLogger(__name__)


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Show what a callback raises as a banner: an exception in a callback is not seen otherwise.

    The object of the method has a `banner`: the app, or a feature.
    """

    @functools.wraps(method)
    def call(self: Any, *values: Any, **named: Any) -> Any:
        try:
            return method(self, *values, **named)
        except SegappError as error:
            self.banner.show(str(error))
        except Exception as error:
            log.exception("a callback failed")
            self.banner.show(
                f"Something went wrong in the app: {type(error).__name__}: {error}",
                detail="".join(traceback.format_exception(error)),
            )
        return None

    return call


class Feature:
    """One thing that the app can do; see the module's text.

    Parameters
    ----------
    app : App

    Attributes
    ----------
    session, canvas, layers, live, panels, status, banner
        The app's own, by their short names.
    """

    name = ""
    header: Sequence[w.Widget] = ()
    header_end: Sequence[w.Widget] = ()
    lines: Sequence[w.Widget] = ()
    drawer: Mapping[str, w.Widget | Callable[[], w.Widget]] = {}
    cards: Mapping[str, Sequence[w.Widget]] = {}
    overlay: Sequence[w.Widget] = ()
    keys: Mapping[str, tuple[str, Callable[[], None]]] = {}
    menu: Sequence[tuple[str, str, Callable[[], None]]] = ()

    def __init__(self, app: App) -> None:
        self.app = app
        self.session = app.session
        self.canvas = app.canvas
        self.layers = app.layers
        self.live = app.live
        self.panels = app.panels
        self.status = app.status
        self.banner = app.banner

    # ---- events

    def ready(self) -> None:
        """The page frame is built, every feature exists; nothing needs to be loaded."""

    def loaded(self) -> None:
        """The session has new inputs."""

    def changed(self, stage: str) -> None:
        """Parameters of a stage changed."""

    def going(self) -> None:
        """A request for results starts."""

    def started(self, stage: str) -> None:
        """A stage begins."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """A stage has done `done` of `total`."""

    def result(self, stage: str, artefacts: Mapping[str, Any]) -> None:
        """A stage gave artefacts, or they were in the store; the views show them already."""

    def meanwhile(self, artefacts: Mapping[str, Any]) -> None:
        """Cells without the network are shown until it has found its nuclei; they are no result."""

    def failed(self, stage: str, sentence: str) -> None:
        """A stage stopped with an error."""

    def idle(self) -> None:
        """Nothing is computed any more."""

    def paused(self, stage: str, seconds: float) -> None:
        """A change of a stage waits for a person: its preview took `seconds` the last time."""

    def stopped(self) -> None:
        """A person pressed Cancel; `idle` follows."""

    def refresh(self) -> None:
        """Cards are brought up to date: states, reasons, seconds; at most a few times a second."""

    def view(self, view: View) -> None:
        """The visible part changed."""

    def pointer(self, at: tuple[float, float] | None) -> None:
        """The pointer moved to (x, y) in array px, or left."""

    def choice(self, name: str, value: str) -> None:
        """A list in the toolbar of the views was set."""

    def hello(self, query: str) -> Any:
        """The page is shown; `query` is what its address asks for, empty in a notebook."""

    def message(self, kind: str, message: Mapping[str, Any]) -> None:
        """The page of the views sent something else: a tap, a stroke, a key."""


class Fan:
    """Hands every event to every feature; one that fails is a banner and stops no other.

    Parameters
    ----------
    banner : Banner
    features : iterable of Feature
    """

    def __init__(self, banner: Any, features: Iterable[Feature]) -> None:
        self.banner = banner
        self.features = tuple(features)

    def __call__(self, event: str, *values: Any) -> None:
        """Call the method `event` of every feature that overrides it."""
        for feature in self.features:
            if getattr(type(feature), event) is not getattr(Feature, event):
                self._one(getattr(feature, event), values)

    @guarded
    def _one(self, method: Callable[..., None], values: tuple[Any, ...]) -> None:
        method(*values)
