"""Hands bytes to the browser as a file: the way out of a page that serves no files."""

from __future__ import annotations

import anywidget
import traitlets

_SCRIPT = """
export default {
  initialize({ model }) {
    const save = (message, buffers) => {
      const address = URL.createObjectURL(new Blob([buffers[0]], { type: "application/octet-stream" }));
      const link = document.createElement("a");
      link.href = address;
      link.download = message.name;
      document.body.append(link);
      link.click();
      link.remove();
      setTimeout(() => URL.revokeObjectURL(address), 60000);
    };
    model.on("msg:custom", save);
    return () => model.off("msg:custom", save);
  },
  render() {},
};
"""


class Download(anywidget.AnyWidget):
    """A widget without extent that saves bytes on the reader's machine."""

    _esm = traitlets.Unicode(_SCRIPT).tag(sync=True)

    def offer(self, name: str, content: bytes) -> None:
        """Let the browser save `content` under `name`."""
        self.send({"name": name}, [content])
