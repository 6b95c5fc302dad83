"""Steps that are captured as CUDA graphs: k replays give the bits of k eager steps. Always on the simulated device."""

import numpy as np
import pytest
from helpers import host, turn
from optimizer_rows import FULL_ROWS, LAYER_ROWS, row_id
from record_helpers import PairOnGpu, batch, bn_net
from record_layers import LAYERS, LOSSES, Around, inputs_of
from record_nets import NETS

import cunet
import sim
from cunet import functional as F
from cunet import nn, optim
from cunet.ops.activation.registry import ACTIVATIONS

xp = sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")

STEPS = 6
EAGER = 4  # calls until a step is replayed: seen, run in its place, captured, compared


def replayed(pair, draw, steps=STEPS):
    for _ in range(steps):
        pair.both(*draw())
    report = pair.compiled.report()
    assert (report.replays, report.plans) == (steps - EAGER, 1), report


def test_a_net_is_replayed_bit_for_bit_by_one_launch(rng):
    pair = PairOnGpu()
    replayed(pair, lambda: batch(rng))
    x, y = (xp.asarray(a) for a in batch(rng))
    with xp._stats.forbid(), xp._stats.counting() as counted:
        pair.side.run(pair.compiled, x, y)
    found = [counted[k] for k in ("graphs", "launches", "ops")]
    assert found == [1, 2, 3]  # scalars and gradients by kernels; inputs in, the loss out


@pytest.mark.parametrize("name", NETS)
def test_nets_are_replayed_bit_for_bit(rng, name):
    make, shape = NETS[name]
    replayed(PairOnGpu(make), lambda: batch(rng, shape=shape))


def made(row, **more):
    """Return what makes an optimiser of parameters; of those of a net Muon gets the matrices."""
    cls, settings = row
    least = 2 if cls is optim.Muon else 0
    return lambda parameters: cls([p for p in parameters if p.data.ndim >= least], **settings, **more)


@pytest.mark.parametrize("row", FULL_ROWS + LAYER_ROWS, ids=row_id)
def test_optimisers_are_replayed_bit_for_bit(rng, row):
    replayed(PairOnGpu(bn_net, made(row)), lambda: batch(rng))


