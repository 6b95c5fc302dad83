"""The folder of compiled kernels: private, whole whatever happens, and done without where it cannot be had.

Each case runs real processes, with an empty cache of their own.
"""

import os
import shutil
import signal
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import run_script
from native_helpers import COMPILED, IMPORT_BUILD, SMALL, TRAIN, needs_compiler, once, said, start, wait_for, wrapper

from cunet.kernels.backends.native import cache, compiler

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once]


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """Return the environment of a compiler that does not compile the same text twice."""
    store = tmp_path_factory.mktemp("store")
    look = f'kept="{store}/$(cksum <"$src" | tr " " -)"\nif [ -f "$kept" ]; then cp "$kept" "$out"; exit 0; fi\n'
    keep = f'"{compiler.compiler()}" "$@" && cp "$out" "$kept.$$" && mv "$kept.$$" "$kept"\nexit $?'
    return {"CXX": wrapper(tmp_path_factory.mktemp("bin") / "g++", look + keep)}


@pytest.fixture
def home(tmp_path, quick):
    """Return the environment of an empty cache."""
    return {**quick, "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def made(tmp_path):
    """Return the folder of that cache; it does not exist yet."""
    return tmp_path / "cache" / "cunet" / "native"


# -- the cache


@needs_compiler
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o000])
def test_the_cache_is_private_and_used_again(umask, home, made):
    assert said(run_script(SMALL, home, umask=umask)) == COMPILED
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in (made, made.parent))
    before = {p.name: p.stat().st_mtime_ns for p in made.iterdir()}
    assert len(before) == 2  # the runtime and the kernel
    assert all(name.endswith(".so") for name in before)
    assert said(run_script(SMALL, home, umask=umask)) == COMPILED
    assert {p.name: p.stat().st_mtime_ns for p in made.iterdir()} == before


@needs_compiler
@pytest.mark.parametrize(("place", "mode"), [("native", 0o777), ("cunet", 0o775)])
def test_a_cache_that_others_may_write_is_not_used(place, mode, home, made):
    made.mkdir(parents=True)
    (made if place == "native" else made.parent).chmod(mode)
    first, *message = said(run_script(SMALL, home))
    assert first == "result 3 warnings 1"
    assert "others may write to it" in "\n".join(message)
    assert not list(made.iterdir())


@needs_compiler
def test_a_read_only_cache_is_not_used(home, made):
    before = ()
    if os.getuid() == 0:  # who may write anywhere, unless that right is taken
        before = ("setpriv", "--bounding-set=-dac_override")
        if shutil.which("setpriv") is None:
            pytest.skip("root may write anywhere, and there is no setpriv")
    made.mkdir(parents=True)
    made.chmod(0o500)
    first, *message = said(run_script(SMALL, home, before=before))
    assert first == "result 3 warnings 1"
    assert f"it is read-only: {made}" in message


@needs_compiler
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_cache_of_another_user_is_not_used(home, made):
    made.mkdir(parents=True, mode=0o700)
    os.chown(made, 65534, -1)
    first, *message = said(run_script(SMALL, home))
    assert first == "result 3 warnings 1"
    assert f"it belongs to another user: {made}" in message
    assert not list(made.iterdir())


def test_a_folder_of_another_user_or_a_link_is_refused(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path)
    assert cache.refusal(tmp_path / "link") == "it is no folder"
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert cache.refusal(tmp_path) == "it belongs to another user"


NO_HOME = """
import pwd

def nobody(uid):
    raise KeyError(uid)

pwd.getpwuid = nobody
"""


@needs_compiler
@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME"])
def test_without_a_home_the_cache_ends_with_the_process(name, tmp_path, quick, monkeypatch):
    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    env = quick | {"TMPDIR": str(tmp_path)} | ({} if name == "HOME" else {name: "relative"})
    first, *message = said(run_script(NO_HOME + SMALL, env, cwd=tmp_path))
    assert first == "result 3 warnings 1"
    assert "no home folder" in "\n".join(message)
    assert not list(tmp_path.iterdir())


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    """Flip a bit of every byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 3, len(content) // 2)
    content[middle] = bytes(b ^ 4 for b in content[middle])
    path.write_bytes(content)


def replace(path):
    """Put another library there, one of NumPy's."""
    other = next(Path(np.__file__).parent.rglob("*.so"))
    shutil.copyfile(other, path)


DAMAGE = {
    "cut in half": cut, "empty": lambda p: os.truncate(p, 0), "flipped bits": flip, "another library": replace,
    "open to others": lambda p: p.chmod(0o666),
}  # fmt: skip


@needs_compiler
def test_a_cache_that_cannot_be_made_is_done_without(tmp_path, home):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "cunet").write_text("in the way")
    first, *message = said(run_script(SMALL, home))
    assert first == "result 3 warnings 1"
    assert "each process compiles them again" in message[0]


FULL = """
import errno, os, shutil
copy = shutil.copyfileobj

def full(source, target):
    if os.environ["XDG_CACHE_HOME"] in os.readlink(f"/proc/self/fd/{target.fileno()}"):
        target.write(source.read(1000))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    copy(source, target)

shutil.copyfileobj = full
"""


