"""A task as data: one YAML file, no Python.

A spec names a dataset (hub, local files or the starter world), the fields its templates may use, how a row's
answer is found, and the templates. It is strict: an unknown key is an error that names the nearest known one.

Invariant: a `TaskSpec` is frozen and hashes to the same `fingerprint` whenever it says the same thing, wherever
its file lies. Cost: reading the whole starter suite takes about 30 ms. Rejected: task classes in Python, which
users must trust, import and keep in step with the library (docs/design/0001-architecture.md).
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from openflan.errors import UserError, strict_error
from openflan.recipes.safe_yaml import read_yaml
from openflan.records import Record
from openflan.tasks.clusters import SUBCLUSTERS, cluster_fault
from openflan.tasks.columns import column_error
from openflan.tasks.normal_forms import NORMAL_FORMS
from openflan.tasks.source_spec import Source
from openflan.tasks.splits import Role, parse_slice

__all__ = ["NAME", "RESERVED", "Answer", "FewShot", "TaskSpec", "Template", "load_task", "task_of"]

Metric = Literal[
    "accuracy",
    "exact_match",
    "exact_match_squad",
    "exact_match_trivia",
    "exact_match_drop",
    "f1",
    "f1_squad",
    "f1_trivia",
    "f1_drop",
    "bleu",
    "rouge",
    "edit_distance",
    "f1_binary",
    "f1_macro",
    "f1_answers",
    "exact_match_groups",
    "matthews",
    "pearson",
    "spearman",
]

_REMARKS = {
    "description",
    "notes",
    "dataset",
    "size",
    "usable_rows",
    "licence",
    "commercial_use",
    "lineage",
    "family",
    "unverified",
}
"""What a spec says that no prompt and no answer depends on."""

_LATER: dict[str, dict[str, Any]] = {
    "source": {
        "encoding": None,
        "separator": None,
        "apart": None,
        "empty": [],
        "without": {},
        "faulty": "fail",
        "decimal": ".",
        "sheet": None,
    },
    "answer": {"sample": None, "nearest": False, "joined": None},
}
"""Keys that came later, left out of the fingerprint where they say nothing, so that older mixtures keep theirs."""

RESERVED = ("answer", "options", "option_list", "row")
"""Names that stand for something of openflan's in a template; a column of that name is `row.answer` there."""

NAME = re.compile(r"[a-z0-9][a-z0-9_]*\Z")
"""What a task may be called."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Answer(Record):
    """How a row's answer is found, and the options when the task is a classification."""

    field: str = ""
    """Dotted path to the label (`label`, `choices.answer`) or, without options, to the text to generate.
    A list there means several references: the first is trained on, all count as right."""
    options: tuple[str, ...] | None = None
    """Answer options in the dataset's class order; each may be a Jinja template over the row."""
    options_field: str | None = None
    """Dotted path to a list of options in the row."""
    group: str | None = None
    """Dotted path to what rows of one question share (MultiRC: `idx.question`)."""
    keys: tuple[int | float | str | bool, ...] | Literal["places"] | None = None
    """Label values in the order of `options`, where they are not 0, 1, 2, … (sentiment140: 0 and 4). `places` says that
    they are those, whatever the options' texts: a 1 is the second option, though another reads "1"."""
    keys_field: str | None = None
    """Dotted path to a list of label values in the row, in the order of the options (ARC: `choices.label`)."""
    sample: int | None = Field(default=None, ge=2)
    """Of more options than these, a row's prompt lists so many: the right one and others, drawn by a hash of the
    row."""
    nearest: bool = False
    """A number stands for the nearest of `keys`: 2.6 for 3."""
    joined: str | None = None
    """What stands between the labels of a list that is one answer: `, `."""
    by_template: Literal["ranked", "generated"] | None = None
    """Each template is `whole` and its own target is the answer: `ranked` among its choices, or `generated`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.field) == (self.by_template is not None):
            raise ValueError("needs a field, or by_template where each template has its own answer; one of them")
        if self.by_template is not None and self != Answer.model_construct(by_template=self.by_template):
            raise ValueError("by_template leaves nothing else to say; remove the other keys")
        if self.options is not None and self.options_field is not None:
            raise ValueError("has both options and options_field; keep one")
        if self.options is not None and len(self.options) < 2:
            raise ValueError("options needs at least two entries")
        if self.options is not None and len(set(self.options)) < len(self.options):
            twice = next(option for option in self.options if self.options.count(option) > 1)
            raise ValueError(f"options has {twice!r} twice")
        if isinstance(self.keys, tuple) and self.options is not None and len(self.keys) != len(self.options):
            raise ValueError(f"keys has {len(self.keys)} entries for {len(self.options)} options")
        if (self.keys is not None or self.keys_field is not None) and not self.is_classification:
            raise ValueError("keys need options")
        if self.nearest and not (isinstance(self.keys, tuple) and all(_is_number(key) for key in self.keys)):
            raise ValueError("nearest needs keys that are numbers")
        if self.sample is not None and not self.is_classification:
            raise ValueError("sample needs options")
        if self.joined is not None and self.is_classification:
            raise ValueError("joined is for answers that are written; remove it or the options")
        return self

    @property
    def is_classification(self) -> bool:
        """Whether the answer is chosen among options."""
        return self.options is not None or self.options_field is not None or self.by_template == "ranked"


class FewShot(Record):
    """How solved examples stand before a question."""

    before_target: str | None = None
    """Between an example's input and its target, where it ends in the recipe's `prompts.separator`; by default that
    separator, which stands before the question's own target too."""
    between: str = "\n\n\n"
    """Between two examples, and between the last and the question."""


