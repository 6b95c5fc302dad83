"""Tables of text and HTML, and numbers in few characters."""

import pytest

from cunet.system.table import count, html_table, memory, text_table

pytestmark = pytest.mark.cpu_only


def test_numbers_are_short_at_every_border():
    assert [count(n) for n in (0, 7, 999, 1000, 1234, 99_960, 999_400, 999_500, 2.5e12)] == [
        "0", "7", "999", "1.00 k", "1.23 k", "100 k", "999 k", "1.00 M", "2.50 T"
    ]  # fmt: skip
    assert [memory(n) for n in (0, 1023, 1024, 1500, 102_400, 1 << 20, 5 << 30)] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100 KiB", "1.0 MiB", "5.0 GiB"
    ]  # fmt: skip


def test_wide_cells_are_cut_to_80_columns():
    rows = [("name", "kind", "value"), ("a" * 70, "b" * 40, "1"), ("x", "y", "12345")]
    text = text_table(rows, left=2)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80 and lines[1].startswith("...a") and "b" * 40 in lines[1]
    assert lines[2].endswith("12345") and lines[1].endswith("    1")
    assert max(map(len, text_table([("a" * 70, "b" * 80, "1")], left=2).splitlines())) <= 80


def test_html_is_escaped():
    text = html_table([("<a>", "b & c"), ('"d"', "it's")], caption="<script>")
    assert "<script>" not in text and "&lt;script&gt;" in text and "b &amp; c" in text
    assert "&quot;d&quot;" in text and "it&#39;s" in text and text.count("<tr>") == 2
