"""Downloads, from mirrors on this machine that behave well, badly, or not at all."""

import gzip
import hashlib
import subprocess
import sys
import threading

import pytest
from data_server import closed_port, mirror, only_this_machine, send, silence

from cunet.data.download import DownloadFailed, content_sha256, fetch

pytestmark = pytest.mark.cpu_only

CONTENT = bytes(range(256)) * 2000
GOOD = gzip.compress(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_real_network(monkeypatch):
    only_this_machine(monkeypatch)


def get(target, *urls, timeout=5.0, max_bytes=1 << 20):
    fetch([f"{url}a.gz" for url in urls], target, SHA256, max_bytes=max_bytes, timeout=timeout)


def assert_nothing_left(folder):
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("body", [GOOD, CONTENT], ids=["gzip", "raw"])
def test_a_good_file_arrives_whole_and_alone(tmp_path, body):
    with mirror({"a.gz": body}) as (url, asked):
        get(tmp_path / "a.gz", url)
    assert (tmp_path / "a.gz").read_bytes() == body
    assert [p.name for p in tmp_path.iterdir()] == ["a.gz"] and asked == ["a.gz"]


def test_a_file_without_announced_length(tmp_path):
    def stream(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(GOOD)

    with mirror({"a.gz": stream}) as (url, _):
        get(tmp_path / "a.gz", url)
    assert content_sha256(tmp_path / "a.gz") == SHA256


@pytest.mark.parametrize(
    "bad, reason, requests",
    [
        (404, "HTTP Error 404", 1),
        (503, "HTTP Error 503", 1),
        (gzip.compress(CONTENT[:-1]), "sent other content", 1),
        (b"<html>please log in</html>", "sent other content", 1),
        (GOOD[:-20], "sent a damaged file", 1),
        (GOOD[:-8] + bytes(8), "sent a damaged file", 1),
        (bytes(2 << 20), "sent more than the 1048576 bytes", 1),
        (lambda handler: send(handler, GOOD[:500], len(GOOD)), f"broke off .500 of {len(GOOD)} bytes", 2),
        (lambda handler: None, "broke off .Remote end closed", 2),
        (silence, "broke off .*timed out", 2),
    ],
    ids=["missing", "busy", "other", "page", "cut", "crc", "endless", "partial", "hang-up", "silent"],
)
def test_a_bad_mirror_is_told_and_the_next_one_used(tmp_path, bad, reason, requests):
    target = tmp_path / "a.gz"
    with mirror({"a.gz": bad}) as (first, asked), mirror({"a.gz": GOOD}) as (second, _):
        with pytest.raises(DownloadFailed, match=reason) as caught:
            get(target, first, timeout=0.3)
        assert first in str(caught.value) and len(asked) == requests
        assert_nothing_left(tmp_path)
        get(target, first, second, timeout=0.3)
    assert target.read_bytes() == GOOD


def test_a_broken_transfer_is_tried_again_at_the_same_mirror(tmp_path):
    answers = iter([GOOD[:500], GOOD])
    with mirror({"a.gz": lambda handler: send(handler, next(answers), len(GOOD))}) as (url, asked):
        get(tmp_path / "a.gz", url)
    assert len(asked) == 2 and (tmp_path / "a.gz").read_bytes() == GOOD


def test_no_network_names_every_mirror_and_leaves_nothing(tmp_path):
    refused = closed_port()
    with pytest.raises(DownloadFailed, match="Name or service not known") as caught:
        get(tmp_path / "a.gz", "https://mirror.invalid/", refused)
    assert "https://mirror.invalid/a.gz" in str(caught.value) and f"{refused}a.gz: " in str(caught.value)
    assert_nothing_left(tmp_path)


def test_no_mirrors(tmp_path):
    with pytest.raises(DownloadFailed, match="no mirrors given"):
        get(tmp_path / "a.gz")


def test_an_old_file_stays_when_the_download_fails(tmp_path):
    (tmp_path / "a.gz").write_bytes(b"old")
    with mirror({"a.gz": GOOD[:-20]}) as (url, _), pytest.raises(DownloadFailed):
        get(tmp_path / "a.gz", url)
    assert (tmp_path / "a.gz").read_bytes() == b"old"


def test_an_old_file_is_replaced_at_once_not_overwritten(tmp_path):
    (tmp_path / "a.gz").write_bytes(b"old")
    with (tmp_path / "a.gz").open("rb") as reader, mirror({"a.gz": GOOD}) as (url, _):
        get(tmp_path / "a.gz", url)
        assert reader.read() == b"old"  # who is reading it meanwhile sees no mixture
    assert (tmp_path / "a.gz").read_bytes() == GOOD


def test_an_interrupted_download_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args):
        assert [p.suffix for p in tmp_path.iterdir()] == [".part"]
        raise KeyboardInterrupt

    monkeypatch.setattr("cunet.data.download._check", interrupt)
    with mirror({"a.gz": GOOD}) as (url, _), pytest.raises(KeyboardInterrupt):
        get(tmp_path / "a.gz", url)
    assert_nothing_left(tmp_path)


@pytest.mark.slow
def test_two_processes_at_once(tmp_path):
    both = threading.Barrier(2, timeout=30)

    def wait_for_the_other(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(GOOD)))
        handler.end_headers()
        handler.wfile.write(GOOD[:100])
        both.wait()  # both have begun before either may end
        handler.wfile.write(GOOD[100:])

    code = (
        "import sys, pathlib; from cunet.data.download import fetch; fetch([sys.argv[1]], pathlib.Path(sys.argv[2]), "
    )
    code += "sys.argv[3], max_bytes=1 << 20, timeout=30)"
    with mirror({"a.gz": wait_for_the_other}) as (url, _):
        command = [sys.executable, "-W", "error", "-c", code, f"{url}a.gz", str(tmp_path / "a.gz"), SHA256]
        running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        errors = [process.communicate(timeout=60)[1] for process in running]
    assert errors == ["", ""] and [process.returncode for process in running] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["a.gz"] and (tmp_path / "a.gz").read_bytes() == GOOD


def test_progress_bar_counts_bytes_in_a_terminal_and_is_silent_in_a_log(tmp_path, monkeypatch, capsys):
    with mirror({"a.gz": GOOD}) as (url, _):
        get(tmp_path / "a.gz", url)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        get(tmp_path / "a.gz", url)
    shown = capsys.readouterr().err
    assert "a.gz" in shown and "100%" in shown
