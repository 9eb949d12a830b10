"""The documentation as a site: Sphinx reads the same Markdown that a code forge shows. script/docs builds it."""

from openstack_image_manager import __version__

project = "openstack-image-manager"
version = release = __version__
copyright = "its authors, Apache-2.0"
extensions = ["myst_parser"]
exclude_patterns = ["examples"]
nitpicky = True
smartquotes = False  # it would make one dash of the two of an option

myst_enable_extensions = ["html_image"]  # pictures side by side are HTML on a forge too, and copied as the others are
myst_heading_anchors = 3  # links such as life-cycle.md#growing-old work here as on a forge
suppress_warnings = ["misc.highlighting_failure"]  # excerpts with … are no whole documents
highlight_language = "text"

html_theme = "furo"
html_title = "openstack-image-manager"
html_use_index = False  # there is nothing in it
html_static_path = ["site"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"footer_icons": []}
