"""What the server is told: addresses, tokens, limits; without starting one."""

import pytest

from segapp.app import server
from segapp.cli.main import main
from segapp.core.types import InputError


def test_the_settings_keep_files_sources_and_errors_to_themselves():
    chosen = server.settings(8866)
    page = chosen["VoilaConfiguration"]
    assert page["file_allowlist"] == [] and page["strip_sources"] and not page["show_tracebacks"]
    assert page["allow_template_override"] == page["allow_theme_override"] == "NO"
    assert chosen["Voila"]["tornado_settings"]["websocket_max_message_size"] == 200 << 20
    assert chosen["Voila"]["ip"] == "127.0.0.1"
    assert chosen["VoilaExecutor"]["iopub_timeout"] > 60  # a busy machine must not lose the page
    assert not page["preheat_kernel"] and "VoilaKernelManager" not in chosen


def test_idle_sessions_end_when_it_was_asked_for():
    usual, asked = server.settings(1), server.settings(1, idle_minutes=10)
    assert usual["MappingKernelManager"]["cull_idle_timeout"] == 1800
    assert not usual["MappingKernelManager"]["cull_connected"]
    assert asked["MappingKernelManager"]["cull_idle_timeout"] == 600
    assert asked["MappingKernelManager"]["cull_connected"]


def test_sessions_are_kept_ready():
    chosen = server.settings(1, preheat=2)
    assert chosen["VoilaConfiguration"]["preheat_kernel"]
    assert chosen["VoilaKernelManager"]["kernel_pools_config"]["default"]["pool_size"] == 2


@pytest.mark.parametrize(
    ("host", "given", "needs"), [("127.0.0.1", None, False), ("0.0.0.0", None, True), ("0.0.0.0", "mine", True)]
)
def test_who_comes_from_elsewhere_needs_a_token(monkeypatch, host, given, needs):
    started = {}

    class Process:
        def __init__(self, words, *, cwd, env, **named):
            started.update(words=words, env=env, file=(cwd / "voila.json").read_text())

        def poll(self):
            return 0

    monkeypatch.setattr(server.subprocess, "Popen", Process)
    monkeypatch.setattr(server, "_wait", lambda *words: None)
    served = server.start(sample="tissue", port=server.free_port(), host=host, token=given)
    try:
        assert bool(served.token) == needs
        assert (served.token in served.link) and (given is None or served.token == given)
        assert len(served.token) >= 20 or not needs or given
        assert not needs or served.token in started["file"]
        assert not needs or all(served.token not in word for word in started["words"])
    finally:
        served.stop()


def test_a_root_that_is_no_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        server.start(sample="tissue", port=server.free_port(), root=tmp_path / "none")


def test_the_command_line_passes_everything_on(monkeypatch, tmp_path):
    told = {}
    monkeypatch.setattr("segapp.app.serve", lambda **named: told.update(named) or 0)
    words = ["app", "--host", "0.0.0.0", "--token", "t", "--root", str(tmp_path), "--idle-timeout", "5"]
    assert main([*words, "--max-upload", "12", "--preheat", "1", "--no-browser"]) == 0
    assert (told["host"], told["token"], told["root"]) == ("0.0.0.0", "t", str(tmp_path))
    assert (told["idle_minutes"], told["max_upload_mb"], told["preheat"]) == (5, 12, 1)
