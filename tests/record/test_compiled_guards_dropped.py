"""Guards of recorded steps, each dropped in turn: a test of what it guards fails then, or it would guard nothing."""

import importlib.util
import inspect
import random
import struct
import textwrap
from pathlib import Path

import pytest
from record_helpers import POISONED, records

from cunet.record import compiled, draft, entry, moves, program, session, tree, watch

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]


def file_of(name):
    """Return a file of tests beside this one."""
    spec = importlib.util.spec_from_file_location(f"{name}_again", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


changes, guards = file_of("test_compiled_changes"), file_of("test_compiled_guards")
refusals, names = file_of("test_compiled_refusals"), file_of("test_names")
complaints = file_of("test_compiled_complaints")
CHANGE = {f.__name__: lambda rng, f=f: changes.test_a_change_is_seen(rng, f) for f in changes.CHANGES}


def dropped(function, guard, other, module, test, *arguments):
    """Return whose guard is dropped, how its text is then, and a test that needs it."""
    return function, guard, other, lambda **given: run(getattr(module, f"test_{test}"), given, arguments)


def run(test, given, arguments):
    names = [*inspect.signature(test).parameters]
    test(**{name: given[name] for name in names if name in given}, **dict(zip(names[1:], arguments, strict=False)))


fits, problem, check = entry.Entry.fits, compiled.CompiledStep._problem, draft.Draft._check
now = moves.Scalars.now
KEY = "(tree.key, context) == self._key"
CHANGE = {f.__name__: f for f in changes.CHANGES}
GUARDS = {
    "gradients": dropped(
        fits, "self._are_as_before()", "True", changes, "a_change_is_seen", CHANGE["freeze"]
    ),
    "what is reached": dropped(fits, "self._watch.holds()", "True", changes, "a_change_is_seen", CHANGE["mode"]),
    "context": dropped(fits, KEY, "tree.key == self._key[0]", guards, "recording_of_gradients_is_part_of_the_call"),
    "threads": dropped(fits, KEY, "tree.key == self._key[0]", guards, "another_number_of_threads_is_seen"),
    "parameters": dropped(
        program.Program.fits, "== self._ids", "!= None", changes, "a_change_is_seen", CHANGE["assign"]
    ),
    "seeds": dropped(program.Program.fits, "== self._streams", "!= None", changes, "a_change_is_seen", CHANGE["seed"]),
    "labels": dropped(
        program.Program.run, "is not answer", "is None",
        changes, "an_error_is_that_of_the_eager_step_and_nothing_has_changed",
    ),
    "settings": dropped(
        now, "if group != self._known:", "if False:", guards, "settings_that_choose_another_kernel_are_seen"
    ),
    "direction": dropped(now, "if group != self._known:", "if False:", guards, "the_direction_of_steps_is_seen"),
    "step counts": dropped(now, "if len(numbers) == 1 else None", "", guards, "state_that_is_edited_is_seen"),
    "held gradients": dropped(
        program.Program._fresh, "> (holder._grad is a)", "> 99",
        changes, "gradients_that_somebody_holds_stay_as_they_are",
    ),
    "listeners": dropped(
        problem, "dispatch.is_listened() or", "", changes, "what_is_listened_to_runs_as_it_is_written"
    ),
    "observers": dropped(
        problem, "or observe.is_observed()", "", guards, "what_is_observed_runs_as_it_is_written"
    ),
    "anomalies": dropped(
        problem, "not isinstance(tape.recording.get(), bool)", "False",
        guards, "what_detect_anomaly_looks_at_runs_as_it_is_written",
    ),
    "comparison": dropped(
        entry.Entry._compare, "if same:", "if True:", refusals, "weights_that_are_changed_by_numpy"
    ),
    "other generators": dropped(
        check, "recording.before.foreign != recording.after.foreign", "False",
        refusals, "random_numbers_of_others", random.random,
    ),
    "who touches": dropped(
        session.Session.look, "self._recorder.faults()", "False", refusals, "numpy_of_the_users"
    ),
    "who writes": dropped(
        check, "recording.unseen is not None", "False",
        refusals, "arrays_beside_the_step_that_numpy_writes", refusals.copy,
    ),
    "types of numbers": dropped(
        tree.Tree._take, "(kind, repr(value))", "value", complaints, "numbers_of_another_type_are_other_calls"
    ),
    "code": dropped(
        watch.Watch._callable, "self.problem or outward(value, names)", "self.problem",
        names, "what_python_asks_elsewhere", names.late, "asks time",
    ),
    "objects that act": dropped(
        watch.Watch._enter, "elif acts(value):", "elif False:", names, "objects_that_act", names.LOG
    ),
    "functions": dropped(
        watch.Watch._callable, "places = [value.__globals__]", "places = []",
        guards, "globals_and_methods_that_are_exchanged_are_seen",
    ),
}  # fmt: skip


def without(function, guard, other):
    """Return a function whose text has something else in the place of a guard."""
    text = textwrap.dedent(inspect.getsource(function))
    assert text.count(guard) == 1, f"{function.__qualname__}: {guard}"
    made = {}
    exec("from __future__ import annotations\n" + text.replace(guard, other), function.__globals__, made)
    return made[function.__name__]


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_that_is_dropped_is_missed(rng, monkeypatch, name):
    function, guard, other, test = GUARDS[name]
    arguments = {"rng": rng, "monkeypatch": monkeypatch}
    with monkeypatch.context() as patch:
        owner = getattr(inspect.getmodule(function), function.__qualname__.split(".")[0])
        patch.setattr(owner, function.__name__, without(function, guard, other))
        with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, RuntimeError, struct.error)):
            test(**arguments)
    test(**arguments)
