"""Fail unless the tests in a real browser ran and passed, in Voilà and in JupyterLab."""

import sys
import xml.etree.ElementTree as ElementTree

WANTED = ("voila", "jupyterlab")


def passed(report: str) -> list[str]:
    cases = ElementTree.parse(report).iter("testcase")
    return [
        f"{case.get('classname', '')}.{case.get('name', '')}"
        for case in cases
        if not any(child.tag in ("failure", "error", "skipped") for child in case)
    ]


if __name__ == "__main__":
    in_browser = [name for name in passed(sys.argv[1]) if "tests.ui." in f".{name}"]
    missing = [word for word in WANTED if not any(word in name.lower() for name in in_browser)]
    if missing:
        sys.exit(f"no browser test of {' and '.join(missing)} passed; {len(in_browser)} tests in tests/ui did.")
    print(f"browser tests: {len(in_browser)} passed")
