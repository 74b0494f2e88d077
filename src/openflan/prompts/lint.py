"""Lint: what is wrong with a task, found before anybody trains on it.

A spec is read closely (contract, licence, lineage, ten different templates), then every template is rendered on
every row at hand: the task's twin, and a user's data. Nothing here raises for a faulty task; each fault is a
`Fault` that says where it is.

Invariant: a task without faults renders every row it keeps under every template that fits it. Cost: 25,000
prompts a second. Rejected: regular expressions over template text, which see neither empty targets nor leaks.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

from openflan.errors import UserError
from openflan.prompts.references import ReferenceCheck
from openflan.prompts.render import BASELINE, TaskRenderer, TemplateId
from openflan.tasks.catalog import Entry
from openflan.tasks.cleaning import clean_row, unrolled
from openflan.tasks.lineage import known_corpora
from openflan.tasks.readers import ENDINGS, is_rows, read_rows
from openflan.tasks.rows import STEPS
from openflan.tasks.sources import SourceRow, folders_of
from openflan.tasks.spec import Template

__all__ = ["Fault", "TaskCheck", "check_task"]

_TEMPLATES = 10
_INVERTED = 3
_TWIN_ROWS = 8
_SAME_WORDS = 3
"""Templates that differ in fewer words are one template."""
_LEAK_ROWS = 50
"""Rows on which each template is also rendered with another answer."""
_SHOWN = 3
"""Findings of one kind that a task shows before it only counts."""

_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_MARKUP = ("{{", "}}", "{%", "%}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One fault of a task."""

    task: str
    what: str
    where: str


