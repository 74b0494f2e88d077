"""The protocol: what is asked.

Every task is asked under each of its templates that asks for the answer (inverted ones do not). Rows are drawn by a
hash of their content, so a limit of n keeps the same rows for every model and every order of the file. A few
validation rows are asked too; they only say which template is best, whose test score is then told beside the mean
(Wei et al. 2022, section 3). An untuned model can be asked the task's baseline as well, a text to continue. A drawn
row that can't be rendered stops all, or is left out under every template and counted; no other takes its place.

Invariant: the same prompts for the same task, rows and settings. Cost: rendering, 20 µs a prompt.
Rejected: one template a task, which measures the wording as much as the model.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.exemplars import ExemplarMaker, FewShotQuestion, question_key
from openflan.prompts.render import BASELINE, Prompt, TaskRenderer, TemplateId
from openflan.prompts.styles import choose_shots
from openflan.recipes.parts import EvaluationPart, StylePart
from openflan.stage import fingerprint_of
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, load_rows, source_fingerprint
from openflan.tasks.splits import Role

__all__ = ["Asked", "ask_prompts", "ask_task", "draw_rows", "has_rows", "hash_of_row", "usable_templates"]

_SOLVED_ROWS = 30_000
"""Training rows of a task that solved examples are taken from, at most."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """All that one task asks a model."""

    entry: Entry
    test: Sequence[Prompt]
    validation: Sequence[Prompt] = ()
    """Rows that choose a template."""
    baseline: Sequence[Prompt] = ()
    """Test rows as texts to continue."""
    left_out: int = 0
    """Test and validation rows that break the task's contract, and drawn ones that could not be rendered."""

    @cached_property
    def everything(self) -> list[tuple[Prompt, str]]:
        """Every prompt and the split of its row."""
        test = [(prompt, "test") for prompt in (*self.test, *self.baseline)]
        return test + [(prompt, "validation") for prompt in self.validation]

    @cached_property
    def row_hashes(self) -> list[str]:
        """Hash of each prompt's row; a row is hashed once, however many templates it has."""
        known: dict[tuple[str, int], str] = {}
        return [
            known.get((split, prompt.row)) or known.setdefault((split, prompt.row), hash_of_row(prompt.fields))
            for prompt, split in self.everything
        ]


def hash_of_row(fields: Any) -> str:
    """Hash of a row's content."""
    return fingerprint_of(_plain(fields))


def draw_rows(rows: Sequence[SourceRow], limit: int) -> list[SourceRow]:
    """The `limit` rows with the smallest content hashes, in source order."""
    chosen = sorted(rows, key=lambda row: (hash_of_row(row.fields), row.index))[:limit]
    return sorted(chosen, key=lambda row: row.index)


def usable_templates(entry: Entry, limit: int | None = None) -> list[int]:
    """Numbers of the templates that ask for the answer, the first `limit` of them."""
    return [number for number, template in enumerate(entry.spec.templates) if not template.inverted][:limit]


def has_rows(entry: Entry, role: Role, *, data: Path | None) -> bool:
    """Whether a task has a split and, where its rows come from a folder, the folder has a file of it."""
    if role not in entry.spec.splits:
        return False
    try:
        source_fingerprint(entry, role, data=data)
    except UserError:
        return False
    return True


