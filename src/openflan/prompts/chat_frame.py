"""What a chat template puts around what a user says and after what an assistant answers, rendered once.

    <start_of_turn>user\\nSAID<end_of_turn>\\n<start_of_turn>model\\nANSWER<end_of_turn>\\n
    ╰──── before ─────╯    ╰───────── after ───────────╯        ╰── end ─────╯

An answer ends with the first control token after it, whatever blank follows, so it is looked at both as the last turn
and before another one: what stands in both belongs to the answer, not to the next turn. Words in place of a control
token (a chat format put on a vocabulary without it) are kept, with EOS after them; where there is neither, EOS alone
ends an answer.

Invariant: before + user's words + after are the tokens of the template as it stands on the day of rendering; whoever
keeps the frame reads no template again. Rejected: the template at every prompt, which may say the date or draw lots.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from openflan.errors import UserError

__all__ = ["ChatFrame", "chat_frame"]

_USER = "SAID-BY-THE-USER"
_ASSISTANT = "ANSWERED-BY-THE-ASSISTANT"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatFrame:
    """A chat template as token ids."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    """From the end of the user's words to where the assistant's begin."""
    end: tuple[int, ...]
    """What ends an assistant's answer; nothing where the template says nothing of it."""
    end_text: str | None
    """The end, where it is words and not a control token."""


def chat_frame(tokenizer: Any, *, ends: Collection[int]) -> ChatFrame:
    """Render a tokenizer's chat template.

    Args:
        ends: token ids that the model names as ends, besides the tokenizer's control tokens.

    Raises:
        UserError: there is no template, or it changes what a user says.
    """
    if not getattr(tokenizer, "chat_template", None):
        how = "set prompts.chat=false, or take a model that was tuned for chat"
        raise UserError("the tokenizer has no chat template", where="prompts.chat", how=how)
    question, answer = {"role": "user", "content": _USER}, {"role": "assistant", "content": _ASSISTANT}
    before, words, after = _render(tokenizer, [question], add_generation_prompt=True).partition(_USER)
    if not words:
        raise UserError(
            "the chat template changes what a user says", where="prompts.chat", how="set prompts.chat=false"
        )
    end, end_text = _end_of_answer(tokenizer, [question, answer], {*ends, tokenizer.eos_token_id})
    return ChatFrame(
        before=_tokens(tokenizer, before), after=_tokens(tokenizer, after), end=end, end_text=end_text or None
    )


def _end_of_answer(tokenizer: Any, turns: list[dict[str, str]], ends: Collection[int]) -> tuple[tuple[int, ...], str]:
    """What ends the last turn, as tokens, and as words where they are no control token."""
    try:
        last = _render(tokenizer, turns).partition(_ASSISTANT)[2]
        inner = _render(tokenizer, [*turns, {"role": "user", "content": _USER}]).partition(_ASSISTANT)[2]
    except UserError:  # a template for questions alone
        return (), ""
    tokens, others = _tokens(tokenizer, last), _tokens(tokenizer, inner)
    control = {*tokenizer.all_special_ids, *_control_tokens(tokenizer), *ends}
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(tokens, others, strict=False)))
    for place, token in enumerate(tokens):
        if token in (control if place < shared else ends):
            return tokens[: place + 1], ""
    words = last.rstrip()
    return (_tokens(tokenizer, words), words.strip()) if words.strip() and inner.startswith(words) else ((), "")


def _render(tokenizer: Any, turns: list[dict[str, str]], **how: bool) -> str:
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, **how))
    except Exception as error:  # a stranger's template may fail in any way
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        what = f"the chat template can't be rendered ({reason})"
        raise UserError(what, where="prompts.chat", how="set prompts.chat=false, or mend the template") from None


def _tokens(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _control_tokens(tokenizer: Any) -> list[int]:
    """Tokens that were put into the vocabulary by hand; some vocabularies so hold runs of blanks, too."""
    return [
        number for number, token in tokenizer.added_tokens_decoder.items() if token.special or token.content.strip()
    ]
