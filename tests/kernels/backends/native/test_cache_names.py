"""A library of many texts is found by each of them."""

import errno
import os

import pytest

from cunet.kernels.backends.native import cache

pytestmark = pytest.mark.cpu_only


def test_of_two_names_the_one_that_is_there_is_taken_without_a_word(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(cache, "say", said.append)
    monkeypatch.setattr(cache.place, "chosen", tmp_path / "native")
    (tmp_path / "native").mkdir()
    for code in (b"one", b"other"):
        (tmp_path / "made.so").write_bytes(code)
        cache.keep(tmp_path / "made.so", ["a" * 40])
    first, second = sorted((tmp_path / "native").iterdir())
    assert cache.find("a" * 40) == first
    first.unlink()  # as another process may
    assert cache.find("a" * 40) == second
    assert not said


@pytest.mark.parametrize("links", [True, False], ids=["links", "a disk without links"])
def test_a_library_has_a_name_for_each_of_its_texts(links, tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(cache.place, "chosen", tmp_path / "native")
    (tmp_path / "native").mkdir()
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "made.so").write_bytes(b"code")
    cache.keep(tmp_path / "made.so", ["a" * 40, "b" * 40, "c" * 40])
    found = [cache.find(key * 40) for key in "abc"]
    assert [path.read_bytes() for path in found] == [b"code"] * 3
    assert cache.kept() == {key * 40 for key in "abc"}
    assert cache.verify() == (1 if links else 3, [])
    found[0].write_bytes(b"rot")
    assert len(cache.verify()[1]) == 1
    assert [cache.find(key * 40) is not None for key in "abc"] == [
        False,
        not links,
        not links,
    ]  # a file in three places
    cache.keep(tmp_path / "made.so", ["a" * 40])
    assert cache.find("a" * 40).read_bytes() == b"code"
    found[1].unlink(missing_ok=True)  # as another process may
    assert cache.find("b" * 40) is None
    os.rename(cache.find("a" * 40), found[1])
    assert cache.find("b" * 40) == found[1]
    assert cache.find("a" * 40) is None
    assert all(path.suffix == ".so" for path in (tmp_path / "native").iterdir())