class Template(Record):
    """One phrasing. Jinja over the row's fields and `answer`, `options` (the block), `option_list`, `row`."""

    input: str = ""
    target: str = "{{answer}}"
    inverted: bool = False
    """Turns the task around: trained on, never evaluated."""
    when: str | None = None
    """Rows for which the template makes sense: a Jinja expression or text that renders to true/false."""
    options: tuple[str, ...] | None = None
    """Answer options in this template's own words, in the order of the task's."""
    few_shot: FewShot | None = None
    """Where this template's examples want separators of their own."""
    whole: str | None = None
    """In place of input and target, a text in promptsource's dialect, `|||` between them (openflan.prompts.whole)."""
    choices: str | None = None
    """With `whole`: the row's answer choices, `|||` between them; the text reads them as `answer_choices`."""

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if bool(self.input) == (self.whole is not None):
            raise ValueError("needs an input or, in promptsource's dialect, a whole; one of them")
        if self.whole is None and self.choices is not None:
            raise ValueError("choices go with whole; write options")
        defaults = {"target": "{{answer}}", "when": None, "options": None}
        if self.whole is not None and (
            other := [key for key, value in defaults.items() if getattr(self, key) != value]
        ):
            raise ValueError(f"whole leaves nothing to say under {other[0]}")
        return self

    @property
    def text(self) -> str:
        """The text that shows which fields a model reads."""
        return self.input if self.whole is None else self.whole.partition("|||")[0]


