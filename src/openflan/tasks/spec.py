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
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from openflan.errors import UserError, did_you_mean, strict_error

__all__ = ["CLUSTERS", "Answer", "Source", "TaskSpec", "Template", "load_task"]

CLUSTERS: dict[str, str] = {
    "natural_language_inference": "does one text follow from another",
    "commonsense": "what happens, or makes sense, in everyday life",
    "sentiment": "is a text positive or negative",
    "paraphrase": "do two texts mean the same",
    "closed_book_qa": "questions answered from memory",
    "struct_to_text": "sentences from facts, tables or concepts",
    "reading_comprehension": "questions answered from a passage",
    "reading_comprehension_with_commonsense": "questions a passage answers only with everyday knowledge",
    "coreference": "what a pronoun refers to",
    "translation": "from one language to another",
    "summarization": "the gist of a longer text",
    "misc": "everything else; each task stands alone",
}
"""The paper's twelve clusters (Wei et al. 2022, figure 3) and what each asks for."""

Metric = Literal["accuracy", "exact_match", "f1", "bleu", "rouge"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*\Z")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(_Strict):
    """Where rows come from: exactly one of `hub`, `files` or `starter`.

    With a recipe's `tasks.data: DIR`, a hub task reads `DIR/<task>/<split>.jsonl[.gz]` in place of the hub.
    """

    hub: str | None = None
    """`owner/name` of a hub dataset that loads without a script."""
    config: str | None = None
    revision: str | None = None
    """Branch, tag or commit; `refs/convert/parquet` where the main branch is a loading script."""
    files: dict[str, str] | None = None
    """Split name to a .jsonl, .jsonl.gz, .csv or .parquet file, relative to the spec's folder."""
    starter: str | None = None
    """Name of a row generator of the starter world."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in ("hub", "files", "starter") if getattr(self, kind)]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of hub, files or starter, has {', '.join(given) or 'none'}")
        if self.hub and "/" not in self.hub:
            raise ValueError(f"hub id '{self.hub}' has no owner; write owner/name")
        return self


class Answer(_Strict):
    """How a row's answer is found, and the options when the task is a classification."""

    field: str
    """Dotted path to the label (`label`, `choices.answer`) or, without options, to the text to generate.
    A list there means several references: the first is trained on, all count as right."""
    options: tuple[str, ...] | None = None
    """Answer options in the dataset's class order; each may be a Jinja template over the row."""
    options_field: str | None = None
    """Dotted path to a list of options in the row."""
    keys: tuple[int | float | str | bool, ...] | None = None
    """Label values in the order of `options`, where they are not 0, 1, 2, … (sentiment140: 0 and 4)."""
    keys_field: str | None = None
    """Dotted path to a list of label values in the row, in the order of the options (ARC: `choices.label`)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.options is not None and self.options_field is not None:
            raise ValueError("has both options and options_field; keep one")
        if self.options is not None and len(self.options) < 2:
            raise ValueError("options needs at least two entries")
        if self.keys is not None and self.options is not None and len(self.keys) != len(self.options):
            raise ValueError(f"keys has {len(self.keys)} entries for {len(self.options)} options")
        if (self.keys is not None or self.keys_field is not None) and not self.is_classification:
            raise ValueError("keys need options")
        return self

    @property
    def is_classification(self) -> bool:
        """Whether the answer is chosen among options."""
        return self.options is not None or self.options_field is not None


class Template(_Strict):
    """One phrasing. Jinja over the row's fields and `answer`, `options` (the block), `option_list`, `row`."""

    input: str
    target: str = "{{answer}}"
    inverted: bool = False
    """Turns the task around: trained on, never evaluated."""
    when: str | None = None
    """Rows for which the template makes sense: a Jinja expression or text that renders to true/false."""


class TaskSpec(_Strict):
    """One dataset with its splits, fields, answer, metrics and templates."""

    name: str
    cluster: str
    description: str = ""
    source: Source
    splits: dict[Literal["train", "validation", "test"], str]
    """Role to a split of the source, slices allowed: `train[:-200]`, `validation[200:]`."""
    fields: tuple[str, ...] = Field(min_length=1)
    """Row fields every row must have; templates may use no others."""
    rows: tuple[str, ...] = ()
    """Named cleaning steps of openflan.tasks.rows, applied in order."""
    answer: Answer
    metrics: tuple[Metric, ...] = Field(min_length=1)
    evaluation_only: bool = False
    licence: str = "unstated"
    notes: str = ""
    templates: tuple[Template, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not _NAME.match(self.name):
            raise ValueError(f"name '{self.name}' may hold only a-z, 0-9 and _")
        if self.cluster not in CLUSTERS:
            hint = did_you_mean(self.cluster, CLUSTERS) or f"known: {', '.join(CLUSTERS)}"
            raise ValueError(f"no cluster '{self.cluster}'; {hint}")
        if self.answer.is_classification != ("accuracy" in self.metrics):
            raise ValueError("accuracy is the metric of tasks with options, and of those alone")
        if not self.evaluation_only and "train" not in self.splits:
            raise ValueError("splits.train is missing; or say evaluation_only: true")
        if all(template.inverted for template in self.templates):
            raise ValueError("every template is inverted; evaluation needs one that asks for the answer")
        return self

    @property
    def is_classification(self) -> bool:
        """Whether answers are ranked (True) or generated (False)."""
        return self.answer.is_classification

    @property
    def fingerprint(self) -> str:
        """Hash of everything the spec says; part of every mixture and result that used it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_task(path: Path) -> TaskSpec:
    """Read one task file.

    Raises:
        UserError: the file is missing, is not YAML, or says something a task may not.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except FileNotFoundError:
        raise UserError("no such task file", where=str(path), how="check tasks.folders in the recipe") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"not valid YAML: {problem}", where=str(path), how="mend the file") from None
    if not isinstance(data, dict):
        raise UserError("a task file must hold a mapping", where=str(path), how="start with 'name:'")
    try:
        spec = TaskSpec.model_validate_json(json.dumps(data, ensure_ascii=False))
    except ValidationError as error:
        raise strict_error(error, str(path), TaskSpec) from None
    except TypeError as error:
        raise UserError(f"a value is of no plain type ({error})", where=str(path), how="quote it") from None
    if spec.name != path.stem:
        raise UserError(f"name is '{spec.name}'", where=str(path), how="name the file after the task")
    return spec


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
