"""Tests of optional packages run where the package is installed: `make test-tensorflow` has an environment for it."""

from importlib.util import find_spec

collect_ignore = [f"test_{name}.py" for name in ("tensorflow", "cellpose") if find_spec(name) is None]
# scripts that write fixtures import packages that no test needs
collect_ignore += ["make_keras_fixtures.py", "make_onnx_fixtures.py", "make_tiny_network.py"]
