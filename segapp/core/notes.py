"""What a stage has to say of its data beside its result: a note in the app, a warning in a script."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

_here = threading.local()


def note(text: str, stacklevel: int = 1) -> None:
    """Say something of the data that the user should know.

    Parameters
    ----------
    text : str
        One sentence.
    stacklevel : int, default: 1
        As in `warnings.warn`: 1 is the caller.

    Warns
    -----
    UserWarning
        Unless this thread collects notes; see `collected`.
    """
    heard: list[str] | None = getattr(_here, "heard", None)
    if heard is None:
        warnings.warn(text, UserWarning, stacklevel=stacklevel + 1)
    else:
        heard.append(text)


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """Collect the notes of this thread in place of warning; other threads go on as they were.

    `warnings.catch_warnings` changes the filters of all threads at once, and two that overlap leave them changed.

    Examples
    --------
    >>> with collected() as notes:
    ...     note("the frame has no RNA")
    >>> notes
    ['the frame has no RNA']
    """
    before: list[str] | None = getattr(_here, "heard", None)
    notes: list[str] = []
    _here.heard = notes
    try:
        yield notes
    finally:
        _here.heard = before
