"""Functions that run step by step, generators and async ones, within a context while they run and not in between."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AbstractContextManager
from typing import Any

Switch = Callable[[], AbstractContextManager[Any]]


def stepwise(switch: Switch, function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return a generator or async function, run within a context each time it goes on; None for a plain function."""
    if inspect.isgeneratorfunction(function):
        return _generator(switch, function)
    if inspect.isasyncgenfunction(function):
        return _async_generator(switch, function)
    return _coroutine(switch, function) if inspect.iscoroutinefunction(function) else None


def _generator(switch: Switch, function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps = function(*args, **kwargs)
        go_on, value = steps.send, None
        while True:
            try:
                with switch():
                    made = go_on(value)
            except StopIteration as end:
                return end.value
            try:
                go_on, value = steps.send, (yield made)
            except GeneratorExit:
                with switch():
                    steps.close()
                raise
            except BaseException as error:
                go_on, value = steps.throw, error

    return wrapped


def _async_generator(switch: Switch, function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapped(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = function(*args, **kwargs)
        go_on, value = steps.asend, None
        while True:
            try:
                with switch():
                    made = await go_on(value)
            except StopAsyncIteration:
                return
            try:
                go_on, value = steps.asend, (yield made)
            except GeneratorExit:
                with switch():
                    await steps.aclose()
                raise
            except BaseException as error:
                go_on, value = steps.athrow, error

    return wrapped


def _coroutine(switch: Switch, function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        with switch():
            return await function(*args, **kwargs)

    return wrapped
