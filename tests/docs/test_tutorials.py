"""The tutorials are true: their programs run, and print what stands below them."""

import re
import sys

import pytest
import run_pages
from run_pages import ROOT

pytestmark = pytest.mark.slow

PAGES = {path.stem: path for path in sorted((ROOT / "docs" / "tutorials").glob("*.md"))}
PAGES["how-to"] = ROOT / "docs" / "how-to.md"
#: Those that put arrays on the device under test.
ON_DEVICE = ("cuda-kernel", "gradients")
#: What a page needs beyond NumPy.
NEEDS = {
    "how-to": ["sklearn"],
    "mnist": ["sklearn", "matplotlib"],
    "porting": ["sklearn"],
    "resume-export-deploy": ["sklearn", "onnx", "onnxruntime"],
}
#: Those that show numbers of a training, which move with the processor and the route.
TRAINED = ("porting", "resume-export-deploy")


def digits(code):
    """Return a program that learns scikit-learn's digits in place of MNIST."""
    return code.replace('load_images("mnist")', 'load_images("digits")')


def words(page, text):
    """Return the words of what a page prints; numbers of a training are all alike."""
    return [re.sub(r"\d+\.\d+", "#", word) if page in TRAINED else word for word in text.split()]


@pytest.mark.parametrize("page", [pytest.param(p, marks=() if p in ON_DEVICE else pytest.mark.cpu_only) for p in PAGES])
def test_a_page_runs_and_prints_what_it_shows(page, tmp_path, monkeypatch):
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "nets", raising=False)  # a file that a page writes
    for part, printed in run_pages.run(PAGES[page].read_text(encoding="utf-8"), page, digits):
        if page == "mnist":  # shows what the larger images come to
            if "history = trainer.fit" in part.text:
                assert float(printed.split()[-1]) > 0.9
        elif part.shown is not None:
            assert words(page, printed) == words(page, part.shown), part.text


@pytest.mark.cpu_only
def test_files_have_about_as_many_lines_as_the_page_says():
    page = PAGES["reading-the-source"].read_text(encoding="utf-8")
    rows = run_pages.ROW.findall(page)
    assert len(rows) == page.count("| `cunet/") > 20
    for said, file in rows:
        lines = run_pages.lines_of(file)
        told = f"{file} has {lines} lines: python tools/run_pages.py docs/tutorials/reading-the-source.md"
        assert abs(int(said) - lines) <= max(20, lines // 4), told


@pytest.mark.cpu_only
def test_what_a_page_prints_is_written_below_it(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(
        "```python\nx = 2\nprint(x)\n```\n\n```text\n3\n```\n\n```python\nprint(x)\n```\n", encoding="utf-8"
    )
    run_pages.main([str(path)])
    assert path.read_text(encoding="utf-8").count("```text\n2\n```") == 1
    assert "3" not in path.read_text(encoding="utf-8")
