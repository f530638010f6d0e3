"""BLEU-4 of captions (Papineni et al. 2002): how many runs of one to four words occur in a reference too."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

_LONGEST_RUN = 4
Words = Sequence[str]


def bleu4(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    """Corpus BLEU from 0 to 1, without smoothing; `references` has one list or more for each caption.

    The geometric mean of the clipped precisions, times the brevity penalty exp(1 - r / c) with the closest reference
    lengths r, as the paper defines them. Runs longer than every caption and reference are left out of the mean, so that
    captions of two words can be right.
    """
    matched, possible, wanted = [0] * _LONGEST_RUN, [0] * _LONGEST_RUN, [0] * _LONGEST_RUN
    said_length = reference_length = 0
    for said, truths in zip(captions, references, strict=True):
        said_length += len(said)
        reference_length += min((len(truth) for truth in truths), key=lambda n: (abs(n - len(said)), n))
        for order in range(1, _LONGEST_RUN + 1):
            runs = _runs(said, order)
            most: Counter[tuple[str, ...]] = Counter()
            for truth in truths:
                most |= _runs(truth, order)
            matched[order - 1] += sum((runs & most).values())
            possible[order - 1] += sum(runs.values())
            wanted[order - 1] += sum(most.values())
    orders = [n for n in range(_LONGEST_RUN) if possible[n] or wanted[n]]
    if not orders or not said_length or any(matched[n] == 0 for n in orders):
        return 0.0
    mean = sum(math.log(matched[n] / possible[n]) for n in orders) / len(orders)
    penalty = min(0.0, 1.0 - reference_length / said_length)
    return math.exp(mean + penalty)


def _runs(words: Words, length: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + length]) for at in range(len(words) - length + 1))
