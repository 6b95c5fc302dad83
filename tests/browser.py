"""A real browser for tests of pages: Chromium without a window and without a network."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_PROBE = """<!DOCTYPE html><meta charset="utf-8"><body>
<iframe id="frame" src="{url}" width="{width}" height="900" style="border: 0"></iframe>
<script>
onload = () => setTimeout(() => {{
  const page = document.getElementById("frame").contentDocument, root = page.documentElement;
  const found = {{
    title: page.title, text: page.body.innerText, width: root.scrollWidth, scripts: page.scripts.length,
    images: [...page.images].map(i => [i.alt, i.complete && i.naturalWidth > 0, i.getBoundingClientRect().width]),
    smallest: Math.min(...[...page.querySelectorAll("td, th, dd, dt, b, span, p")].map(
      e => parseFloat(getComputedStyle(e).fontSize))),
  }};
  const result = document.createElement("pre");
  result.textContent = JSON.stringify(found);
  document.body.replaceChildren(result);
}}, {wait});
</script>"""


def chromium():
    """Return the browser's path, or skip the test."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no browser: on Debian `apt-get install chromium`")


def run(*options, folder):
    """Start the browser without a window; return what it prints."""
    command = [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={folder / 'profile'}", "--disable-background-networking", "--no-first-run"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def looked_at(path, folder, width=1200, wait=300):
    """Open a file in a window of so many pixels; return what is there: title, text, images, widths."""
    probe = folder / "probe.html"
    probe.write_text(_PROBE.format(url=Path(path).as_uri(), width=width, wait=wait), encoding="utf-8")
    options = ["--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=8000"]
    text = run(*options, "--dump-dom", probe.as_uri(), folder=folder)
    return json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", text, re.DOTALL)[1]))
