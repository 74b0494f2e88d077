"""The parts of a recipe: model, tasks, prompts, mixture, training and evaluation, each with its defaults.

A part says what may be set, what goes together, and at each field what it counts for (recipes/counting.py);
`recipe.py` puts them into one experiment. Defaults are the paper's where it states one.

Invariant: parts are frozen, strict data and import nothing of the stages that read them.
Rejected: each part beside its stage; `openflan plan` reads a recipe without importing torch, in half a second.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from openflan.recipes.counting import (
    ANSWERS,
    MIXTURE,
    NAMES,
    NOTHING,
    PROMPTS,
    RESULTS,
    SEEN,
    WEIGHTS,
    Purpose,
)
from openflan.recipes.part import Part

__all__ = [
    "AdapterPart",
    "EvaluationPart",
    "LoraPart",
    "MixedStyle",
    "ModelPart",
    "OptimizerPart",
    "PromptsPart",
    "SoftPromptPart",
    "StylePart",
    "TasksPart",
    "TrainingPart",
]


class LoraPart(Part):
    """Low-rank updates beside the linear layers (Hu et al. 2021); the model's own weights stay as they are."""

    kind: Literal["lora"]
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    """Updates are scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Names of the layers that get one; by default every linear layer but the head."""


class SoftPromptPart(Part):
    """Learnt vectors before every input (prompt tuning, Lester et al. 2021; section 4.5 of the paper)."""

    kind: Literal["prompt"]
    tokens: int = Field(default=20, ge=1)
    """How many vectors; they count towards the model's positions."""
    text: str | None = Field(default=None, min_length=1)
    """Words whose embeddings they start from, over and over; by default words drawn from the vocabulary."""


AdapterPart = Annotated[LoraPart | SoftPromptPart, Field(discriminator="kind")]


class ModelPart(Part):
    """The pretrained model to tune."""

    path: Annotated[str, NAMES] = "starter"
    """A hub id, a folder in Hugging Face layout, a GGUF file (of a hub repository `{hub: owner/name, file: name.gguf}`,
    or `owner/name:name.gguf`), or `starter` for the base model shipped with openflan."""
    revision: Annotated[str | None, NAMES] = None
    trust_remote_code: Annotated[bool, NOTHING] = False
    adapter: Annotated[AdapterPart | None, WEIGHTS] = None
    """What is tuned in place of the model's weights: `{kind: lora, …}` or `{kind: prompt, …}`; all weights if None."""

    @field_validator("path", mode="before")
    @classmethod
    def _file_of_a_repository(cls, path: Any) -> Any:
        if not isinstance(path, dict):
            return path
        if set(path) != {"hub", "file"} or not all(isinstance(word, str) for word in path.values()):
            raise ValueError("give a path, or {hub: owner/name, file: name.gguf}")
        if not path["file"].lower().endswith(".gguf"):
            raise ValueError(f"{path['file']} is no GGUF file; of other models the hub id alone is named")
        return f"{path['hub']}:{path['file']}"


