"""The public modules, and the classes and functions in them."""

import importlib
import inspect
from types import ModuleType

#: Modules whose names stand on another page.
ELSEWHERE = {"cunet.optim.lr_scheduler"}
#: Modules that are imported by their own name.
BESIDE = ["cunet", "cunet.native", "cunet.sklearn", "cunet.testing"]


def public_modules():
    names, left = set(), [importlib.import_module(name) for name in BESIDE]
    while left:
        module = left.pop()
        names.add(module.__name__)
        inner = [getattr(module, name) for name in getattr(module, "__all__", ())]
        left += [m for m in inner if isinstance(m, ModuleType) and m.__name__ not in names]
    return names


def listed(module):
    """Return the names that a module lists, or else defines."""
    defined = [name for name, found in vars(module).items() if getattr(found, "__module__", None) == module.__name__]
    return getattr(module, "__all__", [name for name in defined if not name.startswith("_")])


def public_objects():
    """Yield (module's name, object's name, object) of every class and function of public modules, once."""
    seen = set()
    for name in sorted(public_modules() | ELSEWHERE, key=lambda name: (-name.count("."), name)):
        module = importlib.import_module(name)
        for key in listed(module):
            found = getattr(module, key)
            if (inspect.isclass(found) or callable(found)) and id(found) not in seen:
                seen.add(id(found))
                yield name, key, found
