"""Settings of Sphinx, which makes a site of the pages here and of docstrings: ``python -m sphinx docs docs/_build``."""

import importlib
import re
from pathlib import Path

import cunet

project = "cunet"
author = "the cunet authors"
version = release = cunet.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 4
#: Links to files of the repository that are no pages; tests/package/test_docs.py looks that they are there. Pages that
#: no menu lists are entries of a page that one does.
suppress_warnings = ["myst.xref_missing", "toc.not_included"]
default_role = "code"

PAGES = [importlib.import_module(page.stem) for page in Path(__file__).with_name("api").glob("*.md")]
PUBLIC = {name for page in PAGES for name in getattr(page, "__all__", ()) if isinstance(getattr(page, name), type)}
FOREIGN = {"object", "list", "tuple", "dict", "BaseException", "BaseEstimator", "ClassifierMixin", "RegressorMixin"}
#: What a class inherits from one that is on no page stands on its own: `StandardScaler.fit`, `Trainer.predict`.
autodoc_default_options = {"members": True, "inherited-members": ",".join(sorted(PUBLIC | FOREIGN))}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say in words what is taken
napoleon_numpy_docstring = False
napoleon_use_ivar = True
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"cunet {version}"
html_show_copyright = False  # LICENSE says it

#: What stands between backticks, or a mark that means something to reStructuredText and nothing to us.
MARK = re.compile(r"``.*?``|`.*?`|(\*+|(?<=\w)_(?!\w))")
#: What is said of several attributes.
SEVERAL = re.compile(r"^:ivar ([^:\n]*, [^:\n]*):(.*(?:\n +.*)*)", re.MULTILINE)


def plain(app, what, name, obj, options, lines):
    """Escape asterisks and last underscores in the prose of a docstring, as in ``(N, *)`` and ``init.normal_``."""
    example = False  # from its first prompt to a blank line
    for k, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            lines[k] = MARK.sub(lambda found: re.sub("(.)", r"\\\1", found[1]) if found[1] else found[0], line)


def each(app, what, name, obj, options, lines):
    """Say of each attribute what is said of several, as is done with arguments; else all but the last are its type."""
    text = SEVERAL.sub(lambda f: "\n".join(f":ivar {one}:{f[2]}" for one in f[1].split(", ")), "\n".join(lines))
    lines[:] = text.split("\n")


def titles(toc):
    """Return the contents of a page without its sections: what the menu beside each page shows of it."""
    from docutils.nodes import bullet_list  # tests read this file where there is no Sphinx
    from sphinx.addnodes import toctree

    toc = toc.deepcopy()
    for entry in toc:
        entry[1:] = [bullet_list("", *entry.findall(toctree))] if any(entry.findall(toctree)) else []
    return toc


def short_menu(app, page, template, context, doctree):
    """Make a page's menu of titles alone: each of 200 would copy all 1,500 sections only to drop them."""
    menu, env = context["toctree"], app.env
    if not hasattr(app, "titles"):
        app.titles = {name: titles(toc) for name, toc in env.tocs.items()}

    def short(**options):
        whole, env.tocs = env.tocs, app.titles
        try:
            return menu(**options)
        finally:
            env.tocs = whole

    context["toctree"] = short


def setup(app):
    """Have docstrings escaped before their sections are read, and attributes parted afterwards."""
    app.connect("html-page-context", short_menu, priority=400)
    app.connect("autodoc-process-docstring", plain, priority=400)
    app.connect("autodoc-process-docstring", each, priority=600)