class TaskSpec(Record):
    """One dataset with its splits, columns, answer, metrics and templates."""

    name: str
    cluster: str
    """One of the twelve, or one of your own: a word that is not nearly one of them."""
    subcluster: str | None = None
    """Within `misc`: the task type that is held out on its own."""
    dataset: str | None = None
    """The paper's dataset that this task belongs to; several tasks may be parts of one (the ANLI rounds)."""
    description: str = ""
    source: Source
    splits: dict[Role, str]
    """Role to a split of the source, slices allowed: `train[:-200]`, `validation[200:]`."""
    size: dict[str, int] = {}
    """Official row counts by split of the source."""
    usable_rows: int | None = None
    """Training rows that slicing and cleaning leave of the official ones, where cleaning drops some."""
    columns: dict[str, Any] = {}
    """The contract with the source (openflan.tasks.columns)."""
    fields: tuple[str, ...] = ()
    """Names that templates may use: all columns, and what the cleaning steps add; by default the columns."""
    rows: tuple[str, ...] = ()
    """Named cleaning steps of openflan.tasks.rows, applied in order."""
    constants: dict[str, str] = {}
    """Names with one value for all rows, for templates that a family of tasks shares (`language: Czech`)."""
    answer: Answer
    metrics: tuple[Metric, ...] = Field(min_length=1)
    """The first is what a row scores; accuracy for tasks with options."""
    evaluation_only: bool = False
    licence: str = "unstated"
    commercial_use: bool | None = None
    """Whether the licence allows it; None where that is not known."""
    unverified: tuple[Literal["files", "size", "licence"], ...] = ()
    """What the spec says of its source without anybody having seen a record of it."""
    lineage: tuple[str, ...] = ()
    """The corpora its text comes from (names of `corpora.yaml`)."""
    notes: str = ""
    few_shot: FewShot = FewShot()
    baseline: Template | None = None
    """A text to continue, without instruction, for models that were never tuned."""
    family: str | None = None
    """Read `baseline` and `templates` from `<family>.templates.yaml` in the same folder."""
    templates: tuple[Template, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not NAME.match(self.name):
            raise ValueError(f"name '{self.name}' may hold only a-z, 0-9 and _")
        if fault := cluster_fault(self.cluster):
            raise ValueError(fault)
        if self.subcluster is not None and (self.cluster != "misc" or self.subcluster not in SUBCLUSTERS):
            raise ValueError(f"subcluster '{self.subcluster}'; of misc there are {', '.join(SUBCLUSTERS)}")
        if self.answer.is_classification != (self.metrics[0] == "accuracy") or "accuracy" in self.metrics[1:]:
            raise ValueError("accuracy is the first metric of tasks with options, and of those alone")
        for role, text in self.splits.items():
            try:
                _, *bounds = parse_slice(text)
                if self.source.apart is not None and any(bound is not None for bound in bounds):
                    raise ValueError("with source.apart write the file's name alone")
            except ValueError as error:
                raise ValueError(f"splits.{role} is '{text}'; {error}") from None
        if not self.evaluation_only and "train" not in self.splits:
            raise ValueError("splits.train is missing; or say evaluation_only: true")
        if all(template.inverted for template in self.templates):
            raise ValueError("every template is inverted; evaluation needs one that asks for the answer")
        for name, column in self.columns.items():
            if fault := column_error(column, f"columns.{name}"):
                raise ValueError(fault)
        if not self.fields and not self.columns:
            raise ValueError("fields is missing: name the row's fields that templates use, or the columns")
        return self

    @model_validator(mode="after")
    def _whole_together(self) -> Self:
        whole = sum(template.whole is not None for template in self.templates)
        if whole and (self.answer.by_template is None or whole < len(self.templates) or self.baseline is not None):
            raise ValueError("whole templates stand together under answer.by_template, without a baseline")
        if self.answer.by_template is not None and not whole:
            raise ValueError("answer.by_template wants templates that are whole")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the row that templates may use."""
        return self.fields or tuple(self.columns)

    @property
    def normal_forms(self) -> dict[str, str]:
        """What counts when an answer is compared, in words, by metric of generated answers."""
        return {name: str(NORMAL_FORMS[name]) for name in self.metrics if name in NORMAL_FORMS}

    @property
    def code_cluster(self) -> str:
        """The task's cluster in the view of the authors' code."""
        return self.subcluster or self.cluster

    @property
    def called(self) -> tuple[str, ...]:
        """What a recipe may call the task by: its name, its dataset, its cluster, within `misc` its subcluster."""
        words = (self.name, self.dataset, self.cluster, self.subcluster)
        return tuple(dict.fromkeys(word for word in words if word is not None))

    @property
    def is_classification(self) -> bool:
        """Whether answers are ranked (True) or generated (False)."""
        return self.answer.is_classification

    @property
    def kind(self) -> str:
        """`classification` (one set of options), `multiple choice` (options of the row) or `generation`."""
        if not self.is_classification:
            return "generation"
        own = self.answer.options is None or any("{" in option for option in self.answer.options or ())
        return "multiple choice" if own else "classification"

    @property
    def fingerprint(self) -> str:
        """Hash of what makes its prompts and answers; part of every mixture and result that used it."""
        content = self.model_dump(mode="json", exclude=_REMARKS)
        for part, keys in _LATER.items():
            for key, default in keys.items():
                if content[part][key] == default:
                    del content[part][key]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_task(path: Path) -> TaskSpec:
    """Read one task file.

    Raises:
        UserError: the file is missing, is not YAML, or says something a task may not.
    """
    return task_of(read_yaml(path, kind="task file", how="check tasks.folders in the recipe"), path)


def task_of(data: dict[str, Any], path: Path) -> TaskSpec:
    """What a task file says, or will say, as a task.

    Args:
        data: its content.
        path: where it is, or will be: what its family shares lies beside it.

    Raises:
        UserError: it says something a task may not.
    """
    family = data.get("family")
    if family is not None:
        if not isinstance(family, str) or not NAME.match(family):
            raise UserError(f"family is {family!r}", where=str(path), how="write a name of a-z, 0-9 and _")
        shared = read_yaml(
            path.with_name(f"{family}.templates.yaml"), kind="file of shared templates", how=f"mend 'family' in {path}"
        )
        if unknown := sorted(set(shared) - {"baseline", "templates", "few_shot"}):
            where = str(path.with_name(f"{family}.templates.yaml"))
            raise UserError(f"unknown key '{unknown[0]}'", where=where, how="baseline, templates or few_shot")
        data = {**shared, **data}
    try:
        spec = TaskSpec.model_validate_json(json.dumps(data, ensure_ascii=False))
    except ValidationError as error:
        raise strict_error(error, str(path), TaskSpec) from None
    except TypeError as error:
        raise UserError(f"a value is of no plain type ({error})", where=str(path), how="quote it") from None
    if spec.name != path.stem:
        raise UserError(f"name is '{spec.name}'", where=str(path), how="name the file after the task")
    return spec
