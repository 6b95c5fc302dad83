"""Train a model of characters on Python's own source files, by truncated back-propagation through time.

The text is cut into as many streams as the batch has rows, and the streams into chunks. The state at the end of a chunk
is where the next one begins, but detached: values go on, gradients stop there.
"""

import argparse
import math
import sysconfig
import time
from pathlib import Path

import numpy as np

import cunet
from cunet import F, nn, optim

TRAIN = ["argparse", "configparser", "csv", "dataclasses", "difflib", "heapq", "shlex"]
TEST = ["cmd", "textwrap"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=float, default=6, help="passes over the text; 0.5 is one over half of it")
    parser.add_argument(
        "--cell", choices=["LSTM", "GRU", "RNN", "LayerNormLSTM"], default="LSTM", help="recurrent layer"
    )
    parser.add_argument("--hidden", type=int, default=128, help="units of the recurrent layer")
    parser.add_argument("--chunk", type=int, default=48, help="steps that gradients go back")
    parser.add_argument("--batch-size", type=int, default=32, help="streams that are read side by side")
    parser.add_argument("--lr", type=float, default=4e-3, help="learning rate")
    parser.add_argument("--variational", type=float, default=0.0, help="variational dropout of inputs and outputs")
    parser.add_argument("--weight-drop", type=float, default=0.0, help="probability to drop a recurrent weight")
    parser.add_argument("--temperature", type=float, default=0.6, help="of the sample: lower is surer")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, dropout and the sample")
    return parser.parse_args()


def read(modules):
    """Return the source of modules of the standard library as codes 0 to 96: printable ASCII, newline, and all else."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    text = "\n".join((folder / f"{name}.py").read_text(encoding="utf-8") for name in modules)
    codes = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64)
    return np.where(codes == ord("\n"), 95, np.where((codes >= 32) & (codes < 127), codes - 32, 96))


def to_text(codes):
    return "".join("\n" if c == 95 else "?" if c == 96 else chr(c + 32) for c in codes)


def detach(state):
    return tuple(detach(s) for s in state) if isinstance(state, tuple) else state.detach()


class CharModel(nn.Module):
    """Embedding, recurrent layer, scores of the next character."""

    def __init__(self, args):
        rates = (args.variational, 0.0, args.variational)
        make = getattr(nn, args.cell)
        self.embedding = nn.Embedding(97, 64)
        self.rnn = make(64, args.hidden, variational_dropout=rates, weight_drop=args.weight_drop)
        self.scores = nn.Linear(args.hidden, 97)

    def forward(self, codes, state=None):
        """Return scores (T, N, 97) for `codes` (T, N), and the state after them."""
        y, state = self.rnn(self.embedding(codes), state)
        return self.scores(y), state


def chunks(codes, batch_size, length, device):
    """Yield (T, N) codes and those that follow them, in order; row n of all chunks is one stretch of the text."""
    steps = (len(codes) - 1) // batch_size
    streams = [codes[k : k + steps * batch_size].reshape(batch_size, steps).T.copy() for k in (0, 1)]
    x, y = (cunet.tensor(s, device=device).data for s in streams)
    for start in range(0, steps, length):
        yield x[start : start + length], y[start : start + length]


def bits(scores, targets):
    """Return the mean number of bits that the model needs for a character."""
    return F.cross_entropy(scores.reshape(-1, 97), targets.reshape(-1)) * (1 / math.log(2))


def train_epoch(model, optimizer, codes, args, device):
    total, count, state = 0.0, 0, None
    for x, y in chunks(codes, args.batch_size, args.chunk, device):
        optimizer.zero_grad()
        scores, state = model(x, state)
        loss = bits(scores, y)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = detach(state)  # the truncation: without it backward would go on into the chunks before
        total, count = total + loss.data * len(x), count + len(x)
    return float(total) / count


def evaluate(model, codes, args, device):
    total, count, state = 0.0, 0, None
    with model.evaluating(), cunet.no_grad():
        for x, y in chunks(codes, 8, 256, device):
            scores, state = model(x, state)
            total, count = total + bits(scores, y).data * len(x), count + len(x)
    return float(total) / count


def sample(model, start, length, temperature, seed, device):
    """Continue a text character by character."""
    rng = np.random.default_rng(seed)
    codes = [95 if c == "\n" else ord(c) - 32 for c in start]
    with model.evaluating(), cunet.no_grad():
        scores, state = model(cunet.tensor(np.array(codes)[:, None], device=device).data)
        for _ in range(length):
            p = F.softmax(scores[-1, 0] * (1 / temperature)).numpy().astype(np.float64)
            codes.append(int(rng.choice(97, p=p / p.sum())))
            scores, state = model(cunet.tensor(np.array([[codes[-1]]]), device=device).data, state)
    return to_text(codes)


def main():
    args = parse_arguments()
    cunet.manual_seed(args.seed)
    train, test = read(TRAIN), read(TEST)
    train = train[: math.ceil(min(args.epochs, 1) * len(train))]
    model = CharModel(args).to(args.device)
    device = model.scores.weight.device
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    print(
        f"{len(train)} characters to learn from, {len(test)} to be tested on; cunet {cunet.__version__} on the {device}"
    )
    print(model)
    for epoch in range(1, math.ceil(args.epochs) + 1):
        begin = time.perf_counter()
        learned = train_epoch(model, optimizer, train, args, device)
        tested = evaluate(model, test, args, device)
        spent = time.perf_counter() - begin
        print(
            f"epoch {epoch}: {learned:.3f} bits per character, {tested:.3f} on the test text, {spent:.1f} s", flush=True
        )
    print(sample(model, "def ", 400, args.temperature, args.seed, device))


if __name__ == "__main__":
    main()
