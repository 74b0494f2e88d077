"""A model to ask: of a run's folder, a model's folder, or the hub.

    model = Model("runs/starter-1a2b3c4d")
    model.rank("Is this happy or sad?", ["happy", "sad"], text="The sun came out.")
    model.answer("Name a colour.")

It is asked in the text format that it was tuned with (its `openflan.json`), so an instruction reaches it as its
training prompts did: text, list of options, separator. A model for chat without that record is asked through its own
chat template.

Invariant: the probabilities of `rank` are those by which an evaluation of the same prompt decides. Cost: importing
transformers takes about 3 s, once. Rejected: a chat loop, which needs a memory that these models were not tuned on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from openflan.errors import UserError, strict_error
from openflan.models.device import pick_device
from openflan.models.limits import positions_of
from openflan.models.load import ModelSource, find_model, load_encoder, load_model, load_tokenizer, text_format_of
from openflan.prompts.cutting import lost_part
from openflan.prompts.encoding import Encoded, TextEncoder
from openflan.prompts.options import options_block
from openflan.recipes.parts import ModelPart, PromptsPart
from openflan.runs.stages import RunPlaces

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Model", "OpenedModel", "PromptTokens", "RankedOptions", "format_of", "model_of", "open_model", "source_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedOptions:
    """The options of one instruction, the likeliest first."""

    options: tuple[str, ...]
    logprobs: tuple[float, ...]
    """Log-likelihood of each option given the instruction, in nats, summed over its tokens (Wei et al. 2022, 2.3);
    where one begins another and the model is known to end its answers, over the end of the answer too."""

    @property
    def best(self) -> str:
        """The likeliest option."""
        return self.options[0]

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Of each option among these; they sum to 1."""
        weights = [exp(value - self.logprobs[0]) for value in self.logprobs]
        return tuple(weight / sum(weights) for weight in weights)

    def table(self) -> "pd.DataFrame":
        """A line an option: `probability` and `logprob` (nats), by option, the likeliest first."""
        import pandas as pd

        columns = {"probability": self.probabilities, "logprob": self.logprobs}
        return pd.DataFrame(columns, index=pd.Index(self.options, name="option"))

    def __repr__(self) -> str:
        pairs = zip(self.options, self.probabilities, strict=True)
        return f"RankedOptions({', '.join(f'{option} {share:.1%}' for option, share in pairs)})"


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptTokens:
    """What a model reads of a prompt."""

    ids: tuple[int, ...]
    """Token ids, those that stand around every prompt included."""
    texts: tuple[str, ...]
    """The text that each token adds; a token that ends within a character adds none, the one after it all of it."""
    cut: bool
    """Whether the prompt was too long and lost a part."""
    limit: int
    """Tokens that a prompt may have."""
    lost: str = ""
    """The part that was cut."""


class Model:
    """A language model that can be asked.

    Args:
        name: a run's folder (its first tuned model), a model's folder, a hub id, or `starter`.
        seed: of a run, the model tuned with this seed.
        prompts: settings of the text format that are to differ from the model's own, as a recipe's `prompts` names
            them, such as `{"shots": 2}`.

    Raises:
        UserError: there is no such model, the run has no tuned model yet, or a setting is not allowed.
    """

    def __init__(self, name: str | Path, *, seed: int | None = None, prompts: Mapping[str, Any] | None = None) -> None:
        self.name: str = str(name)
        """As it was named."""
        self._opened = open_model(self.name, seed=seed, changes=prompts, in_chat=True)

    @property
    def prompts(self) -> PromptsPart:
        """The text format that it is asked in."""
        return self._opened.prompts

    @property
    def parameters(self) -> int:
        """How many weights it has, an adapter's included."""
        return sum(weights.numel() for weights in self._opened.model.parameters())

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {self.parameters:,} parameters)"

    def rank(
        self,
        instruction: str,
        options: Sequence[str],
        *,
        text: str = "",
        listed: bool = True,
        fields: Mapping[str, Any] | None = None,
    ) -> RankedOptions:
        """How likely the model finds each of some answers (rank classification, Wei et al. 2022, section 2.3).

        Args:
            instruction: what is asked, in plain words.
            options: the answers to choose from, two or more; they are listed in the prompt.
            text: what the instruction is about; it stands between instruction and options.
            listed: whether the prompt is to list the options; false where the instruction does so in its own words.
            fields: the row that the instruction was rendered from: of too long a prompt the longest field loses its
                end, as in an evaluation; without them the prompt loses its middle.

        Raises:
            UserError: the instruction is empty, there are not two different options, or one is empty.
        """
        from openflan.evaluation.likelihoods import score_texts

        if len(set(options)) < 2:
            raise UserError("needs two different options or more", where="options", how='e.g. ["yes", "no"]')
        if not all(option.strip() for option in options):
            raise UserError("an option is empty", where="options", how="leave it out")
        prompt = self._prompt(instruction, text, options if listed else (), fields).ids
        scores = score_texts(self._opened.model, self._opened.encoder, prompt, options).normalised("sum")
        ranked = sorted(zip(options, scores, strict=True), key=lambda pair: -pair[1])
        return RankedOptions(options=tuple(o for o, _ in ranked), logprobs=tuple(s for _, s in ranked))

    def answer(
        self, instruction: str, *, text: str = "", max_new_tokens: int = 64, fields: Mapping[str, Any] | None = None
    ) -> str:
        """What the model writes, by greedy decoding, up to a blank line.

        Args:
            instruction: what is asked, in plain words.
            text: what the instruction is about; it stands below it.
            max_new_tokens: length of the longest answer, in tokens.
            fields: as for `rank`.

        Raises:
            UserError: the instruction is empty.
        """
        from openflan.evaluation.generation import generate

        prompt = self._prompt(instruction, text, fields=fields).ids
        return generate(
            self._opened.model,
            self._opened.encoder,
            [prompt],
            max_new_tokens=max_new_tokens,
            batch_tokens=len(prompt) + max_new_tokens,
        )[0]

    def tokens(
        self,
        instruction: str,
        options: Sequence[str] = (),
        *,
        text: str = "",
        fields: Mapping[str, Any] | None = None,
    ) -> PromptTokens:
        """The tokens that the model reads when it is asked so.

        Args:
            instruction: what is asked, in plain words.
            options: those that the prompt lists; none where it lists none.
            text: what the instruction is about.
            fields: as for `rank`.

        Raises:
            UserError: the instruction is empty.
        """
        encoder = self._opened.encoder
        read, lost = self._prompt(instruction, text, options, fields), ""
        if read.cut:
            whole = encoder.raw([_whole(instruction, text, options) + encoder.separator])[0]
            cut = read.ids[len(encoder.frame.before) : len(read.ids) - len(encoder.frame.after)]
            start, stop = lost_part(whole, cut)
            lost = "".join(encoder.pieces(whole[start:stop]))
        return PromptTokens(
            ids=tuple(read.ids),
            texts=tuple(encoder.pieces(read.ids)),
            cut=read.cut,
            lost=lost,
            limit=self._opened.prompts.max_input_tokens,
        )

    def _prompt(
        self, instruction: str, text: str, options: Sequence[str] = (), fields: Mapping[str, Any] | None = None
    ) -> Encoded:
        """Token ids of what the model reads."""
        if not instruction.strip():
            raise UserError("the instruction is empty", how='e.g. openflan ask --model RUN "Name a colour."')
        return self._opened.encoder.encode_inputs([_whole(instruction, text, options)], fields=fields)[0]


