"""What a call launches is found once for arguments that differ in their values alone."""

import numpy as np
import pytest

from cunet.kernels import KERNELS
from cunet.kernels.backends.cuda import broadcast, recipes, reduction, rowwise, tuning
from cunet.kernels.backends.cuda.tuning import Tuning


def arrays(cp, rng, shape, dtype=np.float32, shift=0):
    """Return an array that begins `shift` elements after the beginning of its memory."""
    size = int(np.prod(shape))
    return cp.asarray(rng.uniform(1, 2, size + shift).astype(dtype))[shift:].reshape(shape)


def call(cp, name, args, **options):
    found = KERNELS[name](*args, **options)
    expected = KERNELS[name].body(*[a.get() if hasattr(a, "get") else a for a in args], **options)
    for y, e in zip(*(r if isinstance(r, tuple) else (r,) for r in (found, expected)), strict=True):
        np.testing.assert_allclose(y.get(), e, rtol=4e-3 if args[0].dtype == np.float16 else 1e-5)


def test_nothing_is_derived_twice(cp, rng, monkeypatch):
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0))
    calls = [
        ("moments", lambda: (arrays(cp, rng, (6, 64)), rng.uniform()), {"axis": (0,), "keepdims": True}),
        ("softmax_stats", lambda: (arrays(cp, rng, (6, 64)),), {"axis": (1,), "keepdims": True}),
        ("softmax_rows", lambda: (arrays(cp, rng, (6, 64)),), {}),
        ("relu_forward", lambda: (arrays(cp, rng, (6, 64)),), {}),
    ]
    for name, make, options in calls:
        call(cp, name, make(), **options)
    for module, names in ((reduction, ["plan", "fold"]), (rowwise, ["launch"]), (broadcast, ["plan"])):
        for name in names:
            monkeypatch.setattr(module, name, None)
    for name, make, options in calls:
        call(cp, name, make(), **options)


@pytest.mark.parametrize("name", ["moments", "reciprocal_rms"])
def test_other_arguments_have_other_launches(name, cp, rng):
    rest = {"moments": (1e-3,), "reciprocal_rms": (0.25, 1e-3)}[name]
    for dtype in (np.float32, np.float16, np.float64):
        for shift in (0, 1, 3):
            for shape in ((6, 64), (64, 6), (1, 3)):
                for axis in ((0,), (1,), (0, 1)):
                    call(
                        cp,
                        name,
                        (arrays(cp, rng, shape, np.float32, shift).astype(dtype), *rest),
                        axis=axis,
                        keepdims=True,
                    )
                    call(cp, name, (arrays(cp, rng, shape, dtype, shift), *rest), axis=axis, keepdims=True)
                    call(cp, name, (arrays(cp, rng, shape[::-1], dtype, shift).T, *rest), axis=axis, keepdims=True)


def test_factors_are_taken_as_they_come(cp, rng):
    """One a row, for each row or for all; contiguous or not; of the arithmetic's dtype or not."""
    x = arrays(cp, rng, (6, 64))
    per_row = [cp.asarray(rng.uniform(1, 2, (6, 1)).astype(t)) for t in (np.float32, np.float64)]
    per_row += [
        arrays(cp, rng, (6, 2))[:, :1],
        arrays(cp, rng, (1, 1)),
        1.5,
        np.float32(2),
        arrays(cp, rng, (6, 1), shift=1),
    ]
    for one in per_row:
        for other in per_row:
            call(cp, "normalize_sums", (x, x, one, other, 1.5), axis=(1,), keepdims=True)


def test_numpys_arrays_are_refused_before_and_after(cp, rng):
    for _ in range(2):
        with pytest.raises(TypeError, match="Unsupported type"):
            KERNELS["normalize_sums"](
                arrays(cp, rng, (6, 64)), np.ones((6, 64)), 1.0, 1.0, 1.0, axis=(1,), keepdims=True
            )
        call(cp, "normalize_sums", (*[arrays(cp, rng, (6, 64))] * 2, 1.0, 1.0, 1.0), axis=(1,), keepdims=True)


def test_recipes_do_not_fill_the_memory(cp, rng, monkeypatch):
    monkeypatch.setattr(recipes, "_MOST", 4)
    kernel = KERNELS["sum_elements"]
    for length in range(1, 30):
        call(cp, "sum_elements", (arrays(cp, rng, (length, 3)),), axis=(0,), keepdims=True)
        assert len(kernel.prepared[cp]) <= 5
