"""The settings of the documentation's site, which ``make docs`` builds with Sphinx.

Its sources are the Markdown files of the project as they stand: the site's folder is the
project's, so that a link leads to the same file on a git host and in the site.
"""

import re

from sphinx.application import Sphinx

project = "Wardround"
author = "the Wardround project"
root_doc = "docs/index"
include_patterns = ["docs/**.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
exclude_patterns = [".*", "build", "dist", "outputs", "**/__pycache__"]
extensions = ["myst_parser"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a changelog starts its sections where it likes
highlight_language = "text"

html_title = "Wardround"
html_theme = "pydata_sphinx_theme"
html_static_path = ["site/static"]
html_extra_path = ["site/root"]  # index.html, which leads to the first page
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_use_index = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_persistent": [],
    "search_bar_text": "Search",
    "navbar_end": ["theme-switcher"],
    "primary_sidebar_end": [],
    "article_header_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["license"],
    "footer_end": [],
    "header_links_before_dropdown": 7,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"**": ["search-field", "sidebar-nav-bs"]}
templates_path = ["site/templates"]

LISTED = re.compile(r"(?m)^- \[([^\]]+)\]\(([\w./-]+)\.md\)")


def with_contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Make the pages that an index lists its contents, which the navigation shows by the names that
    they have in the list.
    """
    if page.endswith("/index"):
        listed = "\n".join(f"{name} <{place}>" for name, place in LISTED.findall(source[0]))
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", with_contents)
