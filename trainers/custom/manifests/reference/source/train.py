"""Trains; says what it does as repositories do: a bar on stderr, one JSON object an epoch, a CSV, checkpoints."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import softmax
from team import Team


def options_of(words=None):
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--val", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", default="")
    parser.add_argument("--init", default="")
    parser.add_argument("--pause", type=float, default=0.0)
    return parser.parse_args(words)


def start(options, size, classes):
    """(weights, finished epochs, best accuracy)."""
    if options.resume:
        weights, meta = softmax.read(options.resume)
        print(f"resumed after epoch {meta['epoch']}", flush=True)
        return weights, meta["epoch"], meta["best"]
    weights = {name: np.zeros((size, classes) if name.endswith("w") else classes, np.float32) for name in softmax.PARTS}
    if options.init:
        found, _ = softmax.read(options.init)
        if found["w"].shape == weights["w"].shape:
            weights |= {"w": found["w"], "b": found["b"]}
    return weights, 0, -1.0


def run(options, at_step=lambda epoch, step: None):
    """Trains to the last epoch, or until SIGTERM. Of several processes, rank 0 alone says and saves something."""
    team = Team()
    said = sys.stderr if team.rank == 0 else open(os.devnull, "w")
    out = Path(options.out)
    out.mkdir(exist_ok=True)
    images, labels, _ = softmax.load(options.data)
    val_images, val_labels, _ = softmax.load(options.val)
    weights, first, best = start(options, images.shape[1], int(max(labels.max(), val_labels.max())) + 1)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    steps = -(-len(images) // options.batch)
    for epoch in range(first, options.epochs):
        order = np.random.default_rng([options.seed, epoch]).permutation(len(images))
        total = 0.0
        for step in range(steps):
            index = order[step * options.batch : (step + 1) * options.batch]
            mine = index[team.rank :: team.world]
            # Behind the sums stands who was asked to stop: all stop after the same step.
            sums = team.sum(np.append(softmax.gradients(weights, images[mine], labels[mine]), float(len(stopping))))
            total += softmax.update(
                weights, sums[:-1], len(index), options.lr, options.momentum, options.weight_decay
            )
            said.write(f"\rEpoch {epoch}/{options.epochs}: {step + 1}/{steps} loss={total / (step + 1):.4f}")
            said.flush()
            if not np.isfinite(total):
                print("\nLoss is nan, stopping training", flush=True)
                sys.exit(1)
            time.sleep(options.pause)
            at_step(epoch, step)
            if sums[-1] or (stopping and team.world == 1):
                print("asked to stop", flush=True)
                sys.exit(130)
        said.write("\n")
        if team.rank > 0:
            continue
        accuracy, val_loss = softmax.measure(weights, val_images, val_labels)
        row = {"epoch": epoch, "train_loss": total / steps, "lr": options.lr, "test_loss": val_loss, "acc": accuracy * 100}
        with (out / "log.txt").open("a") as log:
            log.write(json.dumps(row) + "\n")
        save(out, epoch, weights, accuracy, best)
        best = max(best, accuracy)
    if team.rank > 0:
        return
    print(f"best accuracy {best:.4f}", flush=True)
    (out / "done").write_text("yes")


def save(out, epoch, weights, accuracy, best):
    """The newest checkpoint, and the best one besides; older ones go."""
    meta = {"epoch": epoch + 1, "best": max(best, accuracy)}
    softmax.save(out / f"checkpoint-{epoch}.npz", weights, **meta)
    if accuracy > best:
        softmax.save(out / "checkpoint-best.npz", weights, **meta)
    for old in out.glob("checkpoint-[0-9]*.npz"):
        if old.name != f"checkpoint-{epoch}.npz":
            old.unlink()


if __name__ == "__main__":
    run(options_of())