@needs_compiler
@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc")
def test_a_cache_on_a_full_disk_is_left_for_a_temporary_one(home, made):
    first, *message = said(run_script(FULL + SMALL, home))
    assert first == "result 3 warnings 1"
    assert f"No space left on device: {made}" in message
    assert not list(made.iterdir())


@needs_compiler
@pytest.mark.parametrize("room", [10_000, 50_000], ids=["not for the text", "not for the library"])
def test_with_no_room_anywhere_numpy_runs(room, tmp_path):
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
    first, *message = said(run_script(limit + SMALL, home))
    assert first == "result 2 warnings 1"
    assert any("File too large" in line for line in message)
    assert not list((tmp_path / "cache" / "cunet" / "native").iterdir())


@needs_compiler
@pytest.mark.parametrize("way", DAMAGE)
def test_a_library_that_is_damaged_or_that_others_may_write_is_made_again(way, home, made):
    run_script(SMALL, home)
    before = {p: p.read_bytes() for p in made.iterdir()}
    for path in before:
        DAMAGE[way](path)
    log = "import logging\nlogging.basicConfig(level=logging.INFO)\n"
    done = run_script(log + SMALL, home)
    assert said(done) == COMPILED
    assert done.stderr.count("was damaged and is compiled again") == len(before) == done.stderr.count("damaged")
    assert {p: p.read_bytes() for p in made.iterdir()} == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in before} == {0o600}


@needs_compiler
def test_the_cache_is_verified_and_cleared(home, made, monkeypatch):
    run_script(SMALL, home)
    monkeypatch.setattr(cache.place, "chosen", made)
    assert cache.verify() == (2, [])
    bad = next(made.iterdir())
    flip(bad)
    (made / "new-left").touch()
    (made / "note").touch()
    assert cache.verify() == (2, [bad])
    assert cache.clear() == 3
    assert [p.name for p in made.iterdir()] == ["note"]
    assert cache.verify() == (0, [])
    assert said(run_script(SMALL, home)) == COMPILED


@needs_compiler
@pytest.mark.parametrize(
    "change",
    [
        "build._machine = lambda: 'another processor'",
        "build.FLAGS = (*build.FLAGS, '-O2')",
        "path, stat = build.compiler(), os.stat; os.stat = lambda p, **kw: stat('/' if p == path else p, **kw)",
    ],
    ids=["processor", "options", "compiler"],
)
def test_libraries_are_not_shared_with(change, home, made):
    run_script(SMALL, home)
    before = set(made.iterdir())
    assert said(run_script(f"import os\n{IMPORT_BUILD}{change}\n" + SMALL, home)) == COMPILED
    assert len(set(made.iterdir()) - before) == len(before) == 2


@needs_compiler
@pytest.mark.parametrize(("count", "slow"), [(2, True), (6, False)])
def test_processes_that_compile_at_once(count, slow, tmp_path, home, made):
    env = home | ({"CXX": wrapper(tmp_path / "g++", "sleep 0.1")} if slow else {})
    processes = [start(SMALL, env) for _ in range(count)]
    assert [p.communicate(timeout=300)[0].splitlines() for p in processes] == [COMPILED] * count
    assert sorted(p.suffix for p in made.iterdir()) == [".so", ".so"]


@needs_compiler
def test_a_file_that_is_gone_again_when_the_folder_was_listed_does_no_harm(home, made):
    made.mkdir(parents=True, mode=0o700)
    (made / "new-gone").symlink_to(made / "nowhere")  # listed, and not to be found
    assert said(run_script(SMALL, home)) == COMPILED
    assert sum(p.suffix == ".so" for p in made.iterdir()) == 2


@needs_compiler
def test_a_process_that_is_killed_leaves_no_half_library(tmp_path, home, made):
    slow = wrapper(tmp_path / "g++", f"touch {tmp_path}/started; sleep 1")
    process = start(SMALL, {**home, "CXX": slow})
    wait_for(tmp_path / "started", process)
    process.kill()
    process.communicate()
    assert not list(made.iterdir())
    kill = "import os, signal\nos.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
    assert run_script(kill + SMALL, home, check=False).returncode == -signal.SIGKILL
    (stray,) = made.iterdir()  # all of it but the name
    assert stray.suffix != ".so"
    assert said(run_script(SMALL, home)) == COMPILED
    assert stray.exists()  # its process might still be writing
    hour_ago = time.time() - 3601
    os.utime(stray, (hour_ago, hour_ago))
    (made / "other").touch()
    assert said(run_script(SMALL.replace("x * 3", "3 * x"), home)) == COMPILED
    assert not stray.exists()
    assert (made / "other").exists()


@needs_compiler
def test_a_cold_and_a_warm_run_train_to_the_same_bits(home):
    cold, warm = (run_script(TRAIN, home).stdout for _ in range(2))
    assert cold == warm
    numpy = run_script(TRAIN, {"CUNET_NATIVE": "0"}).stdout
    assert numpy.split()[0] != cold.split()[0]  # it is the compiled route that was tested
    assert float(numpy.split()[1]) == pytest.approx(float(cold.split()[1]), rel=1e-3)
