"""Times a training step of the ladder network in PyTorch, the same as `training_timings` of crates/network takes.

    training_step.py time [CHANNELS [EDGE_PX [IMAGES]]]     one line of JSON; defaults 32,64,96,128 192 8
    training_step.py check FOLDER                           the network is ours: FOLDER/timed.onnx against onnxruntime
    training_step.py table OURS.txt.. -- THEIRS.json..      a Markdown table, from several rounds each

A step is what ours is: standardised weights (arXiv:2101.08692), the network, cross-entropy of shares, Gaussian
likelihoods of place and number of atoms, gradients, the gradient's norm held back, Adam, a running average of the
parameters. Both memory formats are timed and the faster one counts.
"""

import json
import pathlib
import re
import statistics
import sys
import time

THREADS = 2
SPECIES = 1


def sizes(channels):
    """`(kernel, channels_in, channels_out)` of every convolution, in the order of our steps."""
    result, last = [], 4
    for width in channels:
        result += [(3, last, width), (3, width, width), (3, width, width)]
        last = width
    for width in channels[-2::-1]:
        result += [(1, last, width), (3, width, width), (3, width, width)]
        last = width
    return result + [(1, last, SPECIES + 6)]


def forward(weights, biases, folded, levels):
    from torch.nn.functional import avg_pool2d, conv2d, interpolate, relu

    pairs = iter(zip(weights, biases))

    def convolution(x):
        weight, bias = next(pairs)
        return conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def residual(x):
        inner = relu(convolution(x))
        return relu(convolution(inner) + x)

    kept, x = [], folded
    for level in range(levels):
        if level > 0:
            x = avg_pool2d(x, 2)
        x = residual(relu(convolution(x)))
        kept.append(x)
    for skip in kept[-2::-1]:
        x = interpolate(convolution(x), scale_factor=2, mode="nearest") + skip
        x = residual(x)
    return convolution(x)


def standardised(direction, gain):
    inputs = direction[0].numel()
    centred = direction - direction.mean((1, 2, 3), keepdim=True)
    variance = centred.square().mean((1, 2, 3), keepdim=True)
    return centred * (gain.view(-1, 1, 1, 1) / ((variance + 1e-6) * (0.5 * inputs)).sqrt())


def loss_of(raw, share, offset, atoms, near, counted):
    import torch

    logits, place, log_sigma, number, log_atoms_sigma = raw.split([SPECIES + 1, 2, 1, 1, 1], 1)
    expected = torch.cat([share, 1 - share.sum(1, keepdim=True)], 1)
    entropy = -(logits.log_softmax(1) * expected).sum(1, keepdim=True)
    total = (entropy * counted).sum() * (30 / counted.numel())
    weight = near.sum() + 1
    log_sigma = log_sigma.clamp(-3.5, 1.0)
    square = (place - offset).square().sum(1, keepdim=True)
    total = total + 0.3 * ((square * (-2 * log_sigma).exp() * 0.5 + 2 * log_sigma) * near).sum() / weight
    log_sigma = log_atoms_sigma.clamp(-2.0, 3.0)
    square = (5 * number - atoms).square()
    return total + 0.1 * ((square * (-2 * log_sigma).exp() * 0.5 + log_sigma) * near).sum() / weight


