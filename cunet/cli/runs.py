"""A run on disk: a folder with what is trained, how far it is, and what came of it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import random
from ..device import Array
from ..nn.inputs import dtype_of
from ..nn.module import Module
from ..system.files import load_arrays, write_whole
from ..train.batches import as_loader, batches
from ..train.files import listed, newest_state
from .recipes import Job, Mnist, Picture, find, job_of
from .settings import fitted

RUN, WEIGHTS = "run.json", "weights.safetensors"
#: What of a setting can be kept in run.json.
_PLAIN = (str, int, float, bool, type(None))


@dataclass
class Run:
    """What is known of a run without its data.

    Attributes:
        folder: where it is.
        recipe: what is trained: a name of `RECIPES`, or ``module:function``.
        settings: the recipe's arguments.
        seed: of `cunet.manual_seed`, before the recipe is called.
        epochs: how many it has when it is done.
        picture: how images become inputs, if they do.
    """

    folder: Path
    recipe: str
    settings: dict[str, Any]
    seed: int
    epochs: int
    picture: Picture | None = None

    def write(self) -> None:
        """Write ``run.json``, whole or not at all."""
        import json

        kept = {name: value for name, value in self.settings.items() if _is_plain(value)}
        picture = self.picture and self.picture._asdict()
        text = json.dumps({**asdict(self), "settings": kept, "picture": picture, "folder": None}, indent=1)
        write_whole(self.folder / RUN, f"{text}\n".encode())

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Run:
        """Return the run in a folder.

        Raises:
            FileNotFoundError: there is none.
            ValueError: its ``run.json`` is none of ours.
        """
        import json

        path = Path(folder).expanduser() / RUN
        if not path.is_file():
            raise FileNotFoundError(f"no run in {folder} (there is no {path}); cunet train makes one")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            settings = {name: tuple(v) if isinstance(v, list) else v for name, v in found["settings"].items()}
            picture = found["picture"] and Picture(**found["picture"])
            return cls(path.parent, found["recipe"], settings, found["seed"], found["epochs"], picture)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} does not describe a run: {error!r}") from error

    def made(self) -> Any:
        """Call the recipe: the same weights, and later the same order of samples, each time."""
        random.manual_seed(self.seed)
        recipe = find(self.recipe)
        return recipe(**fitted(recipe, self.settings))

    def job(self) -> Job:
        """Return the trainer, untrained, and its data."""
        return job_of(self.recipe, self.made())

    def built(self) -> tuple[Module, tuple[Array, ...]]:
        """Return the model, untrained, and inputs of two samples; of a recipe of ours no data are loaded for that."""
        made = self.made()
        if isinstance(made, Mnist) and self.picture is not None:
            pixels = np.random.default_rng(0).random((2, *self.picture.shape), np.float32)
            return made.net(self.picture.side), (pixels,)
        job = job_of(self.recipe, made)
        model, dtype = job.trainer.model, dtype_of(job.trainer.model)
        *inputs, _ = next(batches(as_loader(job.train, dtype, batch_size=2), dtype, job.trainer.device))
        return model, tuple(x[:2] for x in inputs)

    def loaded(self) -> tuple[Module, tuple[Array, ...]]:
        """Return the model with the newest weights, and inputs of two samples."""
        model, inputs = self.built()
        self.load(model)
        return model, inputs

    def load(self, model: Module) -> None:
        """Load the newest weights: those that training ended with, or of a checkpoint after them.

        Raises:
            FileNotFoundError: there are none yet.
            ValueError: they are damaged, or of another model.
        """
        final, files = self.folder / WEIGHTS, listed(self.folder)
        if final.is_file() and (not files or final.stat().st_mtime_ns >= files[-1].stat().st_mtime_ns):
            model.load_state_dict(load_arrays(final))
            return
        state = newest_state(self.folder)
        if state is None:
            raise FileNotFoundError(f"no weights in {self.folder} yet: its training saved nothing")
        model.load_state_dict(state["model"])


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)
