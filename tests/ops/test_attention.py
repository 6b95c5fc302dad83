"""scaled_dot_product_attention: masks, safety, PyTorch as a second oracle."""

import numpy as np
import pytest
from cases.attention import reference
from helpers import host
from torch_helpers import torch_weighted, weighted

from cunet import F, Tensor, random


@pytest.mark.parametrize("masked", ["no", "bool", "float", "causal"])
def test_attention_is_that_of_pytorch(masked, dev, rng):
    torch = pytest.importorskip("torch")
    arrays = [rng.standard_normal(s) for s in ((2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 7))]
    masks = {"bool": rng.random((4, 5)) < 0.6, "float": rng.standard_normal((2, 1, 4, 5))}
    if masked == "bool":
        masks["bool"][:, 0] = True
    mask = masks.get(masked)
    ours = [Tensor(dev(a), requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = F.scaled_dot_product_attention(*ours, None if mask is None else dev(mask), is_causal=masked == "causal")
    expected = torch.nn.functional.scaled_dot_product_attention(
        *theirs, None if mask is None else torch.tensor(mask), is_causal=masked == "causal"
    )
    np.testing.assert_allclose(host(y), expected.detach().numpy(), rtol=1e-10, atol=1e-13)
    weighted(y).backward()
    torch_weighted(torch, expected).backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(host(a.grad), b.grad.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("mask", ["bool", "float"])
def test_a_query_that_may_attend_to_nothing_gets_0_and_gives_no_gradient(mask, dev, rng):
    arrays = [Tensor(dev(rng.standard_normal(s)), requires_grad=True) for s in ((3, 4), (5, 4), (5, 2))]
    allowed = np.ones((3, 5), bool)
    allowed[1] = False
    given = allowed if mask == "bool" else np.where(allowed, 0.0, -np.inf)
    y = F.scaled_dot_product_attention(*arrays, dev(given))
    assert (host(y)[1] == 0).all()
    assert host(y)[[0, 2]].all()
    weighted(y).backward()
    assert (host(arrays[0].grad)[1] == 0).all()
    assert all(np.isfinite(host(a.grad)).all() for a in arrays)


@pytest.mark.parametrize("mask", ["bool", "float", "one axis", "batch"])
def test_a_key_that_is_hidden_from_all_is_not_looked_at(mask, dev, rng):
    query, key, value = (rng.standard_normal(s) for s in ((2, 3, 4), (5, 4), (5, 2)))
    allowed = {"one axis": np.ones(5, bool), "batch": np.ones((2, 1, 5), bool)}.get(mask, np.ones((3, 5), bool))
    allowed[..., 1] = allowed[..., 4] = False
    given = np.where(allowed, 0.0, -np.inf) if mask == "float" else allowed
    found = []
    for hidden in (1.0, np.nan, np.inf):
        key[[1, 4]] = value[[1, 4]] = hidden
        arrays = [Tensor(dev(a), requires_grad=True) for a in (query, key, value)]
        y = F.scaled_dot_product_attention(*arrays, dev(given))
        weighted(y).backward()
        found.append([host(y), *[host(a.grad) for a in arrays]])
    for finite, nan, infinite in zip(*found, strict=True):
        np.testing.assert_array_equal(finite, nan)
        np.testing.assert_array_equal(finite, infinite)
    assert (found[0][2][[1, 4]] == 0).all()
    assert (found[0][3][[1, 4]] == 0).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_scores_that_no_exponential_can_hold(dtype, dev):
    """exp(1000) is infinite in both types: the softmax must not form it."""
    q = Tensor(dev([[20.0], [-20.0]], dtype), requires_grad=True)
    k, v = dev([[50.0], [0.0]], dtype), dev([[1.0], [3.0]], dtype)
    y = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    np.testing.assert_array_equal(host(y), [[1.0], [3.0]])
    y.sum().backward()
    assert (host(q.grad) == 0).all()


def test_the_weights_of_a_row_sum_to_1_and_dropout_keeps_their_mean(dev):
    random.manual_seed(0)
    q, k, v = dev(np.zeros((40, 8))), dev(np.zeros((50, 8))), dev(np.ones((50, 1)))
    assert host(F.scaled_dot_product_attention(q, k, v)) == pytest.approx(1)
    y = host(F.scaled_dot_product_attention(q, k, v, dropout_p=0.5))
    assert len(np.unique(y)) > 5
    assert abs(y.mean() - 1) < 0.1
    assert host(F.scaled_dot_product_attention(q, k, v, dropout_p=0.5, training=False)) == pytest.approx(1)


def test_the_future_has_no_influence_on_a_causal_result(dev, rng):
    q, k, v = (rng.standard_normal((6, 4)) for _ in range(3))
    before = host(F.scaled_dot_product_attention(dev(q), dev(k), dev(v), is_causal=True))
    k[4:], v[4:] = 9, 9
    after = host(F.scaled_dot_product_attention(dev(q), dev(k), dev(v), is_causal=True))
    np.testing.assert_array_equal(before[:4], after[:4])
    assert (before[4:] != after[4:]).all()


@pytest.mark.parametrize("wide", range(3))
def test_arrays_of_two_dtypes_are_computed_in_the_wider(wide, dev, rng):
    arrays = [
        rng.standard_normal(s).astype("f8" if k == wide else "f4") for k, s in enumerate([(3, 4), (5, 4), (5, 2)])
    ]
    narrow, same = ([Tensor(dev(a, d), requires_grad=True) for a in arrays] for d in (None, np.float64))
    mask = dev(rng.standard_normal((3, 5)), np.float32)
    results = [F.scaled_dot_product_attention(*tensors, mask) for tensors in (narrow, same)]
    assert results[0].dtype == np.float64
    np.testing.assert_allclose(*map(host, results), rtol=1e-14)
    for y in results:
        weighted(y).backward()
    for a, b in zip(narrow, same, strict=True):
        assert a.grad.dtype == a.dtype
        np.testing.assert_allclose(host(a.grad), host(b.grad).astype(a.dtype), rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3, 4), (1, 1, 4)])
def test_empty_batches_and_single_steps(shape, dev, rng):
    x = Tensor(dev(rng.standard_normal(shape)), requires_grad=True)
    y = F.scaled_dot_product_attention(x, x, x)
    np.testing.assert_allclose(host(y), reference(*[host(x)] * 3)[0], rtol=1e-12)
    y.sum().backward()
    assert x.grad.shape == shape


def test_attention_errors(dev):
    a = dev(np.zeros((2, 3)), np.float32)
    with pytest.raises(ValueError, match=r"\(\.\.\., L, E\), \(\.\.\., S, E\)"):
        F.scaled_dot_product_attention(a, dev(np.zeros((2, 4)), np.float32), a)
    with pytest.raises(TypeError, match="attn_mask must be of bool or floating dtype, got int64"):
        F.scaled_dot_product_attention(a, a, a, dev(np.ones((2, 2), np.int64)))
    with pytest.raises(TypeError, match="key must be an array of floating dtype"):
        F.scaled_dot_product_attention(a, dev(np.zeros((2, 3), np.int64)), a)


@pytest.mark.cpu_only
def test_masks_and_batches_that_do_not_fit_are_named():
    q, k = np.ones((2, 3, 4)), np.ones((2, 5, 4))
    for shape in ((3, 4), (2, 3), (4, 3, 5), (5, 3)):
        with pytest.raises(ValueError, match=r"attn_mask must broadcast to \(..., L, S\) = \(2, 3, 5\), got"):
            F.scaled_dot_product_attention(q, k, k, np.zeros(shape))
    for shape in ((3, 5), (1, 5), (5,), (2, 1, 1), (7, 2, 3, 5)):
        y = F.scaled_dot_product_attention(q, k, k, np.zeros(shape))
        assert y.shape == (*shape[:-3], 2, 3, 4)
    with pytest.raises(ValueError, match=r"query, key and value must have shapes .* got \(2, 3, 4\), \(3, 5, 4\)"):
        F.scaled_dot_product_attention(q, np.ones((3, 5, 4)), np.ones((3, 5, 4)))
    with pytest.raises(TypeError, match="attn_mask must be of bool or floating dtype, got int64"):
        F.scaled_dot_product_attention(q, k, k, np.zeros((3, 5), np.int64))
    assert F.scaled_dot_product_attention(q[0].tolist(), k[0].tolist(), k[0].tolist(), [[True] * 5] * 3).shape == (3, 4)
