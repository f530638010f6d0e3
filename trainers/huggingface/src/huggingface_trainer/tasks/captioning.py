"""image_captioning: a sentence for an image (BLIP)."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from vision_trainer.contracts import Prediction

from huggingface_trainer.bleu import bleu4
from huggingface_trainer.captions import CaptionTokens, caption_words
from huggingface_trainer.examples import Example, ImageSource
from huggingface_trainer.geometry import View

from .task import Arrays, Measured, Outcome, Task, mean_loss, sample_of

_IGNORED = -100


class Captioning(Task):
    """The next word, given the image and the words before it; captions are decoded greedily."""

    type = "image_captioning"
    primary_metric = "val/bleu4"
    outputs = ("tokens",)

    @property
    def tokens(self) -> CaptionTokens:
        """The words."""
        if self.data.tokens is None:
            raise ValueError("captioning without a tokenizer")
        return self.data.tokens

    def target(self, example: Example, view: View, source: ImageSource, rng: random.Random | None) -> dict[str, Any]:
        """ids of one caption: a random one in training, the first one otherwise."""
        captions = [caption for caption in sample_of(example).captions or () if caption.strip()]
        caption = captions[0] if rng is None else rng.choice(captions)
        return {"ids": self.tokens.encode(caption, self.data.longest_caption)}

    def collate(self, targets: list[dict[str, Any]]) -> dict[str, Any]:
        """ids: batch x words, padded at the end."""
        longest = max(len(target["ids"]) for target in targets)
        rows = [target["ids"] + [self.tokens.pad] * (longest - len(target["ids"])) for target in targets]
        return {"ids": torch.tensor(rows, dtype=torch.int64)}

    def loss(self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]) -> Tensor:
        """Cross-entropy of each next word, with the label smoothing of the settings."""
        return self._next_word_loss(model, inputs, targets["ids"], self.data.label_smoothing)

    def measure(
        self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Plain cross-entropy, and the captions that the model writes on its own."""
        return self._next_word_loss(model, inputs, targets["ids"], 0.0), self.infer(model, inputs)

    def _next_word_loss(self, model: nn.Module, inputs: dict[str, Tensor], ids: Tensor, smoothing: float) -> Tensor:
        logits = model(**inputs, input_ids=ids, attention_mask=(ids != self.tokens.pad).long()).logits
        wanted = ids[:, 1:].masked_fill(ids[:, 1:] == self.tokens.pad, _IGNORED)
        return functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1), wanted.flatten(), ignore_index=_IGNORED, label_smoothing=smoothing
        )

    def infer(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """tokens: batch x words, greedily decoded, begins with bos."""
        embeds = model.vision_model(**inputs).last_hidden_state  # type: ignore[operator]
        batch = len(embeds)
        mask = torch.ones(embeds.shape[:-1], dtype=torch.long, device=embeds.device)
        tokens = torch.full((batch, 1), self.tokens.bos, dtype=torch.long, device=embeds.device)
        done = torch.zeros(batch, dtype=torch.bool, device=embeds.device)
        for _ in range(self.data.longest_caption - 1):
            found = model.text_decoder(  # type: ignore[operator]
                input_ids=tokens, encoder_hidden_states=embeds, encoder_attention_mask=mask, use_cache=False
            )
            following = found.logits[:, -1].argmax(dim=-1).masked_fill(done, self.tokens.pad)
            tokens = torch.cat([tokens, following[:, None]], dim=1)
            done |= following == self.tokens.sep
            if bool(done.all()):
                break
        return {"tokens": tokens}

    def outcomes(self, raw: Arrays, examples: list[Example], views: list[View]) -> list[Outcome]:
        """The captions as text."""
        return [
            Outcome(example, said={"caption": self.tokens.decode(ids.tolist())})
            for ids, example in zip(raw["tokens"], examples, strict=True)
        ]

    def summarise(self, outcomes: list[Outcome]) -> Measured:
        """BLEU-4, and the share of captions that equal a reference word by word."""
        said = [caption_words(outcome.said["caption"]) for outcome in outcomes]
        known = [[caption_words(text) for text in sample_of(outcome.example).captions or ()] for outcome in outcomes]
        exact = [words in references for words, references in zip(said, known, strict=True)]
        for outcome, words, references in zip(outcomes, said, known, strict=True):
            outcome.score = _word_overlap(words, references)
        metrics = {
            "val/loss": mean_loss(outcomes),
            "val/bleu4": bleu4(said, known),
            "val/exact": float(np.mean(exact)),
        }
        return Measured(metrics)

    def prediction(self, outcomes: list[Outcome], threshold: float) -> Prediction:
        """The caption."""
        example = outcomes[0].example
        return Prediction(
            image=example.name,
            width=example.image_width,
            height=example.image_height,
            caption=outcomes[0].said["caption"],
        )

    def truth(self, outcome: Outcome) -> str:
        """The references."""
        return " / ".join(sample_of(outcome.example).captions or ())


def _word_overlap(words: list[str], references: list[list[str]]) -> float:
    """F1 of the words against the closest reference: what the worst samples are chosen by."""
    best = 0.0
    for reference in references:
        shared = sum(min(words.count(word), reference.count(word)) for word in set(words))
        best = max(best, 2 * shared / max(1, len(words) + len(reference)))
    return best
