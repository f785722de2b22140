"""The documentation as a site: `make docs` builds it from the Markdown of this folder into build/site."""

from __future__ import annotations

from pyronym import __version__

project = "pyronym"
author = copyright = "the pyronym developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
default_role = "literal"  # docstrings have names in single backquotes

html_theme = "furo"
html_title = f"pyronym {release}"
html_show_sphinx = False
html_show_sourcelink = False

myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
