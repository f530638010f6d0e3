"""BLIP as two ONNX files: the image encoder (model.onnx) and one step of the text decoder, run in a greedy loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .tasks.captioning import Captioning
from .tasks.task import Arrays
from .trained_model import TrainedModel

DECODER_FILE = "text_decoder.onnx"


class _Encoder(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.vision_model: Any = model.vision_model

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Batch x 3 x height x width → batch x patches x width of the model."""
        embeds: Tensor = self.vision_model(pixel_values=pixel_values).last_hidden_state
        return embeds


class _DecoderStep(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.text_decoder: Any = model.text_decoder

    def forward(self, input_ids: Tensor, image_embeds: Tensor) -> Tensor:
        """(batch x words so far, the encoder's output) → batch x words in the vocabulary: the next word's logits."""
        mask = torch.ones(image_embeds.shape[:-1], dtype=torch.long)
        found = self.text_decoder(
            input_ids=input_ids, encoder_hidden_states=image_embeds, encoder_attention_mask=mask, use_cache=False
        )
        logits: Tensor = found.logits[:, -1]
        return logits


class CaptionExport:
    """Both files, and the loop that a user of them writes as well: bos, then the likeliest word again and again."""

    def __init__(self, trained: TrainedModel, folder: Path) -> None:
        from .export_job import MODEL_FILE, write_onnx

        if not isinstance(trained.task, Captioning):
            raise TypeError("only captioning has words")
        self._task = trained.task
        self._step = _DecoderStep(trained.model).eval()
        self._encoder = _Encoder(trained.model).eval()
        shape = trained.task.data.shape
        pixels = torch.rand(2, 3, shape.height, shape.width)
        with torch.no_grad():
            embeds = self._encoder(pixels)
        ids = torch.full((2, 5), trained.task.tokens.bos, dtype=torch.long)
        self.session = write_onnx(self._encoder, (pixels,), ["pixel_values"], ["image_embeds"], folder / MODEL_FILE)
        self._decoder = write_onnx(
            self._step,
            (ids, embeds),
            ["input_ids", "image_embeds"],
            ["logits"],
            folder / DECODER_FILE,
            {"input_ids": {0: "batch", 1: "words"}, "image_embeds": {0: "batch"}, "logits": {0: "batch"}},
        )
        self._largest = 0.0

    def run(self, inputs: dict[str, Tensor]) -> Arrays:
        """tokens: batch x words, by onnxruntime alone. Each step is compared with the original's."""
        words = self._task.tokens
        pixels = inputs["pixel_values"]
        embeds = np.asarray(self.session.run(["image_embeds"], {"pixel_values": pixels.numpy()})[0])
        with torch.inference_mode():
            self._note(embeds, self._encoder(pixels).numpy())
        tokens = np.full((len(embeds), 1), words.bos, np.int64)
        done = np.zeros(len(embeds), bool)
        for _ in range(self._task.data.longest_caption - 1):
            logits = np.asarray(self._decoder.run(["logits"], {"input_ids": tokens, "image_embeds": embeds})[0])
            with torch.inference_mode():
                self._note(logits, self._step(torch.from_numpy(tokens), torch.from_numpy(embeds)).numpy())
            following = np.where(done, words.pad, logits.argmax(axis=-1))
            tokens = np.concatenate([tokens, following[:, None]], axis=1)
            done |= following == words.sep
            if done.all():
                break
        return {"tokens": tokens}

    def gap(self, inputs: dict[str, Tensor], ours: Arrays, theirs: Arrays) -> float:
        """The largest difference of any embedding or logit so far; infinity when a caption differs."""
        del inputs
        same = ours["tokens"].shape == theirs["tokens"].shape and bool((ours["tokens"] == theirs["tokens"]).all())
        return self._largest if same else float("inf")

    def _note(self, one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> None:
        gap = float(np.abs(one - other).max(initial=0.0))
        self._largest = max(self._largest, gap if np.isfinite(gap) else float("inf"))
