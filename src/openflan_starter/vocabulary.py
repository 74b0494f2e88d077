"""The tokenizer of the base model: every word of the world is one token, and any text works.

A byte-level BPE in an ordinary tokenizer.json: a few hundred merges learnt from the prose for words it does not
know, and each frequent word as a token of its own (`ignore_merges`, as Llama 3 does: a word in the vocabulary is
taken whole). Text is lower-cased and a line start counts as a space, so "yes" alone, after a newline and inside a
sentence is the same token.

Invariant: text without capital letters survives encoding and decoding but for the space that is set after an
opening quote or bracket. Cost: 20 s on 60,000 documents, once.
Rejected: plain BPE of 4,096: intermediate merges eat a third of it, and names come apart, which makes binding
harder to learn; a word-level tokenizer: other people's text would be unknown words.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["EOS", "build_tokenizer"]

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
_MERGES = 360
"""Learnt pieces for unknown words, beyond the 256 bytes."""

_PIECES = r"'(?:s|t|re|ve|m|ll|d)(?!\p{L})| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]|\n|[^\S\n]+"


def build_tokenizer(
    texts: Iterable[str], folder: Path, *, always: Iterable[str] = (), size: int = 4_096, least: int = 8
) -> int:
    """Learn the tokenizer from these texts and save it as an ordinary transformers folder.

    Args:
        always: words that are tokens of their own however rare.
        size: upper bound of the vocabulary.
        least: how often a word must occur to be a token of its own.

    Returns:
        The number of tokens.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Lowercase(),
            *(
                normalizers.Replace(Regex(mark + r"(?=[\p{L}\p{N}])"), f"{mark[-1]} ")
                for mark in ('"', "“", r"\(", r"\[")
            ),
            normalizers.Replace(Regex(r" *\n *"), "\n "),
            normalizers.Replace(Regex(r"\n (?=\n|\z)"), "\n"),  # so that each newline is the same token
            normalizers.Strip(left=True, right=False),
            normalizers.Prepend(" "),
        ]
    )
    pieces = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )

    words: Counter[str] = Counter()

    def counted() -> Iterator[str]:
        for text in texts:
            words.update(piece for piece, _ in pieces.pre_tokenize_str(normalizer.normalize_str(text)))
            yield text

    learner = Tokenizer(models.BPE(byte_fallback=False))
    learner.normalizer, learner.pre_tokenizer = normalizer, pieces
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        counted(),
        trainers.BpeTrainer(
            vocab_size=3 + 256 + _MERGES, special_tokens=[PAD, BOS, EOS], initial_alphabet=alphabet, show_progress=False
        ),
    )
    import json

    learnt = json.loads(learner.to_str())["model"]
    vocabulary: dict[str, int] = learnt["vocab"]
    marks = [mark for sign in ".,:;?!-()[]\"'/+=*&%$#@<>|" for mark in (sign, f" {sign}")]
    marks += [f"'{end}" for end in ("s", "t", "re", "ve", "m", "ll", "d")]
    forced = [*marks, *(f" {word.lower()}" for word in always)]
    for word in forced:
        piece = "".join(
            piece
            for piece, _ in pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(word)
        )
        vocabulary.setdefault(piece, len(vocabulary))
    ranked = sorted((word for word in words if words[word] >= least), key=lambda word: (-words[word], word))
    for word in ranked:
        if len(vocabulary) >= size:
            break
        vocabulary.setdefault(word, len(vocabulary))
    merges = [tuple(m) for m in learnt["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pieces
    tokenizer.add_special_tokens([PAD, BOS, EOS])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.ByteLevel(),
            decoders.Replace("\n ", "\n"),
            decoders.Strip(" ", 1, 0),
        ]
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        model_max_length=1_024,
    )
    folder.mkdir(parents=True, exist_ok=True)
    wrapped.save_pretrained(folder)
    return len(vocabulary)
