"""PyTorch's well-known MNIST example network, trained by a loop as PyTorch users write it.

What differs from the PyTorch program: the imports, no ``.to(device)`` on batches (the Loader holds the data on the
device), and labels and predictions that are plain arrays.
"""

import argparse
import math
from pathlib import Path

import cunet
from cunet import F, nn, optim
from cunet.data import Loader, load_images


class Net(nn.Module):
    def __init__(self):
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = x.reshape(len(x), -1)
        x = F.relu(self.fc1(x))
        x = self.dropout2(x)
        return F.log_softmax(self.fc2(x), dim=1)


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            done, share = batch_idx * len(data), 100 * batch_idx / len(train_loader)
            print(f"epoch {epoch} [{done}/{train_loader.n_samples} ({share:.0f} %)]  loss {loss.item():.6f}")


def test(model, test_loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with cunet.no_grad():
        for data, target in test_loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            correct += int((output.argmax(axis=1) == target).sum())
    n = test_loader.n_samples
    print(f"test loss {test_loss / n:.4f}, test accuracy {100 * correct / n:.2f} % ({correct}/{n})")


def writable(text):
    path = Path(text).expanduser()
    if not path.parent.is_dir():  # now, and not when the training is done
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def share(epochs, batch_size, *arrays):
    """Return whole epochs, and the batches of the arrays that a part of one epoch goes over."""
    count = max(1, math.ceil(min(epochs, 1) * len(arrays[0]) / batch_size)) * batch_size
    return math.ceil(epochs), *(a[:count] for a in arrays)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--batch-size", type=int, default=64, help="images per step")
    parser.add_argument("--test-batch-size", type=int, default=1000, help="images at a time in the test")
    parser.add_argument("--epochs", type=float, default=5, help="passes over the images; 0.5 is one over half of them")
    parser.add_argument("--lr", type=float, default=1.0, help="learning rate of the first epoch")
    parser.add_argument("--gamma", type=float, default=0.7, help="factor of the rate from one epoch to the next")
    parser.add_argument("--seed", type=int, default=1, help="of the weights, the order of the images and dropout")
    parser.add_argument("--log-interval", type=int, default=100, help="steps between two lines")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument(
        "--save", type=writable, default="mnist_torch_style.safetensors", help="where to write the weights"
    )
    return parser.parse_args()


def main():
    args = parse_arguments()
    cunet.manual_seed(args.seed)
    train_set, test_set = load_images("mnist")
    epochs, *arrays = share(args.epochs, args.batch_size, *train_set.arrays(flatten=False))
    train_loader = Loader(*arrays, batch_size=args.batch_size, shuffle=True, device=args.device)
    test_loader = Loader(*test_set.arrays(flatten=False), batch_size=args.test_batch_size, device=args.device)

    model = Net().to(args.device)
    optimizer = optim.Adadelta(model.parameters(), lr=args.lr)
    scheduler = optim.StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        test(model, test_loader)
        scheduler.step()
    model.save(args.save)


if __name__ == "__main__":
    main()