@pytest.mark.parametrize("row", FULL_ROWS[::3] + LAYER_ROWS[1::2], ids=row_id)
def test_optimisers_whose_rate_lies_on_the_gpu_are_replayed(rng, row):
    cls, settings = row
    kwargs = {k: v for k, v in settings.items() if k != "lr"}

    def on_gpu(parameters):
        return made((cls, kwargs), lr=xp.asarray(np.float64(0.0625)))(parameters)

    pair = PairOnGpu(optimizer=on_gpu)
    pair.eager.state = pair.side.state = lambda: None  # numbers of which some lie there: below
    for k in range(STEPS):
        if k == 5:
            pair.each(lambda side: side.optimizer.param_groups[0]["lr"].fill(0.5))
        pair.both(*batch(rng))
        both = [host(p).tobytes() for side in (pair.eager, pair.side) for p in side.model.parameters()]
        assert both[: len(both) // 2] == both[len(both) // 2 :]
    assert pair.replays == STEPS - EAGER
    numbers = [{k: float(v) for k, v in s.items() if k in o.numbers} for o in [pair.side.optimizer] for s in o.state]
    assert {n["step"] for n in numbers} == {STEPS}


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes_are_replayed(rng, dtype):
    pair = PairOnGpu(lambda: bn_net().astype(dtype), optim.Adam)
    replayed(pair, lambda: (batch(rng)[0].astype(dtype), batch(rng)[1]))


@pytest.mark.slow
def test_every_layer_and_loss_is_captured_with_the_same_bits(rng):
    alike = {entry.layer for entry in ACTIVATIONS.values()} - {"GELU", "PReLU"}
    for k, name in enumerate([n for n in (*LAYERS, *LOSSES) if n not in alike]):
        cls, settings = FULL_ROWS[k % len(FULL_ROWS)]
        with turn(name, cls.__name__):
            model = Around(name).to("gpu")
            step = cunet.compile(of_layer(model, cls(model.parameters(), **settings)))
            for _ in range(EAGER):  # in the last of which a replay and an eager step are compared
                step(*[xp.asarray(a) for a in inputs_of(name, rng, 4)])
            assert step.report().plans == 1, step.report()


def of_layer(model, optimizer):
    def step(*inputs):
        optimizer.zero_grad()
        loss = model(*inputs)
        loss.backward()
        optimizer.step()
        return loss

    return step


class Behind(nn.Module):
    """What a function makes of the input times a trained weight."""

    def __init__(self, function, shape):
        self.function, self.weight = function, nn.Parameter(np.full(shape, 0.5, np.float32))

    def forward(self, x):
        return self.function(x, self.weight)


def squared(side):
    def step(x, y):
        side.optimizer.zero_grad()
        loss = (side.model(x) ** 2).mean()
        loss.backward()
        side.optimizer.step()
        return loss

    return step


RESAMPLINGS = [
    (2, {"scale_factor": 2.0}),
    (1, {"size": 5, "mode": "linear"}),
    (2, {"size": (5, 2), "mode": "bilinear", "align_corners": True}),
    (3, {"size": (3, 2, 4), "mode": "trilinear"}),
    (2, {"scale_factor": (2.5, 0.5), "mode": "bicubic"}),
    (2, {"size": 3, "mode": "area"}),
]


@pytest.mark.parametrize(("axes", "options"), RESAMPLINGS)
def test_every_way_to_resample_is_replayed(rng, axes, options):
    pair = PairOnGpu(lambda: Behind(lambda x, w: F.interpolate(x * w, **options), 1), step=squared)
    replayed(pair, lambda: batch(rng, 2, (2, *[4] * axes)))


#: Products of matrices, of rows, of elements, with sums over one operand, diagonals, axes of length 1, three operands.
SUMS = {
    "ij,kj->ki": (3, 6), "ij,ij->i": (8, 6), "ij,ij->ij": (8, 6), "...j,kj->...": (4, 6), "ij,kk->ij": (3, 3),
    "ij,jkk->ik": (6, 2, 2), "ij,kj->ik": (3, 1), "ij,kj,kj->i": (3, 6), "bij,bjk->bik": (8, 6, 2), "ij,kl->": (2, 3),
}  # fmt: skip


@pytest.mark.parametrize("subscripts", SUMS)
def test_sums_of_einstein_are_replayed(rng, subscripts):
    def of(x, w):
        return cunet.einsum(subscripts, x, *[w] * subscripts.count(","))

    shape = (3, 6) if subscripts.startswith("bij") else (6,)
    replayed(PairOnGpu(lambda: Behind(of, SUMS[subscripts]), step=squared), lambda: batch(rng, shape=shape))


def test_words_are_looked_up_and_evaluation_is_replayed(rng):
    table, head = nn.Embedding(9, 4).to("gpu"), nn.Linear(4, 3).to("gpu")
    head.eval()

    @cunet.compile
    def predict(words):
        with cunet.no_grad():
            return {"scores": F.softmax(head(table(words).mean(axis=1)))}

    for _ in range(STEPS):
        words = xp.asarray(rng.integers(0, 9, (8, 5)))
        with cunet.no_grad():
            expected = F.softmax(head(table(words).mean(axis=1)))
        assert host(predict(words)["scores"]).tobytes() == host(expected).tobytes()
    assert predict.report().replays == STEPS - EAGER


def test_settings_may_change_from_step_to_step(rng):
    pair = PairOnGpu(optimizer=lambda p: optim.AdamW(p, lr=0.01))
    for k in range(STEPS + 4):

        def change(side, k=k):
            side.optimizer.param_groups[0].update(lr=0.01 / (k + 1), weight_decay=0.1 * k, betas=(0.9 - 0.01 * k, 0.99))

        pair.each(change)
        pair.both(*batch(rng))
    assert pair.replays == STEPS


#: Other numbers for step k, of which none lets a step take another path; and what does.
CHANGED = {
    optim.LAMB: (lambda k: {"betas": (0.9 - 0.05 * k, 0.99), "eps": 1e-3 * k, "weight_decay": 0.1 * k}, "weight_decay"),
    optim.Adafactor: (lambda k: {"beta2_decay": -0.1 * k, "eps": (1e-4 * k, 0.1 * k), "d": 0.1 * k}, "eps"),
    optim.Muon: (lambda k: {"momentum": 0.05 * k, "ns_coefficients": (3 - 0.1 * k, -4.0, 2.0), "eps": k}, "ns_steps"),
}


@pytest.mark.parametrize("cls", CHANGED, ids=[cls.__name__ for cls in CHANGED])
def test_settings_of_optimisers_by_layers_may_change_too(rng, cls):
    changed, of_path = CHANGED[cls]
    pair = PairOnGpu(bn_net, made((cls, changed(1) | {"lr": 0.5, "weight_decay": 0.1})))
    pair.each(lambda side: setattr(side, "schedule", optim.StepLR(side.optimizer, 1, gamma=0.75)))
    for k in range(STEPS + 4):
        pair.both(*batch(rng))
        pair.each(lambda side, k=k: side.optimizer.param_groups[0].update(changed(k + 1)))
        pair.each(lambda side: side.schedule.step())
    assert pair.replays == STEPS
    pair.each(lambda side: side.optimizer.param_groups[0].update({of_path: (None, 0.1) if of_path == "eps" else 0}))
    pair.both(*batch(rng))
    assert pair.replays == STEPS
    assert "an optimiser takes another path" in str(pair.compiled.report())


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("cls", CHANGED, ids=[cls.__name__ for cls in CHANGED])
def test_optimisers_by_layers_are_replayed_in_other_dtypes(rng, cls, dtype):
    pair = PairOnGpu(lambda: bn_net().astype(dtype), made((cls, {"maximize": True})))
    replayed(pair, lambda: (batch(rng)[0].astype(dtype), batch(rng)[1]))


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("cls", [optim.Adam, *CHANGED], ids=lambda cls: cls.__name__)
def test_sharpness_aware_steps_are_replayed(rng, cls, adaptive):
    def step(side):
        around = optim.SAM(side.optimizer, adaptive=adaptive)

        def stepped(x, y):
            def closure():
                side.optimizer.zero_grad()
                loss = F.cross_entropy(side.model(x), y)
                loss.backward()
                return loss

            return around.step(closure)

        return stepped

    replayed(PairOnGpu(bn_net, made((cls, {"lr": 0.01})), step=step), lambda: batch(rng))


def test_what_a_step_returned_and_its_gradients_are_kept(rng):
    pair, held = PairOnGpu(), []
    for _ in range(STEPS):
        loss = pair.both(*batch(rng))
        for a in (loss.data, *[p.grad for p in pair.side.model.parameters()]):
            held.append((a, a.copy()))
    for a, copy in held:
        assert host(a).tobytes() == host(copy).tobytes()
    assert held[-1][0].base is not None and held[-5][0].base is None  # a loss that is kept holds no gradients


def test_gradients_that_are_there_are_added_to(rng):
    def step(side):
        def adding(x, y):
            loss = F.cross_entropy(side.model(x), y)
            loss.backward()
            return loss

        return adding

    pair = PairOnGpu(step=step)
    for k in range(4 * STEPS):
        if k % 3 == 0:
            pair.each(lambda side: side.optimizer.zero_grad())
        pair.both(*batch(rng))
    assert pair.compiled.report().plans == 2 and pair.replays >= STEPS, pair.compiled.report()


def test_what_is_written_into_parameters_is_seen(rng):
    pair = PairOnGpu(bn_net)
    for k in range(STEPS):
        if k > EAGER:
            pair.each(lambda side: side.model[0].weight.data.fill(0.25))
            pair.each(lambda side: side.model[1].running_mean.data.fill(0.5))
        pair.both(*batch(rng))
    assert pair.replays == STEPS - EAGER


def test_a_recorded_step_waits_for_the_stream_of_its_call(rng):
    """The simulated device has no time: what is seen is that events go from stream to stream, there and back."""
    pair, seen = PairOnGpu(), []
    replayed(pair, lambda: batch(rng))
    stream, mine = next(iter(cunet.record.place._streams.values())), xp.cuda.Stream()
    stream.wait_event = lambda event: seen.append("there")
    mine.wait_event = lambda event: seen.append("back")
    try:
        with mine:
            pair.both(*batch(rng))
    finally:
        del stream.wait_event
    assert seen == ["there", "back"]