def ask_prompts(
    entry: Entry,
    encoder: TextEncoder,
    *,
    limit: int,
    data: Path | None,
    role: Role = "test",
    templates: Iterable[TemplateId] | None = None,
    style: StylePart | None = None,
    faulty: set[int] | None = None,
) -> list[Prompt]:
    """The prompts that measure a task: every drawn row under every fitting template.

    Args:
        templates: numbers of the templates to use; by default all that ask for the answer.
        style: another style than the encoder's.
        faulty: rows that break the task's contract or can't be rendered are left out and their places put here;
            None: they raise.

    Raises:
        UserError: rows (with `faulty`, all of them) or templates of the task are at fault, or solved examples are
            wanted and it has no rows to take them from.
    """
    style = encoder.part if style is None else style
    renderer = TaskRenderer(entry, style=style)
    wanted = set(usable_templates(entry) if templates is None else templates)
    questions: list[FewShotQuestion] = []
    fault: UserError | None = None
    for row in draw_rows(load_rows(entry, role, data=data, faulty=faulty), limit):
        try:
            questions += _questions(renderer, row, wanted, style)
        except UserError as error:
            if faulty is None:
                raise
            fault = fault or error
            faulty.add(row.index)
    if not questions and fault is not None:
        raise fault
    if not questions:
        raise UserError(
            f"no template of '{entry.spec.name}' fits any of its {role} rows",
            where=str(entry.path),
            how="add one without 'when' that asks for the answer",
        )
    if not max(style.all_shots):
        return [question.prompt for question in questions]
    part = encoder.part
    solved = ExemplarMaker(
        renderer,
        _solved_rows(entry, data, faulty=None if faulty is None else set()),
        count=encoder.lengths,
        budget=part.exemplar_budget - encoder.frame.around,
        separator=part.separator,
        skip=faulty is not None,
    )
    return [prompt for prompt, _ in solved.add(questions)]


def _questions(
    renderer: TaskRenderer, row: SourceRow, wanted: Collection[TemplateId], style: StylePart
) -> list[FewShotQuestion]:
    """A row under every wanted template that fits it."""
    questions = []
    numbers: tuple[TemplateId, ...] = (*renderer.asking(row), BASELINE)
    for number in numbers:
        if number in wanted:
            key = question_key(row, number)
            prompt = renderer.render(row, number, key=key)
            shots = choose_shots(style, key)
            questions.append(FewShotQuestion(row=row, prompt=prompt, style=style, shots=shots, key=key))
    return questions


def _solved_rows(entry: Entry, data: Path | None, *, faulty: set[int] | None) -> list[SourceRow]:
    """Rows that solved examples are taken from: training rows, as in the paper (section 4.4)."""
    if "train" not in entry.spec.splits:
        how = "leave it out of evaluation.tasks, or set prompts.shots=0"
        raise UserError(f"'{entry.spec.name}' has no training rows for solved examples", where="prompts.shots", how=how)
    return load_rows(entry, "train", data=data, limit=_SOLVED_ROWS, faulty=faulty)


def ask_task(
    entry: Entry,
    encoder: TextEncoder,
    part: EvaluationPart,
    *,
    limit: int,
    data: Path | None,
    skip_faulty: bool = False,
) -> Asked:
    """All that a task asks under an evaluation's settings.

    Args:
        limit: test rows; of the validation rows `part.validation_rows`, but no more than of these.
        skip_faulty: leave out rows that can't be rendered, instead of raising.

    Raises:
        UserError: rows or templates of the task are at fault.
    """
    style: StylePart = encoder.part
    if part.options != "as_tuned":
        style = style.model_copy(update={"options": part.options})
    templates = usable_templates(entry, part.templates)
    chooses = min(part.validation_rows, limit) if len(templates) > 1 else 0
    if not chooses or not has_rows(entry, "validation", data=data):
        chooses = 0

    faulty: dict[Role, set[int]] = {"test": set(), "validation": set()}

    def ask(count: int, role: Role, numbers: Sequence[TemplateId]) -> list[Prompt]:
        skipped = faulty[role] if skip_faulty else None
        return ask_prompts(
            entry, encoder, limit=count, data=data, role=role, templates=numbers, style=style, faulty=skipped
        )

    test = ask(limit, "test", templates)
    validation = ask(chooses, "validation", templates) if chooses else []
    baseline = ask(limit, "test", [BASELINE]) if part.baseline and entry.spec.baseline is not None else []
    return Asked(
        entry=entry,
        test=[prompt for prompt in test if prompt.row not in faulty["test"]],
        validation=validation,
        baseline=[prompt for prompt in baseline if prompt.row not in faulty["test"]],
        left_out=sum(map(len, faulty.values())),
    )


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
