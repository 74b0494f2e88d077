"""The protocol: what is asked.

Every task is asked under each of its templates that asks for the answer (inverted ones do not). Rows are drawn by a
hash of their content, so a limit of n keeps the same rows for every model and every order of the file. A few
validation rows are asked too; they only say which template is best, whose test score is then told beside the mean
(Wei et al. 2022, section 3). An untuned model can be asked the task's baseline as well, a text to continue. A drawn
row that can't be rendered stops all, or is left out under every template and counted; no other takes its place.

Where all rows have the same options, three prompts without content are asked under each template: a row whose texts are
all "N/A", "[MASK]" or nothing (Zhao et al. 2021). What a model says to them it says of no row.

Options are listed in class order, in an order drawn for each question, or rotated: the same question several times.

Invariant: the same prompts for the same task, rows and settings. Cost: rendering, 20 µs a prompt.
Rejected: one template a task, which measures the wording as much as the model; prompts without content for options that
differ by row, which would be as many as the rows.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from openflan.errors import UserError
from openflan.evaluation.content_free import rows_without_content
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.exemplars import ExemplarMaker, FewShotQuestion, question_key
from openflan.prompts.options import rotations
from openflan.prompts.render import BASELINE, Prompt, TaskRenderer, TemplateId
from openflan.prompts.styles import choose_shots
from openflan.recipes.parts import EvaluationPart, StylePart
from openflan.stage import fingerprint_of
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, load_rows, source_fingerprint
from openflan.tasks.splits import Role

__all__ = [
    "Asked",
    "OptionOrder",
    "ask_prompts",
    "ask_task",
    "draw_rows",
    "has_rows",
    "hash_of_row",
    "usable_templates",
]

OptionOrder = Literal["class", "rotated", "drawn"]
"""In which order questions list their options."""

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
    content_free: Sequence[Prompt] = ()
    """Prompts without content under each template, where all rows have the same options."""
    left_out: int = 0
    """Test and validation rows that break the task's contract, and drawn ones that could not be rendered."""

    @cached_property
    def everything(self) -> list[tuple[Prompt, str]]:
        """Every prompt and the split of its row."""
        by_split = {
            "test": (*self.test, *self.baseline),
            "validation": self.validation,
            "content_free": self.content_free,
        }
        return [(prompt, split) for split, prompts in by_split.items() for prompt in prompts]

    @cached_property
    def row_hashes(self) -> list[str]:
        """Hash of each prompt's row; a row is hashed once, however many templates it has."""
        hashes: dict[tuple[str, int], str] = {}
        return [
            hashes.get((split, prompt.row)) or hashes.setdefault((split, prompt.row), hash_of_row(prompt.fields))
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
    order: OptionOrder = "class",
    faulty: set[int] | None = None,
) -> list[Prompt]:
    """The prompts that measure a task: every drawn row under every fitting template.

    Args:
        templates: numbers of the templates to use; by default all that ask for the answer.
        style: another style than the encoder's.
        order: in which order options are listed, whatever the style says, which is of tuning.
        faulty: rows that break the task's contract or can't be rendered are left out and their places put here;
            None: they raise.

    Raises:
        UserError: rows (with `faulty`, all of them) or templates of the task are at fault, or solved examples are
            wanted and it has no rows to take them from.
    """
    style = _asking(encoder.part if style is None else style, order)
    renderer = TaskRenderer(entry, style=style)
    wanted = set(usable_templates(entry) if templates is None else templates)
    questions: list[FewShotQuestion] = []
    fault: UserError | None = None
    for row in draw_rows(load_rows(entry, role, data=data, faulty=faulty), limit):
        try:
            questions += _questions(renderer, row, wanted, style, order)
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
    return _with_examples(renderer, questions, encoder, entry, style, data=data, skip=faulty is not None)


def _asking(style: StylePart, order: OptionOrder) -> StylePart:
    """A style as questions have it, which list their options by the evaluation's order."""
    return style.model_copy(update={"option_order": "drawn" if order == "drawn" else "class"})


def _with_examples(
    renderer: TaskRenderer,
    questions: Sequence[FewShotQuestion],
    encoder: TextEncoder,
    entry: Entry,
    style: StylePart,
    *,
    data: Path | None,
    skip: bool,
) -> list[Prompt]:
    """The questions' prompts, with solved examples where the style has some."""
    if not max(style.all_shots):
        return [question.prompt for question in questions]
    part = encoder.part
    solved = ExemplarMaker(
        renderer,
        _solved_rows(entry, data, faulty=set() if skip else None),
        count=encoder.lengths,
        budget=part.exemplar_budget - encoder.frame.around,
        separator=part.separator,
        skip=skip,
    )
    return [prompt for prompt, _ in solved.add(questions)]


def _questions(
    renderer: TaskRenderer, row: SourceRow, wanted: Collection[TemplateId], style: StylePart, order: OptionOrder
) -> list[FewShotQuestion]:
    """A row under every wanted template that fits it, in every turn of its options."""
    questions = []
    numbers: tuple[TemplateId, ...] = (*renderer.asking(row), BASELINE)
    for number in numbers:
        if number in wanted:
            key = question_key(row, number)
            prompts = [renderer.render(row, number, key=key)]
            for turn in rotations(len(prompts[0].listed))[1:] if order == "rotated" else ():
                prompts.append(renderer.render(row, number, key=key, turn=turn))
            shots = choose_shots(style, key)
            questions += [FewShotQuestion(row=row, prompt=p, style=style, shots=shots, key=key) for p in prompts]
    return questions


def _content_free(
    entry: Entry,
    encoder: TextEncoder,
    like: Prompt,
    templates: Sequence[TemplateId],
    *,
    style: StylePart,
    order: OptionOrder,
    data: Path | None,
) -> list[Prompt]:
    """A task's prompts without content: none where options differ by row, none under a template that needs some.

    Args:
        like: a prompt of the row whose content is taken away.
    """
    style = _asking(style, "class")
    renderer = TaskRenderer(entry, style=style)
    questions: list[FewShotQuestion] = []
    for alternatives in rows_without_content(entry.spec, like.fields) if renderer.same_options else ():
        for template in templates:
            for row in alternatives:
                try:
                    more = _questions(renderer, row, {template}, style, "class" if order == "class" else "rotated")
                except UserError:
                    continue
                questions += more
                break
    return _with_examples(renderer, questions, encoder, entry, style, data=data, skip=True)


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
            entry,
            encoder,
            limit=count,
            data=data,
            role=role,
            templates=numbers,
            style=style,
            order=part.option_order,
            faulty=skipped,
        )

    test = ask(limit, "test", templates)
    validation = ask(chooses, "validation", templates) if chooses else []
    baseline = ask(limit, "test", [BASELINE]) if part.baseline and entry.spec.baseline is not None else []
    return Asked(
        entry=entry,
        test=[prompt for prompt in test if prompt.row not in faulty["test"]],
        validation=validation,
        baseline=[prompt for prompt in baseline if prompt.row not in faulty["test"]],
        content_free=_content_free(entry, encoder, test[0], templates, style=style, order=part.option_order, data=data),
        left_out=sum(map(len, faulty.values())),
    )


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
