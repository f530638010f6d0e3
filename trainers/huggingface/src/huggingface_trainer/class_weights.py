"""Weights that make rare classes count as much as frequent ones."""

from __future__ import annotations

from vision_trainer.dataset import DatasetReader


def balanced_weights(reader: DatasetReader) -> tuple[float, ...]:
    """One weight a class: inverse to its count in the training split, mean 1 over the classes that occur.

    A class without a sample weighs 1: it has no part in the loss anyway. The counts are the manifest's: samples of a
    class, or for segmentation samples that show it.
    """
    counts = [count.root for count in reader.manifest.class_counts.get("train", [])]
    counts += [0] * (len(reader.classes) - len(counts))
    present = [1.0 / count for count in counts if count > 0]
    if not present:
        return (1.0,) * len(counts)
    mean = sum(present) / len(present)
    return tuple(1.0 / count / mean if count > 0 else 1.0 for count in counts)
