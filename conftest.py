"""Options of the tests, where pytest finds them whatever paths are on its command line; the rest is in tests/."""


def pytest_addoption(parser):
    """Add ``--device`` and ``--poison``."""
    parser.addoption(
        "--device", choices=("cpu", "sim", "gpu"), default="cpu", help="what runs the kernels (default: cpu)"
    )
    parser.addoption(
        "--poison", action="store_true", help="fill what np.empty returns with NaN: what is left unwritten shows"
    )
