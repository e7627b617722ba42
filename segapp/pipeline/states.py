"""The state of every stage in words, and a session as text and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from segapp.pipeline.compute import Snapshot
from segapp.pipeline.events import Status
from segapp.pipeline.store import Store

if TYPE_CHECKING:
    from segapp.pipeline.session import Session


def states(
    snapshot: Snapshot, store: Store, running: str | None, failures: Mapping[str, str], targets: tuple[str, ...]
) -> dict[str, Status]:
    """Return the state of every stage.

    Parameters
    ----------
    snapshot : Snapshot
        Inputs and parameters.
    store : Store
        What was made.
    running : str or None
        The stage at work.
    failures : mapping of str to str
        Key of a stage -> why it failed.
    targets : tuple of str
        A stage that these artefacts do not depend on is off.

    Returns
    -------
    dict of str to Status
        By stage, in the order of the pipeline.
    """
    used = {stage.name for stage in snapshot.pipeline.closure(targets, snapshot.choice)}
    found: dict[str, Status] = {}
    for stage in snapshot.pipeline:
        key = snapshot.key(stage)
        entry = store.get(key)
        if stage.name not in used:
            found[stage.name] = Status("off", "The present choices do not use it.")
        elif running == stage.name:
            found[stage.name] = Status("running")
        elif entry is not None:
            found[stage.name] = Status("fresh", "; ".join(entry.notes), entry.seconds)
        elif key in failures:
            found[stage.name] = Status("failed", failures[key])
        elif (reason := snapshot.blocker(stage)) is not None:
            found[stage.name] = Status("blocked", reason)
        else:
            found[stage.name] = Status("stale", _waits_for(snapshot, failures, stage.name))
    return found


def _waits_for(snapshot: Snapshot, failures: Mapping[str, str], name: str) -> str:
    stage = snapshot.pipeline[name]
    for step in snapshot.pipeline.closure(stage.gives[:1], snapshot.choice):
        if step.name != name and snapshot.key(step) in failures:
            return f"Waits for {step.title}, which failed."
    return ""


def as_text(session: Session) -> str:
    """Return what `print` shows of a session: a line a stage."""
    lines = [f"Session({session.name or 'nothing loaded'}, preset {session.preset or 'none'})"]
    for name, status in session.statuses().items():
        seconds = "" if status.seconds is None else f"{status.seconds:8.2f} s"
        lines.append(f"  {name:<17} {status.state:<8} {seconds:>10}  {status.reason}".rstrip())
    return "\n".join(lines)


def as_html(session: Session) -> str:
    """Return what a notebook shows of a session: a row a stage."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(session.pipeline[name].title)}</th><td><code>{name}</code></td>"
        f"<td>{status.state}</td><td>{'' if status.seconds is None else f'{status.seconds:.2f} s'}</td>"
        f"<td style='text-align:left'>{escape(status.reason)}</td></tr>"
        for name, status in session.statuses().items()
    )
    caption = f"<b>Session</b> {escape(session.name or 'nothing loaded')}, preset {escape(session.preset or 'none')}"
    head = "<tr><th>Stage</th><th>Name</th><th>State</th><th>Took</th><th>Reason</th></tr>"
    return f"<p>{caption}</p><table><thead>{head}</thead><tbody>{rows}</tbody></table>"
