"""C++ files: none is long, nor has long functions; numbers have the width that they are thought to have."""

import re

import pytest
from sources import ROOT

pytestmark = pytest.mark.cpu_only

CPP = sorted(path for pattern in ("*.cpp", "*.h") for path in (ROOT / "cunet").rglob(pattern))


def cpp_functions(text):
    """Yield the first line of each function in C++ text, and how many lines it has, by its braces."""
    text = re.sub(r"//[^\n]*|^ *#.*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\])'", "", text, flags=re.MULTILINE)
    scopes, head, line = [], "", 1  # a scope: None, or where a function began
    for c in text:
        line += c == "\n"
        if c == "{":
            head = head.strip()
            opens = "(" in head and not any(scopes) and not re.match(r"(namespace|struct|class|enum)\b", head)
            scopes.append((line - head.count("\n"), head.partition("\n")[0]) if opens else None)
        elif c == "}" and (began := scopes.pop()):
            yield began[1], line - began[0] + 1
        head = "" if c in "{};" else head + c


def test_functions_of_cpp_are_found():
    text = """
        #define X(a) {
        namespace {
        // a comment (of two {
        template <int N> struct S : T {
          int a = f();
          void one() const { return; }
          template <class A>
          int two(int x,
                  int y) {
            for (;;) {
            }
          }
        };
        void (*const three)(int) = nullptr;
        }
        extern "C" int four() {
        }
    """
    assert [(name.split("(")[0], n) for name, n in cpp_functions(text)] == [
        ("void one", 1), ("template <class A>", 6), ('extern  int four', 2),
    ]  # fmt: skip


@pytest.mark.parametrize("path", CPP, ids=[path.name for path in CPP])
def test_no_cpp_is_longer_than_300_lines_nor_a_function_than_40(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    assert max(map(len, text.splitlines())) <= 120
    assert not [name for name, lines in cpp_functions(text) if lines > 40]


def test_numbers_of_64_bits_are_named_so():
    """What a ``long`` is depends on the system; CUDA's texts name ``long long``, which math.h has to know."""
    found = [p.name for p in CPP if re.search(r"(?<!long )\blong\b(?! long)", re.sub(r"//.*", "", p.read_text()))]
    assert found == []
    sources = (ROOT / "cunet").rglob("*.py")
    assert [p.name for p in sources if re.search(r"c_u?long\b", p.read_text(encoding="utf-8"))] == []
