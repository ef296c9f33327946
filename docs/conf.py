"""How Sphinx builds the documentation."""

from importlib.metadata import version as installed_version

project = "trade_runtime"
author = "the trade_runtime authors"
copyright = "2026, the trade_runtime authors"
release = installed_version("trade-runtime")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "code"  # docstrings write `names` as Markdown does

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_use_ivar = True

html_theme = "furo"
html_title = "trade_runtime"
