"""Tasks for lm-evaluation-harness: rendered prompts with their options, which it scores as it is.

    FOLDER/  <task>_<template>.yaml  a task of the harness, a template each
             <task>.yaml             all templates of a task as one group
             rows/<task>_<template>.jsonl   prompt, choices, gold
             utils.py                finds the rows beside it, wherever the folder is moved

The harness tokenises prompt and answer together, openflan apart. With a tokenizer at hand the delimiter between them is
chosen so that most pairs become the same tokens both ways, and the pairs that still do not are counted: everything else
has the same log-likelihoods.

Invariant: a row's choices and their order are those openflan ranks. Rejected: our templates as the harness's own, whose
fields and filters differ.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from openflan.evaluation.protocol import ask_prompts
from openflan.models.load import find_model, load_encoder
from openflan.prompts.boundary import joins
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.render import Prompt, TemplateId
from openflan.prompts.task import folder_of_data
from openflan.recipes.parts import ModelPart, PromptsPart
from openflan.stage import new_folder
from openflan.tasks.catalog import Entry, open_catalog

__all__ = ["HarnessExport", "HarnessTask", "export_tasks", "pick_delimiter", "write_tasks"]

_UTILS = '''"""Rows of the tasks beside this file."""

from pathlib import Path

import datasets


def rows(*, file, **_):
    """The test split of a task."""
    path = Path(__file__).parent / "rows" / file
    return datasets.load_dataset("json", data_files={"test": str(path)})
'''

_DELIMITERS = ("", " ")

_KNOWN_ENDS = 2
"""Tokens that end an answer: with so many the harness, which stops at one, must be told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HarnessTask:
    """What was written of a task."""

    name: str
    templates: Sequence[TemplateId]
    rows: int
    pairs: int
    differ: int
    """Of the pairs of prompt and option, those that become other tokens together than apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HarnessExport:
    """Tasks written for the harness."""

    folder: Path
    tasks: tuple[HarnessTask, ...]
    adds_start: bool
    """Whether the tokenizer puts a token before a text, which the harness must be told to add."""


def export_tasks(
    tasks: Iterable[str],
    to: str | Path,
    *,
    rows: int = 200,
    separator: str = "\n",
    tokenizer: str | None = None,
    folders: Iterable[str | Path] = (),
    data: str | Path | None = None,
) -> HarnessExport:
    """Write tasks for lm-evaluation-harness: the prompts and options that openflan scores, under each template.

    Args:
        tasks: names of tasks or clusters.
        to: the folder to write.
        rows: test rows a task, at most.
        separator: what stands between prompt and answer.
        tokenizer: a model's folder or hub id, for whose tokens answers are to be the same as here.
        folders: folders of task files of your own.
        data: a folder with `<task>/<split>.*` files that stand in for the hub, or `twins`.

    Raises:
        UserError: a task, its rows or the tokenizer is at fault, or the folder is there already.
    """
    place = folder_of_data(data)
    part = PromptsPart(separator=separator)
    source = find_model(ModelPart(path=tokenizer or "starter"), Path(tokenizer or "starter").expanduser())
    encoder = load_encoder(source, part)
    entries = open_catalog([Path(folder) for folder in folders]).select(tasks, where="tasks")
    by_name = {e.spec.name: (e, ask_prompts(e, encoder, limit=rows, data=place)) for e in entries}
    prompts = [prompt for _, own in by_name.values() for prompt in own]
    delimiter = pick_delimiter(encoder, prompts, separator) if tokenizer else ""
    with new_folder(Path(to), option="--to") as partial:
        written = write_tasks(
            partial, by_name, separator=separator, delimiter=delimiter, encoder=encoder if tokenizer else None
        )
    return HarnessExport(folder=Path(to), tasks=tuple(written), adds_start=bool(encoder.frame.before))


def pick_delimiter(encoder: TextEncoder, prompts: Sequence[Prompt], separator: str) -> str:
    """What to put before answers so that most are the same tokens together as apart."""
    pairs = [(prompt.input + separator, option) for prompt in prompts for option in prompt.answer.options]
    counts = {between: sum(join.differs for join in joins(encoder, pairs, between=between)) for between in _DELIMITERS}
    return min(_DELIMITERS, key=lambda between: counts[between])


def write_tasks(
    folder: Path,
    by_name: Mapping[str, tuple[Entry, Sequence[Prompt]]],
    *,
    separator: str,
    delimiter: str,
    encoder: TextEncoder | None,
) -> list[HarnessTask]:
    """Write tasks into a folder that is there and empty.

    Args:
        by_name: by task, its prompts under every template.
        encoder: counts the pairs whose tokens differ, where it is given.
    """
    (folder / "rows").mkdir()
    (folder / "utils.py").write_text(_UTILS, encoding="utf-8")
    until = ["\n\n", *_ends(encoder)]
    written = []
    for name, (entry, prompts) in by_name.items():
        by_template: dict[TemplateId, list[Prompt]] = {}
        for prompt in prompts:
            by_template.setdefault(prompt.template, []).append(prompt)
        several = any(len(prompt.answer.references) > 1 for prompt in prompts)
        for number, own in by_template.items():
            title = f"openflan_{name}_{number}"
            lines = [json.dumps(_row(prompt, several=several), ensure_ascii=False) for prompt in own]
            (folder / "rows" / f"{title}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            text = yaml.safe_dump(_task(entry, title, separator, delimiter, until), sort_keys=False, allow_unicode=True)
            text = text.replace("custom_dataset: utils.rows", "custom_dataset: !function utils.rows")
            (folder / f"{title}.yaml").write_text(text, encoding="utf-8")
        group = {
            "group": f"openflan_{name}",
            "task": [f"openflan_{name}_{number}" for number in by_template],
            "aggregate_metric_list": [{"metric": _metric(entry), "weight_by_size": False}],
            "metadata": {"version": 1.0},
        }
        (folder / f"openflan_{name}.yaml").write_text(yaml.safe_dump(group, sort_keys=False), encoding="utf-8")
        pairs = [(prompt.input + separator, option) for prompt in prompts for option in prompt.answer.options]
        differ = 0 if encoder is None else sum(j.differs for j in joins(encoder, pairs, between=delimiter))
        rows = len({prompt.row for prompt in prompts})
        written.append(HarnessTask(name=name, templates=list(by_template), rows=rows, pairs=len(pairs), differ=differ))
    return written


def _ends(encoder: TextEncoder | None) -> list[str]:
    """What ends an answer besides the one token that the harness knows itself, as it reads them."""
    if encoder is None or len(encoder.frame.stops) < _KNOWN_ENDS:
        return []
    return [*encoder.frame.stop_texts, *encoder.words(encoder.frame.stops)]


def _metric(entry: Entry) -> str:
    return "acc" if entry.spec.is_classification else "exact_match"


def _row(prompt: Prompt, *, several: bool) -> dict[str, Any]:
    answer = prompt.answer
    if not answer.options:
        return {"prompt": prompt.input, "target": answer.references[0] if answer.references else answer.text}
    gold: Any = answer.index
    if several:
        gold = [n for n, option in enumerate(answer.options) if option in answer.references] or [answer.index]
    return {"prompt": prompt.input, "choices": list(answer.options), "gold": gold}


def _task(entry: Entry, title: str, separator: str, delimiter: str, until: list[str]) -> dict[str, Any]:
    common = {
        "task": title,
        "custom_dataset": "utils.rows",
        "dataset_kwargs": {"file": f"{title}.jsonl"},
        "test_split": "test",
        "doc_to_text": "prompt",
        "target_delimiter": separator + delimiter,
    }
    if entry.spec.is_classification:
        how: dict[str, Any] = {
            "output_type": "multiple_choice",
            "doc_to_choice": "choices",
            "doc_to_target": "gold",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
    else:
        how = {
            "output_type": "generate_until",
            "doc_to_target": "target",
            "generation_kwargs": {"until": until, "do_sample": False},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
    return {**common, **how, "metadata": {"version": 1.0, "openflan": entry.spec.fingerprint}}
