"""Audit of a tokenizer on tasks: how many of their prompts with an option are other tokens when tokenised together.

openflan tokenises prompt and answer apart (`prompts.boundary`), other programs together; the audit says, task by task,
where the two part. Cost: a few rows a task, every template and option of theirs tokenised twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openflan.evaluation.protocol import ask_prompts
from openflan.models.load import find_model, load_encoder
from openflan.prompts.boundary import joins
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.task import folder_of_data
from openflan.recipes.parts import ModelPart, PromptsPart
from openflan.tasks.catalog import Entry, open_catalog

__all__ = ["TaskAudit", "audit_task", "audit_tokenizer"]

_OPTIONS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskAudit:
    """What a tokenizer does where a task's prompts and answers meet."""

    task: str
    pairs: int
    """Prompts with an option that were looked at."""
    differ: int
    """Those of them that are other tokens together."""
    empty: int
    """Those whose answer has no token of its own together."""
    templates: Sequence[int]
    """Templates of the prompts that differ."""
    options: Sequence[str]
    """Options that differ, the first ten."""
    apart: Sequence[str]
    """Tokens around the first join that differs."""
    together: Sequence[str]


def audit_tokenizer(
    tokenizer: str | Path,
    tasks: Iterable[str] = (),
    *,
    rows: int = 5,
    separator: str = "\n",
    folders: Iterable[str | Path] = (),
    data: str | Path | None = None,
) -> list[TaskAudit]:
    """Tell, task by task, where tokenising prompt and answer together would differ from tokenising them apart.

    Args:
        tokenizer: a model's folder, a hub id or `starter`.
        tasks: names of tasks or clusters; without any your own, or else the whole catalog.
        rows: test rows a task, at most.
        separator: what stands between prompt and answer.
        folders: folders of task files of your own.
        data: a folder with `<task>/<split>.*` files; without it the twins, or your own tasks' files.

    Raises:
        UserError: the tokenizer, a task or its rows are at fault.
    """
    own = [Path(folder) for folder in folders]
    place = folder_of_data(data or (None if own else "twins"))
    chosen = open_catalog(own).select(list(tasks) or ["mine" if own else "catalog"], where="tasks")
    source = find_model(ModelPart(path=str(tokenizer)), Path(tokenizer).expanduser())
    encoder = load_encoder(source, PromptsPart(separator=separator))
    return [
        audit_task(entry, encoder, rows=rows, separator=separator, data=place)
        for entry in chosen
        if entry.spec.is_classification and "test" in entry.spec.splits
    ]


def audit_task(entry: Entry, encoder: TextEncoder, *, rows: int, separator: str, data: Path | None) -> TaskAudit:
    """Tokenise a classification task's test prompts with each of their options both ways.

    Raises:
        UserError: rows or templates of the task are at fault.
    """
    prompts = ask_prompts(entry, encoder, limit=rows, data=data)
    pairs = [(prompt, option) for prompt in prompts for option in prompt.answer.options]
    joined = joins(encoder, [(prompt.input + separator, option) for prompt, option in pairs])
    differing = [place for place, join in enumerate(joined) if join.differs]
    first = joined[differing[0]] if differing else None
    return TaskAudit(
        task=entry.spec.name,
        pairs=len(joined),
        differ=len(differing),
        empty=sum(join.empty for join in joined),
        templates=sorted({pairs[place][0].number for place in differing}),
        options=sorted({pairs[place][1] for place in differing})[:_OPTIONS],
        apart=first.apart if first else (),
        together=first.together if first else (),
    )
