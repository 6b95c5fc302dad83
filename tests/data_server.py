"""A mirror on 127.0.0.1 and a small MNIST for the tests of downloads; the real network is out of reach of both."""

import gzip
import hashlib
import http.server
import socket
import struct
import threading
import time
from contextlib import contextmanager

import numpy as np

from cunet.data.mnist import FILES, IdxFile


@contextmanager
def mirror(answers):
    """Serve ``answers[name]`` under its name: bytes, an HTTP status, or a function of the handler.

    Yields:
        The address of the folder, and the list of the names that were asked for.
    """
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rsplit("/", 1)[-1]
            asked.append(name)
            answer = answers.get(name, 404)
            if callable(answer):
                answer(self)
            elif isinstance(answer, int):
                self.send_error(answer)
            else:
                send(self, answer)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mnist/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler, body, length=None):
    """Send `body`, announced as `length` bytes."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def silence(handler):
    """Answer nothing for a second."""
    time.sleep(1)


def closed_port():
    """Return the address of a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def only_this_machine(monkeypatch):
    """Make every connection that leaves this machine fail, and proxies be ignored."""
    real = socket.getaddrinfo

    def resolve(host, *args, **kwargs):
        if host != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("no_proxy", "*")


def idx_bytes(array):
    """Return a uint8 array as an IDX file, written from the format's description and not with cunet."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape) + array.tobytes()


def small_mnist(monkeypatch, rng):
    """Replace MNIST by 12 + 5 random images; return ``{name: content}`` and the images and labels by split."""
    contents, truth, files = {}, {}, {}
    for split, n in (("train", 12), ("test", 5)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, n, dtype=np.uint8)
        truth[split] = images, labels
        specs = []
        for file, array in zip(FILES[split], (images, labels), strict=True):
            content = contents[file.name] = idx_bytes(array)
            specs.append(IdxFile(file.name, len(content), hashlib.sha256(content).hexdigest()))
        files[split] = tuple(specs)
    monkeypatch.setattr("cunet.data.mnist.FILES", files)
    return contents, truth


def compressed(contents):
    """Return ``{name.gz: gzip-compressed content}``."""
    return {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}


def fill(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder
