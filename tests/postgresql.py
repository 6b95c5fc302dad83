"""A PostgreSQL server of the tests' own: in a temporary folder, on a free port of this machine, as a plain user."""

import contextlib
import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile

import pytest


def binary(name):
    """Return a program of PostgreSQL; Debian keeps them beside the path."""
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    return found or pytest.skip("PostgreSQL's server is not installed (on Debian: apt-get install postgresql)")


def plain_user():
    """Return whom the server runs as, as it refuses to run as root: None for who runs the tests."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return pytest.skip("PostgreSQL does not run as root, and there is no other user")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def server():
    """Yield the address of an empty database, whose server ends with the ``with`` block."""
    initdb, pg_ctl, user = binary("initdb"), binary("pg_ctl"), plain_user()
    folder = tempfile.mkdtemp(prefix="cunet-postgresql-")  # not of pytest's, which nobody else may enter
    if user is not None:
        shutil.chown(folder, user)
    data, port = os.path.join(folder, "data"), free_port()

    def run(*command):
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120)

    try:
        run(initdb, "-D", data, "-A", "trust", "-U", "tests", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB"
        run(pg_ctl, "-D", data, "-o", options, "-l", os.path.join(folder, "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://tests@127.0.0.1:{port}/postgres"
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
