"""The command line: ``segapp run | sample | stages | compare | app``."""

from segapp.cli.main import main

__all__ = ["main"]
