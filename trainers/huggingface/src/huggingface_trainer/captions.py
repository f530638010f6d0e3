"""The words of captions: a published tokenizer, or one made of the training captions, kept in the checkpoint."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from vision_trainer.failures import FailureCode, TrainerFailure

TOKENIZER_FILE = "tokenizer.json"
_SPECIAL = ("[PAD]", "[UNK]", "[BOS]", "[SEP]")
_LARGEST_VOCABULARY = 30_000


class CaptionTokens:
    """Text to token ids and back. A caption is `bos`, its words, `sep`."""

    def __init__(self, tokenizer: Tokenizer, pad: int, bos: int, sep: int) -> None:
        self._tokenizer = tokenizer
        self.pad, self.bos, self.sep = pad, bos, sep

    @classmethod
    def from_captions(cls, captions: Iterable[str]) -> CaptionTokens:
        """One token a word (lower case, accents kept, punctuation apart), the most frequent ones first.

        The same captions give the same ids: ties are broken by the alphabet.
        """
        splitter = _word_splitter({})
        counts = Counter(word for caption in captions for word in _words_with(splitter, caption))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))[:_LARGEST_VOCABULARY]
        vocabulary = {word: index for index, word in enumerate((*_SPECIAL, *ranked))}
        return cls(_word_splitter(vocabulary), pad=0, bos=2, sep=3)

    @classmethod
    def from_folder(cls, folder: Path, pad: int, bos: int, sep: int) -> CaptionTokens:
        """The tokenizer of a checkpoint or of a published model: tokenizer.json, or BERT's vocab.txt.

        Raises MODEL_UNAVAILABLE when there is none or it cannot be read.
        """
        try:
            if (folder / TOKENIZER_FILE).exists():
                return cls(Tokenizer.from_file(str(folder / TOKENIZER_FILE)), pad, bos, sep)
            words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        except Exception as error:  # the library raises a bare Exception
            raise TrainerFailure(
                FailureCode.MODEL_UNAVAILABLE, f"There is no tokenizer that can be read: {error}"
            ) from error
        pieces = models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]")  # noqa: S106
        tokenizer = Tokenizer(pieces)
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return cls(tokenizer, pad, bos, sep)

    @property
    def ids(self) -> dict[str, int]:
        """What BLIP's text configuration is told about the vocabulary."""
        return {
            "vocab_size": self._tokenizer.get_vocab_size(),
            "bos_token_id": self.bos,
            "pad_token_id": self.pad,
            "sep_token_id": self.sep,
            "eos_token_id": self.sep,
        }

    def save(self, folder: Path) -> None:
        """Writes tokenizer.json."""
        self._tokenizer.save(str(folder / TOKENIZER_FILE))

    def encode(self, caption: str, longest: int) -> list[int]:
        """bos, at most `longest` - 2 words, sep."""
        ids: list[int] = self._tokenizer.encode(caption, add_special_tokens=False).ids
        return [self.bos, *ids[: longest - 2], self.sep]

    def decode(self, ids: Iterable[int]) -> str:
        """The text up to the first sep; word pieces are joined, punctuation is put back where it belongs."""
        tokens = []
        for index in ids:
            if index == self.sep:
                break
            if index not in (self.pad, self.bos):
                tokens.append(self._tokenizer.id_to_token(int(index)) or "[UNK]")
        text = " ".join(tokens).replace(" ##", "")
        return re.sub(r" ([.,;:!?%)'])", r"\1", text)


def caption_words(caption: str) -> list[str]:
    """The words that captions are compared by: lower case, punctuation apart."""
    return _words_with(_SPLITTER, caption)


def _words_with(splitter: Tokenizer, text: str) -> list[str]:
    cleaned = splitter.normalizer.normalize_str(text)
    return [word for word, _ in splitter.pre_tokenizer.pre_tokenize_str(cleaned)]


def _word_splitter(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


_SPLITTER = _word_splitter({})
