"""The page that `segapp app` serves, in a real browser."""

import urllib.error
import urllib.request

import pytest

from segapp.app import server
from segapp.core.types import InputError
from tests.ui.page import check_everything, visit

pytestmark = pytest.mark.timeout(600)


def test_voila_page_from_slider_to_export(served, running, exports):
    with visit() as seen:
        seen.page.goto(served)
        check_everything(seen, exports)
        # nothing sticks out of the smallest page
        wide, tall = seen.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert (wide, tall) == (1280, 720)
        assert seen.elsewhere == []
        assert seen.failed == []

    # files beside the page are not served
    for name in ("table.csv", "script.py", "book.ipynb"):
        (running.folder / name).write_text("secret")
    for name in ("app.ipynb", "table.csv", "script.py", "book.ipynb", "voila.log", "voila.json"):
        assert status_of(f"{served}voila/files/{name}") == 403
        assert status_of(served + name) in (403, 404)
        assert status_of(f"{served}voila/files/../{name}") in (403, 404)


def status_of(address):
    """Return what the server answers."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address)
    refused.value.close()
    return refused.value.code


def test_a_taken_port_is_said_in_one_sentence(section):
    import socket

    with socket.socket() as taken:
        taken.bind((server.ADDRESS, 0))
        with pytest.raises(InputError, match="--port"):
            server.start(sample="tissue", port=taken.getsockname()[1])


def test_choices_that_exclude_each_other():
    with pytest.raises(InputError, match="one of them"):
        server.start(gem="a.gem", sample="tissue")
    with pytest.raises(InputError, match="GEM of the same section"):
        server.start(stain="a.tif")