def measure(channels, edge_px, images):
    import torch

    torch.set_num_threads(THREADS)
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    found, count = {}, 0
    for name, memory in formats.items():
        torch.manual_seed(1)
        side = edge_px // 2
        convolutions = sizes(channels)
        shape = lambda size: (size[2], size[1], size[0], size[0])
        directions = [torch.randn(shape(size)).contiguous(memory_format=memory) for size in convolutions]
        directions[-1] *= 0.3 / convolutions[-1][1] ** 0.5
        gains = [torch.ones(size[2]) for size in convolutions[:-1]]
        biases = [torch.zeros(size[2]) for size in convolutions]
        parameters = [value.requires_grad_() for value in directions + gains + biases]
        count = sum(value.numel() for value in directions + biases)
        averaged = [value.detach().clone() for value in parameters]
        optimiser = torch.optim.Adam(parameters, 1e-3, foreach=True)
        folded = (torch.rand(images, 4, side, side) * 2 - 1).contiguous(memory_format=memory)
        plane = lambda value, planes=1: torch.full((images, planes, side, side), value)
        targets = plane(0.03), plane(0.0, 2), plane(3.0), plane(0.3), plane(1.0)

        def step():
            weights = [standardised(*pair) for pair in zip(directions, gains)] + directions[-1:]
            loss = loss_of(forward(weights, biases, folded, len(channels)), *targets)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1e3, foreach=True)
            optimiser.step()
            with torch.no_grad():
                torch._foreach_lerp_(averaged, parameters, 1 / 300)
            return loss.item()

        losses, times = [step(), step()], []
        for _ in range(5):
            start = time.perf_counter()
            losses.append(step())
            times.append(1e3 * (time.perf_counter() - start))
        assert losses[-1] < losses[0], f"it does not learn: {losses}"
        found[name] = times
    print(json.dumps({"version": torch.__version__, "parameters": count, "step_ms": found}))


def check(folder):
    """Our exported weights in the network above give what onnxruntime gives."""
    import numpy as np
    import onnx
    import onnxruntime
    import torch

    path = pathlib.Path(folder) / "timed.onnx"
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    names = sorted(name for name in arrays if re.fullmatch(r"step_\d+\.weight", name))
    weights = [torch.tensor(arrays[name]) for name in names]
    biases = [torch.tensor(arrays[name.replace("weight", "bias")]) for name in names]
    channels = [32, 64, 96, 128]
    assert [(w.shape[2], w.shape[1], w.shape[0]) for w in weights] == sizes(channels)
    image = np.random.default_rng(3).uniform(-2, 2, (1, 1, 64, 96)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["offset_cells"], {"image": image})
    # One channel: the order [dy, dx] is the same with or without the channel first.
    raw = forward(weights, biases, torch.nn.functional.pixel_unshuffle(torch.tensor(image), 2), len(channels))
    difference = np.abs(raw.numpy()[:, SPECIES + 1 : SPECIES + 3] - theirs).max() / np.abs(theirs).max()
    print(f"offset_cells in PyTorch and onnxruntime: {difference:.1e} of the largest")
    return int(not difference < 1e-4)


def table(ours, theirs):
    """Ours: what `training_timings` printed, of which the first step of each round does not count."""
    steps, counts = [], set()
    for path in ours:
        text = pathlib.Path(path).read_text()
        counts.add(int(re.search(r"(\d+) parameters", text).group(1)))
        steps += [float(value) for value in re.findall(r"training step .*: ([\d.]+) ms", text)[1:]]
    others, version = {}, ""
    for path in theirs:
        found = json.loads(pathlib.Path(path).read_text())
        version = found["version"]
        counts.add(found["parameters"])
        for name, times in found["step_ms"].items():
            others.setdefault(name, []).extend(times)
    assert len(counts) == 1, f"not the same network: {counts} parameters"
    our_ms = statistics.median(steps)
    medians = {name: statistics.median(times) for name, times in others.items()}
    fastest = min(medians, key=medians.get)
    print(f"| parameters | atomlens, ms | PyTorch {version} ({fastest}), ms | ratio |")
    print("|---|---|---|---|")
    print(f"| {counts.pop()} | {our_ms:.0f} | {medians[fastest]:.0f} | {our_ms / medians[fastest]:.2f} |")


if __name__ == "__main__":
    what, arguments = sys.argv[1], sys.argv[2:]
    if what == "time":
        given = dict(enumerate(arguments))
        channels = [int(width) for width in given.get(0, "32,64,96,128").split(",")]
        measure(channels, int(given.get(1, 192)), int(given.get(2, 8)))
    elif what == "check":
        sys.exit(check(arguments[0]))
    else:
        split = arguments.index("--")
        table(arguments[:split], arguments[split + 1 :])
