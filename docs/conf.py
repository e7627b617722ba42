"""How the documentation is built: ``make docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import segapp

project = "segapp"
author = "The segapp developers"
copyright = "2026, The segapp developers"
version = release = segapp.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "declared"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "py:obj"
"""Docstrings name objects in single backticks: they become links where the reference has the object."""

autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "ignore-module-all": True,
    "exclude-members": "model_config, warm",
    "no-value": True,
}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"segapp {release}"
html_static_path = ["_static"]
html_css_files = ["segapp.css"]
html_show_sphinx = False
