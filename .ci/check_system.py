"""Say in one sentence which piece of the system is missing, and which command brings it."""

import os
import shutil
import sys

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = {"libGL": "libgl1", "libgthread": "libglib2.0-0", "libglib": "libglib2.0-0", "libgomp": "libgomp1"}


def browser() -> str:
    named = os.environ.get("CHROMIUM", "")
    if named and shutil.which(named) is None:
        return f"CHROMIUM={named} cannot be run: set it to the path of a Chromium, or unset it."
    if named or any(shutil.which(name) for name in BROWSERS):
        return ""
    return (
        "the browser tests need Chromium, and none was found: run 'apt-get install chromium', "
        "or set CHROMIUM to the path of one."
    )


def libraries() -> str:
    try:
        import cv2  # noqa: F401 - importing it loads the system's libraries
        import numba  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        package = next((package for name, package in PACKAGES.items() if name in str(error)), None)
        if package is None:
            return f"an installed package does not load ({error}): remove .venv and run 'make venv' again."
        return f"a library of the system is missing ({error}): run 'apt-get install {package}'."
    return ""


if __name__ == "__main__":
    problem = {"browser": browser, "libraries": libraries}[sys.argv[1]]()
    if problem:
        sys.exit(problem)