class TasksPart(Part):
    """Which tasks there are, and which clusters are kept out of tuning."""

    use: Annotated[tuple[str, ...], NAMES] = ("starter",)
    """Names of tasks, datasets, clusters, sets or your folders; `starter` (the embedded suite), `catalog` (FLAN's
    datasets) or `mine` (all folders)."""
    sets: Annotated[dict[str, tuple[str, ...]], NAMES] = {}
    """Names for lists of such names, which `use` and `leave_out` may name in their place."""
    leave_out: Annotated[tuple[str, ...], NAMES] = ()
    """Names of what `use` names that is neither tuned on nor measured."""
    hold_out: Annotated[tuple[str, ...], NAMES] = ()
    """Clusters no task of which is tuned on; they are what evaluation is about."""
    kin: Annotated[Literal["paper", "none"], NAMES] = "paper"
    """`paper`: clusters that are close kin of a held-out one leave tuning too (section 2.2 of the paper)."""
    lineage: Annotated[Literal["drop", "keep"], NAMES] = "drop"
    """`drop`: a task whose text comes from a corpus that a held-out task uses leaves tuning too."""
    fidelity: Annotated[Literal["paper", "code-v1"], NAMES] = "paper"
    """`code-v1`: do as the authors' released code does where it differs from the paper (openflan.tasks.errata)."""
    errata: Annotated[dict[str, bool], NAMES] = {}
    """Single switches of that kind."""
    splits: Annotated[dict[str, dict[Literal["train", "validation", "test"], str]], NAMES] = {}
    """By task, dataset, cluster, collection or folder: other splits or slices than a task's file names
    (`{wnli: {train: train}}`)."""
    folders: Annotated[tuple[str, ...], NAMES] = ()
    """Folders of your own task files."""
    data: Annotated[str | None, NAMES] = None
    """Folders with `<task>/<split>.*` files to read in place of the hub (several as in PATH, `rows:more`), or `twins`,
    the catalog's own sample rows, or both (`rows:twins`): a task that no folder has comes from the hub, or its twin.
    By default what the environment variable OPENFLAN_DATA names, if any."""
    missing: Annotated[Literal["fail", "leave_out"], NAMES] = "fail"
    """What to do about tasks whose rows must be fetched by hand and are not there: `leave_out` goes on without them."""

    def spelt_out(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Names with those of the sets written out.

        Args:
            names: of tasks, clusters or sets (`tasks.sets`).
        """
        return tuple(word for name in names for word in self.sets.get(name, (name,)))


class StylePart(Part):
    """One way in which a row becomes text (openflan.prompts)."""

    form: Annotated[Literal["instruction", "dataset-name", "none"], PROMPTS] = "instruction"
    """`instruction`: under the task's templates. The paper's ablations (section 4.3): the bare fields after the names
    of cluster and dataset, or the bare fields alone; those that the first template reads, and `options` as said."""
    options: Annotated[Literal["shown", "hidden"], PROMPTS] = "shown"
    option_markers: Annotated[Literal["dash", "random"], PROMPTS] = "dash"
    """`random`: header and markers of the list are drawn (`(A)`, `1.`, …), and a marker that tells options apart is the
    answer, as in the Flan Collection."""
    option_order: Annotated[Literal["class", "drawn"], MIXTURE] = "class"
    """In which order tuning prompts list the options: in class order, as the paper's, or in one drawn anew for every
    prompt, so that no place says anything. Questions go by `evaluation.option_order`."""
    shots: Annotated[int | tuple[int, ...], PROMPTS] = 0
    """Solved examples before the question: a number, or several to draw from. Fewer where they don't fit."""
    exemplar_templates: Annotated[Literal["mixed", "same"], PROMPTS] = "mixed"
    """Solved examples under any template, as the paper's, or under the question's own."""
    balanced: Annotated[bool, PROMPTS] = False
    """Whether a question's solved examples take the classes in turn."""

    @model_validator(mode="after")
    def _no_dead_style(self) -> Self:
        if not self.all_shots or min(self.all_shots) < 0 or max(self.all_shots) > 16:
            raise ValueError(f"shots is {self.shots}; from 0 to 16")
        if max(self.all_shots) == 0 and (self.balanced or self.exemplar_templates != "mixed"):
            raise ValueError("exemplar_templates and balanced need shots")
        if self.options == "hidden" and self.option_markers == "random":
            raise ValueError("option_markers: random needs options: shown")
        if self.options == "hidden" and self.option_order == "drawn":
            raise ValueError("option_order: drawn needs options: shown")
        return self

    @property
    def all_shots(self) -> tuple[int, ...]:
        """The numbers of solved examples to draw from."""
        return (self.shots,) if isinstance(self.shots, int) else self.shots


class MixedStyle(StylePart):
    """A style that a part of the tuning prompts has."""

    weight: Annotated[float, MIXTURE] = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Prompts in this style, relative to the others."""


class PromptsPart(StylePart):
    """How rows become text. The style settings say how questions are asked; `styles`, how tuning prompts are."""

    styles: Annotated[tuple[MixedStyle, ...], MIXTURE] = ()
    """Styles of the tuning prompts, drawn by weight; by default they are as questions are asked."""
    inversion_rate: Annotated[float | None, MIXTURE] = Field(default=None, ge=0, allow_inf_nan=False)
    """Prompts that turn a task around for each one that does not; None draws from all of a task's templates alike."""
    separator: Annotated[str, PROMPTS] = "\n"
    """Stands between input and target; part of the input's tokens."""
    chat: Annotated[bool, PROMPTS] = False
    """Put an input into the tokenizer's chat template, as what the user says; `separator` then stands in solved
    examples alone."""
    max_input_tokens: Annotated[int, PROMPTS] = Field(default=1024, ge=8)
    max_target_tokens: Annotated[int, PROMPTS] = Field(default=256, ge=1)
    exemplar_tokens: Annotated[int | None, PROMPTS] = Field(default=None, ge=1)
    """Input with its solved examples has at most so many tokens; by default 15/16 of `max_input_tokens`: 960 of 1,024
    as in the paper."""

    @model_validator(mode="after")
    def _budget_fits(self) -> Self:
        if self.exemplar_tokens is not None and self.exemplar_tokens > self.max_input_tokens:
            raise ValueError(f"exemplar_tokens is {self.exemplar_tokens}, over max_input_tokens")
        if self.styles and self.option_order != "class":
            raise ValueError("option_order is of tuning prompts: with styles, say it in each of them")
        return self

    @property
    def exemplar_budget(self) -> int:
        """Tokens that an input and its solved examples may have together."""
        return self.exemplar_tokens or self.max_input_tokens * 15 // 16

    @property
    def tuning_styles(self) -> tuple[StylePart, ...]:
        """The styles of tuning prompts."""
        return self.styles or (self,)

    def counted(self, purpose: Purpose) -> dict[str, Any]:
        """The settings that count for a purpose; a mixture depends on the styles of its prompts, however written."""
        settings = super().counted(purpose)
        if purpose != "mixture":
            return settings
        style = set(StylePart.model_fields)
        counting = style if len(self.styles) < 2 else {*style, "weight"}  # the weight of an only style says nothing
        styles = [one.model_dump(mode="json", include=counting) for one in self.tuning_styles]
        return {**{name: value for name, value in settings.items() if name not in style}, "styles": styles}


class OptimizerPart(Part):
    """Adafactor with a constant rate as in the paper, AdamW, or Muon (with AdamW for embeddings and norms)."""

    name: Literal["adafactor", "adamw", "muon"] = "adafactor"
    learning_rate: float = Field(default=3e-5, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    clip_norm: float | None = Field(default=1.0, gt=0)


class TrainingPart(Part):
    """How the model is tuned."""

    steps: Annotated[int, MIXTURE] = Field(default=30_000, ge=1)
    tokens_per_batch: Annotated[int, MIXTURE] = Field(default=8_192, ge=16)
    """Tokens of whole examples an optimizer step holds."""
    micro_batch_tokens: Annotated[int, WEIGHTS] = Field(default=8_192, ge=16)
    """Padded tokens that go through the model at once; memory, not the result, depends on it."""
    precision: Annotated[Literal["auto", "float32", "bfloat16"], WEIGHTS] = "auto"
    """`auto`: bfloat16 autocast over float32 weights where the device computes it, else float32."""
    checkpoint_every: Annotated[int, NOTHING] = Field(default=500, ge=1)
    keep_checkpoints: Annotated[int, NOTHING] = Field(default=2, ge=1)
    """So many of the newest stay while training goes on; none is left when it is done."""
    sharding: Annotated[Literal["none", "full"], WEIGHTS] = "none"
    """With several processes: `none` gives each the whole model (DDP), `full` cuts weights and state up (FSDP2)."""
    gradient_checkpointing: Annotated[bool, NOTHING] = False
    """Compute activations again on the way back: less memory, a third more time, the same result."""
    compile: Annotated[bool, WEIGHTS] = False
    """Compile the model's blocks (`torch.compile`); the first steps take minutes."""
    trackers: Annotated[tuple[Literal["tensorboard", "wandb", "mlflow"], ...], NOTHING] = ()
    """Where metrics go besides `metrics.jsonl`."""
    evaluate_every: Annotated[int | None, NOTHING] = Field(default=None, ge=1)
    """Steps between two looks at `evaluate_tasks`."""
    evaluate_tasks: Annotated[tuple[str, ...], NOTHING] = ()
    """Tasks that are looked at while training: held-out ones by their test rows, tuned ones by validation rows."""
    evaluate_rows: Annotated[int, NOTHING] = Field(default=50, ge=1)
    """Rows that a look asks of each, under so many templates as `evaluation.templates` says."""
    optimizer: Annotated[OptimizerPart, WEIGHTS] = OptimizerPart()

    @model_validator(mode="after")
    def _no_dead_training(self) -> Self:
        if (self.evaluate_every is None) != (not self.evaluate_tasks):
            raise ValueError("evaluate_every and evaluate_tasks go together")
        if self.sharding == "full" and self.optimizer.name != "adamw":
            parts = {"adafactor": "factored moments", "muon": "matrices to orthogonalise"}[self.optimizer.name]
            raise ValueError(f"sharding: full needs optimizer adamw: {parts} can't be cut among processes")
        return self


class EvaluationPart(Part):
    """What is measured, untuned and tuned, under every template that asks for the answer."""

    tasks: Annotated[tuple[str, ...] | None, NAMES] = None
    """Held-out tasks or clusters to evaluate; by default every task of the held-out clusters and their kin."""
    rows: Annotated[int, ANSWERS] = Field(default=200, ge=1)
    """Rows of each held-out task, drawn by content hash: the same for every model."""
    seen_rows: Annotated[int, SEEN] = Field(default=0, ge=0)
    """Fresh rows of each tuned task; 0 leaves the tuned clusters out."""
    own_rows: Annotated[int | None, SEEN] = Field(default=None, ge=0)
    """The same of each tuned task of your own; as many as `rows` if None. 0 leaves them out."""
    templates: Annotated[int | None, ANSWERS] = Field(default=None, ge=1)
    """At most this many templates a task, the first ones; by default all that ask for the answer."""
    validation_rows: Annotated[int, ANSWERS] = Field(default=200, ge=0)
    """At most this many validation rows choose the template whose test score is told as `best_on_validation`; 0 asks
    none, and there are never more than test rows."""
    options: Annotated[Literal["as_tuned", "shown", "hidden"], ANSWERS] = "as_tuned"
    """Whether prompts list the answer options; `as_tuned` does as `prompts.options`."""
    option_order: Annotated[Literal["class", "rotated", "drawn"], ANSWERS] = "class"
    """In which order questions list the options: in class order; in class order and rotated, up to four ways, of which
    the score is the mean; or in an order drawn for each question."""
    baseline: Annotated[bool, ANSWERS] = False
    """Whether the untuned model is asked the baseline of each held-out task too, a text to continue; the better of the
    two counts."""
    score: Annotated[Literal["sum", "mean_token", "per_character", "per_byte", "pmi"], RESULTS] = "sum"
    """How an option's log-likelihood is normalised before ranking; another one needs no new evaluation."""
    ends: Annotated[Literal["as_tuned", "always", "never"], RESULTS] = "as_tuned"
    """Whether the end of an answer is scored too in rows where one option begins another ("1" and "10"), so that the
    longer one can win; `as_tuned` where the model is known to write it. Another one needs no new evaluation."""
    too_long: Annotated[Literal["cut", "refuse"], NOTHING] = "cut"
    """Prompts of more than `prompts.max_input_tokens` tokens lose the end of their longest field and are counted, or
    are an error, also where answers to them are kept."""
    batch_tokens: Annotated[int | None, NOTHING] = Field(default=None, ge=16)
    """Padded tokens of one forward; by default what suits the device."""
    precision: Annotated[Literal["auto", "float32", "bfloat16"], ANSWERS] = "float32"
    max_new_tokens: Annotated[int, ANSWERS] = Field(default=32, ge=1)
    stop: Annotated[tuple[str, ...], ANSWERS] = ("\n\n",)
    """Texts that end a generated answer, as EOS does."""
    beams: Annotated[int, ANSWERS] = Field(default=1, ge=1)
    """Continuations that generation follows at once; 1 is greedy."""
    generate: Annotated[bool, ANSWERS] = True
    """Whether tasks without options are evaluated too (greedy decoding)."""
    engine: Annotated[Literal["transformers", "vllm"], ANSWERS] = "transformers"
    """What generates; options are ranked by transformers either way."""
    bootstrap: Annotated[int, RESULTS] = Field(default=1_000, ge=100)
    """Resamples behind each 95 % interval."""

    def rows_of_tuned(self, *, own: bool) -> int:
        """Test rows that a task which is tuned on is measured by.

        Args:
            own: whether it is a task of the user's own.
        """
        if not own:
            return self.seen_rows
        return self.rows if self.own_rows is None else self.own_rows

    @model_validator(mode="after")
    def _no_dead_evaluation(self) -> Self:
        if self.options == "hidden" and self.option_order != "class":
            raise ValueError(f"option_order: {self.option_order} needs options that are shown")
        if self.engine == "vllm" and self.beams > 1:
            raise ValueError("engine: vllm is greedy; leave out beams")
        return self
