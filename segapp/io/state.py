"""Where the app keeps what must outlive a page: one small text a session, in a folder of the user."""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

from segapp.core.types import InputError
from segapp.io.atomic import atomic_file

KEPT = 30
"""Sessions that are kept; the oldest go first."""

_WORD = re.compile(r"[a-z0-9]{8,32}")


def state_folder() -> Path:
    """Return the folder: SEGAPP_STATE, or what the system has for the state of programs.

    Examples
    --------
    >>> state_folder().name
    'segapp'
    """
    chosen = os.environ.get("SEGAPP_STATE")
    if chosen:
        return Path(chosen) / "segapp"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "segapp"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "segapp"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "segapp"


def new_word() -> str:
    """Return a word for a session that nobody guesses."""
    return secrets.token_hex(8)


def write_state(word: str, text: str) -> Path:
    """Keep the text of a session; only its owner may read it.

    Examples
    --------
    >>> import tempfile
    >>> os.environ["SEGAPP_STATE"] = tempfile.mkdtemp()
    >>> word = new_word()
    >>> _ = write_state(word, "k = 7")
    >>> read_state(word), [w for w in list_states()] == [word], read_state("0" * 16)
    ('k = 7', True, None)
    >>> del os.environ["SEGAPP_STATE"]
    """
    path = _path(word)
    with atomic_file(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8")
    for old in list_states()[KEPT:]:
        _path(old).unlink(missing_ok=True)
    return path


def read_state(word: str) -> str | None:
    """Return the text that is kept under `word`, or None."""
    try:
        return _path(word).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def list_states() -> list[str]:
    """Return the words of the sessions that are kept, the newest first."""
    folder = state_folder() / "sessions"
    found = [path for path in folder.glob("*.json") if _WORD.fullmatch(path.stem)] if folder.is_dir() else []
    return [path.stem for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def _path(word: str) -> Path:
    if not _WORD.fullmatch(word):
        raise InputError(f"{word!r} names no saved session: it must be 8 to 32 letters and digits")
    return state_folder() / "sessions" / f"{word}.json"