@dataclass(kw_only=True)
class TaskCheck:
    """What checking one task did and found."""

    task: str
    templates: int
    prompts: int = 0
    rows: int = 0
    dropped: int = 0
    """Rows that cleaning left out."""
    faults: list[Fault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What may be meant so: references that lose something in the normal form of a metric."""


def check_task(entry: Entry, *, data: Path | None = None, strict: bool = True) -> TaskCheck:
    """Check one task on its twin, its own files and, where `data/<task>/` exists, on all rows there.

    Args:
        strict: hold it to the catalog's rules: ten templates, a twin, licence, lineage, official sizes.
    """
    checked = TaskCheck(task=entry.spec.name, templates=len(entry.spec.templates))
    report = _Reporter(entry, checked)
    for what, where in _spec_faults(entry, strict=strict):
        report(what, where)
    try:
        renderer = TaskRenderer(entry)
    except UserError as error:
        report(error.what, error.where or str(entry.path))
        return checked
    twin = entry.path.with_name(f"{entry.spec.name}.twin.jsonl")
    if twin.is_file():
        rows = list(_read(entry, twin, report, checked))
        used, seen = _check_rows(renderer, rows, report, checked)
        if strict:
            _check_twin(entry, twin, used, seen, report)
    elif strict:
        report("has no twin", str(twin))
    for name in dict.fromkeys((entry.spec.source.local_files or {}).values()):
        path = entry.path.parent / Path(name).expanduser()
        if not is_rows(path):
            report("no such file of rows", str(path))
            continue
        _check_rows(renderer, _read(entry, path, report, checked), report, checked)
    for folder in folders_of(entry, data):
        for path in _files(folder):
            _check_rows(renderer, _read(entry, path, report, checked), report, checked)
    checked.remarks += report.references.remarks
    return checked


class _Reporter:
    """Collects faults; a fault that many rows share is told a few times, then counted."""

    def __init__(self, entry: Entry, checked: TaskCheck) -> None:
        self._task = entry.spec.name
        self._checked = checked
        self._counts: dict[tuple[str, str], int] = {}
        self.references = ReferenceCheck(metrics=() if entry.spec.is_classification else entry.spec.metrics)

    def __call__(self, what: str, where: str) -> None:
        kind = (re.sub(r"'[^']*'|\d+", "", what), re.sub(r"\brow \d+|, line \d+", "", where))
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] <= _SHOWN:
            self._checked.faults.append(Fault(task=self._task, what=what, where=where))


def _spec_faults(entry: Entry, *, strict: bool) -> Iterator[tuple[str, str]]:
    """What the spec alone shows."""
    spec, where = entry.spec, str(entry.path)
    inverted = sum(template.inverted for template in spec.templates)
    if inverted > _INVERTED:
        yield f"{inverted} templates are inverted, at most {_INVERTED} may be", where
    for (i, one), (j, other) in itertools.combinations(enumerate(spec.templates, start=1), 2):
        if _alike(one, other):
            yield f"templates {i} and {j} are nearly the same", where
    unknown = [name for name in spec.rows if name not in STEPS]
    yield from ((f"no cleaning step '{name}'", where) for name in unknown)
    if spec.licence == "unstated":
        yield "has no licence (write `unknown` where the source states none)", where
    if not spec.lineage:
        yield "has no lineage", where
    if strict:
        yield from ((what, where) for what in _catalog_faults(entry))


def _catalog_faults(entry: Entry) -> Iterator[str]:
    """What the catalog's own tasks must have besides."""
    spec = entry.spec
    if len(spec.templates) != _TEMPLATES:
        yield f"has {len(spec.templates)} templates, not {_TEMPLATES}"
    for key in ("baseline", "columns", "size", "description"):
        if not getattr(spec, key):
            yield f"has no {key}"
    for name in spec.lineage:
        if name not in known_corpora():
            yield f"lineage names the corpus '{name}', which corpora.yaml has not"
    if entry.path.parent.name != spec.cluster:
        yield f"lies in folder {entry.path.parent.name}, not in that of its cluster"


def _alike(one: Template, other: Template) -> bool:
    if (one.inverted, one.when) != (other.inverted, other.when) and one.input != other.input:
        return False
    left, right = (_EXPRESSION.sub(" § ", t.input).split() for t in (one, other))
    if len(left) > _SAME_WORDS or len(right) > _SAME_WORDS:
        changed = sum(
            max(i2 - i1, j2 - j1)
            for tag, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
            if tag != "equal"
        )
        if changed < _SAME_WORDS and one.target == other.target:
            return True
    return (one.input, one.target) == (other.input, other.target)


def _files(folder: Path) -> list[Path]:
    """Every file of rows in a task's folder, one kind a split."""
    return sorted(p for p in folder.iterdir() if is_rows(p) and (p.is_dir() or p.name.endswith(ENDINGS[:-1])))


def _read(entry: Entry, path: Path, report: _Reporter, checked: TaskCheck) -> Iterator[SourceRow]:
    """Cleaned rows of a file; faulty ones are said and passed over."""
    try:
        for index, row in enumerate(unrolled(entry, read_rows(path, entry.spec.columns))):
            checked.rows += 1
            try:
                cleaned = clean_row(entry, row, where=f"{path}, row {index + 1}")
            except UserError as error:
                report(error.what, error.where or str(path))
                continue
            if cleaned is None:
                checked.dropped += 1
            else:
                yield SourceRow(index=index, fields=cleaned)
    except UserError as error:
        report(error.what, error.where or str(path))


def _check_rows(
    renderer: TaskRenderer, rows: Iterable[SourceRow], report: _Reporter, checked: TaskCheck
) -> tuple[set[TemplateId], set[str]]:
    """Render everything; the templates that were used and the answers that were seen."""
    spec = renderer.spec
    used: set[TemplateId] = set()
    seen: set[str] = set()
    for row in rows:
        try:
            answer = renderer.answer(row)
            fitting = renderer.applicable(row)
        except UserError as error:
            report(error.what, error.where or spec.name)
            continue
        seen.update(answer.references)
        report.references.look(answer.references)
        if not any(not spec.templates[number].inverted for number in fitting):
            report("no template that asks for the answer fits", f"{spec.name}, row {row.index + 1}")
        plain = json.dumps(row.fields, ensure_ascii=False, default=str)
        baseline: list[TemplateId] = [BASELINE] if spec.baseline is not None else []
        for number in [*fitting, *baseline]:
            try:
                prompt = renderer.render(row, number)
            except UserError as error:
                report(error.what, error.where or spec.name)
                continue
            used.add(number)
            checked.prompts += 1
            where = f"{renderer.where(number)}, row {row.index + 1}"
            for mark in _MARKUP:
                if mark not in plain and (mark in prompt.input or mark in prompt.target):
                    report(f"markup is left over: {mark}", where)
            template = renderer.template(number)
            if spec.is_classification and not template.inverted:
                if prompt.target not in prompt.answer.options:
                    report(f"the target {prompt.target!r} is not among the options", where)
                if checked.rows <= _LEAK_ROWS and renderer.shows_answer(row, number):
                    report("the input gives the answer away outside its options", where)
                if prompt.input.count("OPTIONS:") > 1 + plain.count("OPTIONS:"):
                    report("the options stand there twice", where)
            if not spec.is_classification and "OPTIONS:" in prompt.input and "OPTIONS:" not in plain:
                report("an option list, but the task has no options", where)
    return used, seen


def _check_twin(entry: Entry, twin: Path, used: set[TemplateId], seen: set[str], report: _Reporter) -> None:
    """Whether the twin tries everything: templates, classes and cleaning steps."""
    spec = entry.spec
    raw = list(unrolled(entry, read_rows(twin, spec.columns)))
    if len(raw) < _TWIN_ROWS:
        report(f"the twin has {len(raw)} rows, not {_TWIN_ROWS}", str(twin))
    for number in set(range(len(spec.templates))) - used:
        report(f"template {number + 1} fits no row of the twin", str(twin))
    fixed: Sequence[str] = [option for option in spec.answer.options or () if "{" not in option]
    for option in fixed:
        if option not in seen:
            report(f"no row of the twin has the answer '{option}'", str(twin))
    idle = {name for name in spec.rows if name in STEPS}
    for row in raw:
        current = row
        for name in spec.rows:
            if name not in STEPS:
                continue
            try:
                after = STEPS[name](current)
            except (KeyError, TypeError, AttributeError, IndexError):
                break
            if after is None or dict(after) != dict(current):
                idle.discard(name)
            if after is None:
                break
            current = dict(after)
    for name in sorted(idle):
        report(f"no row of the twin needs the cleaning step '{name}'", str(twin))
