"""The same as mnist_mlp.py with the training loop written by hand."""

import cunet
from cunet import F, data, nn, optim

cunet.manual_seed(0)
train, test = data.load_images("auto")
batches = data.Loader(*train.arrays(), batch_size=128, shuffle=True, device="auto")  # on a GPU if there is one
[(x_test, y_test)] = data.Loader(*test.arrays(), batch_size=len(test), device="auto")

model = nn.Sequential(nn.Linear(x_test.shape[1], 256), F.relu, nn.Dropout(0.2), nn.Linear(256, 10)).to("auto")
optimizer = optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(1, 4):
    for x, y in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    with model.evaluating(), cunet.no_grad():
        correct = (model(x_test).argmax(axis=1) == y_test).mean()
    print(f"epoch {epoch}: loss of the last batch {loss.item():.4f}, test accuracy {100 * correct:.2f} %")
