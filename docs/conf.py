"""Configure the documentation site: Sphinx reads the same Markdown that a code forge shows. script/docs builds it."""

from docutils import nodes
from sphinx.application import Sphinx

from openstack_image_manager import __version__

project = "openstack-image-manager"
version = release = __version__
copyright = "its authors, Apache-2.0"
extensions = ["myst_parser"]
exclude_patterns = ["examples"]
nitpicky = True
smartquotes = False  # it would turn the two dashes of an option into one

myst_enable_extensions = ["html_image"]  # pictures side by side are HTML on a forge too, and copied like the others
myst_heading_anchors = 3  # links such as life-cycle.md#retention work here as on a forge
suppress_warnings = ["misc.highlighting_failure"]  # excerpts with … are not whole documents
highlight_language = "text"

html_theme = "furo"
html_title = "openstack-image-manager"
html_use_index = False  # it would be empty
html_static_path = ["site"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"footer_icons": []}


def leave_out_decisions(app: Sphinx, _doctree: nodes.document) -> None:
    """Keep decisions out of menu and search: people who look for an option should not find the reasons behind it."""
    if app.env.docname.startswith("decisions/"):
        app.env.metadata[app.env.docname] |= {"nosearch": True, "orphan": True}


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", leave_out_decisions, priority=900)  # after Sphinx has collected the metadata
