"""Kill a training run again and again, and see whether it ends as if nothing had happened.

A child process trains a convolutional net with batch norm, dropout, augmentation, a schedule, an average of the weights
and metrics over whole epochs, writes logs, and saves its state every few steps. It is killed (SIGKILL) at a random
moment, started again with ``resume="auto"``, killed again, until it comes to its end. Weights, their average,
optimiser, history (without times), logs and random streams must then be, byte for byte, those of a run that nobody
killed, and of which no step was recorded. Exit status 1: they are not, or a run does not end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_FREE = ("seconds", "replays")  # differ from run to run


def train(folder: Path, result: Path, options: argparse.Namespace) -> None:
    """Train, resuming what is in `folder`; write what the run leaves to `result`."""
    sys.path.insert(0, str(ROOT))
    import numpy as np

    import cunet
    from cunet import F, data, nn, optim
    from cunet.train import EMA, Checkpoint, CSVLog, JSONLog, Schedule, Trainer

    def augmented(samples: list[Any]) -> Any:
        x, y = data.collate(samples)
        noise = cunet.random.default_generator("augmentation").next().rng().standard_normal(x.shape, np.float32)
        return x + np.float32(0.1) * noise, y

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((200, 1, 8, 8), np.float32), rng.integers(0, 4, 200)
    cunet.manual_seed(1)
    layers = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(288, 4)]
    model = nn.Sequential(*layers)
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    schedule = Schedule(optim.OneCycleLR(optimizer, 0.02, total_steps=7 * options.epochs), per="batch")
    result.parent.mkdir(parents=True, exist_ok=True)
    logs = [kind(result.with_name(name)) for kind, name in ((CSVLog, "log.csv"), (JSONLog, "log.jsonl"))]
    trainer = Trainer(
        model, F.cross_entropy, optimizer, metrics=["accuracy", "f1", "auroc"], average=EMA(0.9), progress=False,
        callbacks=[*logs, schedule, Checkpoint(folder, every_steps=options.every)], compile=not options.plain,
    )  # fmt: skip
    print("training", flush=True)
    loader = data.Loader(list(zip(x, y, strict=True)), batch_size=32, shuffle=True, collate=augmented)
    trainer.fit(loader, (x[:40], y[:40]), options.epochs, resume="auto")
    texts = {Path(log.path).name: Path(log.path).read_text(encoding="utf-8") for log in logs}
    result.write_text(json.dumps(left_by(trainer) | {"logs": texts}), encoding="utf-8")


def left_by(trainer: Any) -> dict[str, Any]:
    """Return what a run leaves: digests of arrays, and everything else as it is."""
    import cunet

    def digest(value: Any) -> Any:
        return hashlib.sha256(value.tobytes()).hexdigest() if hasattr(value, "tobytes") else value

    saved = trainer.optimizer.state_dict()
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in trainer.history]
    return {
        "weights": {name: digest(value) for name, value in trainer.model.state_dict().items()},
        "optimizer": [{name: digest(value) for name, value in state.items()} for state in saved["state"]],
        "groups": saved["param_groups"],
        "history": rows,
        "average": {name: digest(value) for name, value in trainer.average.arrays.items()},
        "streams": cunet.random.get_state(),
        "steps": trainer.global_step,
        "seconds": sum(row["seconds"] for row in trainer.history),
        "replays": sum(report.replays for report in trainer.reports().values()),
    }


def child(folder: Path, result: Path, options: argparse.Namespace) -> subprocess.Popen[str]:
    """Start a child that trains."""
    command = [sys.executable, str(Path(__file__)), "--folder", str(folder), "--result", str(result)]
    command += ["--every", str(options.every), "--epochs", str(options.epochs), *["--plain"] * options.plain]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_until_done(
    work: Path, options: argparse.Namespace, chance: random.Random, most: int, span: float
) -> tuple[Any, int, int]:
    """Return what a run leaves that is killed up to `most` times, the kills, and how many fell into a save."""
    folder, result, kills, torn = work / "run", work / "result.json", 0, 0
    while not result.exists():
        process = child(folder, result, options)
        assert process.stdout is not None
        process.stdout.readline()  # it has begun to train, or it has died
        if kills < most:
            time.sleep(chance.uniform(0, span))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
        process.wait()
        process.stdout.close()
        torn += any(name.endswith(".part") for name in os.listdir(folder)) if folder.exists() else 0
        for part in folder.glob("*.part"):  # so that the next one is seen
            part.unlink()
        if process.returncode not in (0, -signal.SIGKILL):
            raise SystemExit(f"kill_test: the run failed with exit status {process.returncode} after {kills} kills")
    return json.loads(result.read_text(encoding="utf-8")), kills, torn


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how many in all (default: 200)")
    parser.add_argument("--run", type=int, default=20, help="kills of one run at most, before the next (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--span", type=float, help="seconds to a kill at most (default: half of what a run takes)")
    parser.add_argument("--every", type=int, default=2, help="steps between two saves (default: 2)")
    parser.add_argument("--epochs", type=int, default=30, help="of a run (default: 30)")
    parser.add_argument("--plain", action="store_true", help="record no steps")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        train(options.folder, options.result, options)
        return 0
    chance, kills, torn, runs = random.Random(options.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as root:
        plain = argparse.Namespace(**{**vars(options), "plain": True})
        expected, _, _ = killed_until_done(Path(root) / "whole", plain, chance, 0, 0)
        span = options.span or expected["seconds"] / 2
        while kills < options.kills:
            runs += 1
            work = Path(root) / str(runs)
            got, more, cut = killed_until_done(work, options, chance, min(options.run, options.kills - kills), span)
            kills, torn = kills + more, torn + cut
            differing = [name for name in expected if name not in _FREE and got[name] != expected[name]]
            if differing:
                print(f"run {runs}: {', '.join(differing)} differ after {more} kills (seed {options.seed})")
                return 1
            print(f"{kills} kills, {runs} runs resumed to their end, {torn} kills in the middle of a save: byte-equal;"
                  f" {got['replays']} calls replayed since the last kill", flush=True)  # fmt: skip
            if not more:
                raise SystemExit("kill_test: a run ended before it could be killed; take more --epochs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