def _whole(instruction: str, text: str, options: Sequence[str]) -> str:
    """What is asked, as one text."""
    parts = [instruction.strip(), text.strip(), options_block(options) if options else ""]
    return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedModel:
    """A model with what turns text into its tokens."""

    model: Any
    """Of transformers, in evaluation mode."""
    encoder: TextEncoder
    prompts: PromptsPart


def model_of(name: str, opened: OpenedModel) -> Model:
    """A model that is open already.

    Args:
        name: what it is called.
    """
    model = Model.__new__(Model)
    model.name, model._opened = name, opened
    return model


def open_model(
    name: str, *, seed: int | None = None, changes: Mapping[str, Any] | None = None, in_chat: bool = False
) -> OpenedModel:
    """Load a model and the text format that its `openflan.json` names, or the default one where it has none.

    Args:
        name: as for `Model`.
        seed: as for `Model`.
        changes: settings of the format that are to be otherwise.
        in_chat: where nothing names a format and the tokenizer has a chat template, put questions into that.

    Raises:
        UserError: as `Model`.
    """
    source = source_of(name, seed=seed)
    # a hub model's positions are known once it is here; of a folder, the tokenizer is ready before weights are read
    model = load_model(source, device=pick_device()) if source.folder is None else None
    positions = source.positions if model is None else positions_of(model)
    prompts, tokenizer = format_of(source, positions, changes=changes, in_chat=in_chat)
    encoder = load_encoder(source, prompts, tokenizer=tokenizer)
    model = load_model(source, device=pick_device()) if model is None else model
    return OpenedModel(model=model, encoder=encoder, prompts=prompts)


def source_of(name: str, *, seed: int | None = None) -> ModelSource:
    """Where a model lies that is named as for `Model`.

    Raises:
        UserError: as `Model`.
    """
    folder = Path(name).expanduser()
    if RunPlaces(folder).is_run:
        folder = _tuned(RunPlaces(folder), seed)
    return find_model(ModelPart(path=name), folder)


def format_of(
    source: ModelSource, positions: int | None, *, changes: Mapping[str, Any] | None = None, in_chat: bool = False
) -> tuple[PromptsPart, Any]:
    """The text format that a model is asked in, and its tokenizer where that had to be loaded.

    Args:
        positions: the longest sequence that it takes, where that is known.
        changes: as for `open_model`.
        in_chat: as for `open_model`.

    Raises:
        UserError: a setting is not allowed.
    """
    record, tokenizer = text_format_of(source), None
    if record is not None:
        stated = record.prompts.model_dump(mode="json")
    else:
        positions = positions or 1280
        target = min(256, positions // 4)
        stated = {"max_input_tokens": min(1024, positions - target), "max_target_tokens": target}
        if in_chat:
            tokenizer = load_tokenizer(source)
            stated |= {"chat": True} if getattr(tokenizer, "chat_template", None) else {}
    try:
        return PromptsPart.model_validate_json(json.dumps({**stated, **(changes or {})})), tokenizer
    except ValidationError as error:
        raise strict_error(error, "prompts", PromptsPart) from None


def _tuned(run: RunPlaces, seed: int | None) -> Path:
    """A tuned model of a run."""
    seeds = [one for one in run.tuned if seed in (None, one)]
    if not seeds:
        what = "no tuned model yet" if seed is None else f"no tuned model of seed {seed}"
        raise UserError(what, where=str(run.folder), how="finish it with `openflan run`")
    return run.model(seeds[0])
