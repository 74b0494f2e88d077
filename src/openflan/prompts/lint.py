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
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

from openflan.errors import UserError
from openflan.prompts.references import ReferenceCheck
from openflan.prompts.render import BASELINE, Prompt, TaskRenderer, TemplateId
from openflan.prompts.styles import label_fields
from openflan.tasks.catalog import Entry
from openflan.tasks.cleaning import RowCleaner, file_rows, unrolled
from openflan.tasks.delimited import TableForm, form_of
from openflan.tasks.lineage import known_corpora
from openflan.tasks.local import folders_of
from openflan.tasks.readers import ENDINGS, is_rows, is_table
from openflan.tasks.rows import STEPS
from openflan.tasks.sources import SourceRow, load_rows
from openflan.tasks.spec import RESERVED, Template

__all__ = ["Fault", "TaskCheck", "alike", "check_task", "check_template_on"]

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
_SINGLE_BRACES = re.compile(r"(?<![{%#\w])\{ ?(\w+) ?\}(?![}\w])")
_MARKER = re.compile(r"[(\[]?(?:[A-Za-z]|\d{1,2}|[ivx]{1,4})[)\]]")
"""An option that only stands for what a list says."""
_SAME_INPUT = 3
"""Rows that a template must have been tried on before it counts that they all read the same."""


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
    faulty: int = 0
    """Rows that cannot be used, under one template at least; `mixture.faulty_rows: skip` leaves them out."""
    unlabelled: int = 0
    """Rows that cleaning left out because their label is empty."""
    forms: dict[Path, TableForm] = field(default_factory=dict)
    """How tables are written that are not separated by commas or not in UTF-8."""
    faults: list[Fault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What may be meant so: references that lose something in the normal form of a metric."""


def check_task(entry: Entry, *, data: Path | None = None, strict: bool = True, first: int | None = None) -> TaskCheck:
    """Check one task on its twin, its own files and, where `data/<task>/` exists, on all rows there.

    Args:
        strict: hold it to the catalog's rules: ten templates, a twin, licence, lineage, official sizes.
        first: look at so many rows of each of its own files, and not at references; at all where it is None.
    """
    checked = TaskCheck(task=entry.spec.name, templates=len(entry.spec.templates))
    report = _Reporter(entry, checked, references=first is None)
    for what, where in _spec_faults(entry, strict=strict):
        report(what, where)
    try:
        renderer = TaskRenderer(entry)
    except UserError as error:
        report(error.what, error.where or str(entry.path))
    else:
        _check_sources(renderer, entry, data, report, checked, strict=strict, first=first)
    report.close()
    return checked


def check_template_on(entry: Entry, number: int, rows: Iterable[SourceRow]) -> TaskCheck:
    """Check one template of a task on some rows, as `check_task` checks all on all."""
    checked = TaskCheck(task=entry.spec.name, templates=1)
    report = _Reporter(entry, checked, references=False)
    for what in _brace_faults(entry, number):
        report(what, f"{entry.path}, template {number + 1}")
    try:
        renderer = TaskRenderer(entry)
    except UserError as error:
        report(error.what, error.where or str(entry.path))
    else:
        _check_rows(renderer, rows, report, checked, only=number)
    report.close()
    return checked


def _check_sources(
    renderer: TaskRenderer,
    entry: Entry,
    data: Path | None,
    report: "_Reporter",
    checked: TaskCheck,
    *,
    strict: bool,
    first: int | None,
) -> None:
    """Render every row at hand: the twin's, the task's own files', those of a folder of data."""
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
        _check_rows(renderer, itertools.islice(_read(entry, path, report, checked), first), report, checked)
    if entry.spec.source.starter is not None and entry.collection == "mine":  # a user's copy; the suite has its tests
        generated = load_rows(entry, "train", limit=first or 2 * _LEAK_ROWS)
        _check_rows(renderer, generated, report, checked)
        checked.rows += len(generated)
    for folder in folders_of(entry, data):
        for path in _files(folder):
            _check_rows(renderer, _read(entry, path, report, checked), report, checked)
    checked.remarks += report.references.remarks


class _Reporter:
    """Collects faults; a fault that many rows share is told a few times, then counted."""

    def __init__(self, entry: Entry, checked: TaskCheck, *, references: bool) -> None:
        self._task = entry.spec.name
        self._checked = checked
        self._counts: dict[tuple[str, str], int] = {}
        self.references = ReferenceCheck(
            metrics=entry.spec.metrics if references and not entry.spec.is_classification else ()
        )
        self._firsts: dict[tuple[str, str], str] = {}

    def __call__(self, what: str, where: str) -> None:
        kind = (re.sub(r"'[^']*'|\d+", "", what), re.sub(r"(, )?\b(row|line) \d+", "", where))
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._firsts.setdefault(kind, what)
        if self._counts[kind] <= _SHOWN:
            self._checked.faults.append(Fault(task=self._task, what=what, where=where))

    def close(self) -> None:
        """Say how many more there are of each fault that was not told in full."""
        for kind, count in self._counts.items():
            if count > _SHOWN:
                what = f"{count - _SHOWN:,} more like: {self._firsts[kind]}"
                self._checked.faults.append(Fault(task=self._task, what=what, where=kind[1]))


def _spec_faults(entry: Entry, *, strict: bool) -> Iterator[tuple[str, str]]:
    """What the spec alone shows."""
    spec, where = entry.spec, str(entry.path)
    inverted = sum(template.inverted for template in spec.templates)
    if inverted > _INVERTED:
        yield f"{inverted} templates are inverted, at most {_INVERTED} may be", where
    for (i, one), (j, other) in itertools.combinations(enumerate(spec.templates, start=1), 2):
        if alike(one, other):
            yield f"templates {i} and {j} are nearly the same", where
    for number in range(len(spec.templates)):
        yield from ((what, f"{where}, template {number + 1}") for what in _brace_faults(entry, number))
    unknown = [name for name in spec.rows if name not in STEPS]
    yield from ((f"no cleaning step '{name}'", where) for name in unknown)
    if spec.licence == "unstated":
        yield "has no licence (write `unknown` where the source states none)", where
    if not spec.lineage:
        yield "has no lineage", where
    if strict:
        yield from ((what, where) for what in _catalog_faults(entry))


def _brace_faults(entry: Entry, number: int) -> Iterator[str]:
    """Names in single braces, which Jinja leaves as they are."""
    template = entry.spec.templates[number]
    for name in _SINGLE_BRACES.findall(_EXPRESSION.sub(" ", f"{template.input} § {template.target}")):
        if name in (*entry.spec.names, *RESERVED):
            yield f"{{{name}}} in single braces stands there as it is: write {{{{{name}}}}}"


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


def alike(one: Template, other: Template) -> bool:
    """Whether two templates are nearly the same: their own words differ in fewer than three."""
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
    source = entry.spec.source
    try:
        if is_table(path):
            form = form_of(path, separator=source.separator, encoding=source.encoding)
            checked.forms.update({} if form == TableForm() else {path: form})
        without = _left_out(entry, path)
        roles = source.apart.said if source.apart else None
        clean = RowCleaner(entry).clean
        for index, row in enumerate(unrolled(entry, file_rows(entry, path))):
            checked.rows += 1
            if index + 1 in without or (roles is not None and roles.of(row) is None):
                checked.dropped += 1
                continue
            try:
                cleaned = clean(row, where=f"{path}, row {index + 1}")
            except UserError as error:
                if source.faulty == "leave_out":
                    checked.dropped += 1
                    continue
                report(error.what, error.where or str(path))
                checked.faulty += 1
                continue
            if cleaned is None:
                checked.dropped += 1
                label = row.get(entry.spec.answer.field, "-")
                checked.unlabelled += label is None or (isinstance(label, str) and not label.strip())
            else:
                yield SourceRow(index=index, fields=cleaned, source=str(path))
    except UserError as error:
        report(error.what, error.where or str(path))


def _left_out(entry: Entry, path: Path) -> set[int]:
    """Numbers of a file's rows that the task leaves out."""
    source = entry.spec.source
    files = source.local_files or {}
    splits = [split for split, name in files.items() if entry.path.parent / Path(name).expanduser() == path]
    return {number for split in splits for number in source.without.get(split, ())}


def _check_rows(
    renderer: TaskRenderer,
    rows: Iterable[SourceRow],
    report: _Reporter,
    checked: TaskCheck,
    *,
    only: int | None = None,
) -> tuple[set[TemplateId], set[str]]:
    """Render everything, or `only` one template; the templates that were used and the answers that were seen."""
    spec = renderer.spec
    used: Counter[TemplateId] = Counter()
    prompts: dict[TemplateId, set[tuple[str, str]]] = {}
    seen: set[str] = set()
    hidden = label_fields(spec)
    contents: set[str] = set()
    for row in rows:
        try:
            answer = renderer.answer(row)
            fitting = renderer.applicable(row)
        except UserError as error:
            report(error.what, error.where or spec.name)
            checked.faulty += 1
            continue
        seen.update(answer.references)
        report.references.look(answer.references)
        if only is None and not any(not spec.templates[number].inverted for number in fitting):
            report("no template that asks for the answer fits", row.place)
        plain = json.dumps(row.fields, ensure_ascii=False, default=str)
        if len(contents) < 2:
            contents.add(str([value for name, value in row.fields.items() if name not in hidden]))
        numbers: list[TemplateId] = [number for number in fitting if only in (None, number)]
        if spec.baseline is not None and only is None:
            numbers.append(BASELINE)
        faulty = False
        for number in numbers:
            try:
                prompt = renderer.render(row, number)
            except UserError as error:
                report(error.what, error.where or spec.name)
                faulty = True
                continue
            used[number] += 1
            checked.prompts += 1
            kinds = prompts.setdefault(number, set())
            if len(kinds) < 2:
                kinds.add((prompt.input, prompt.target if renderer.template(number).inverted else ""))
            where = f"{renderer.where(number)}, row {row.index + 1}"
            for what in _prompt_faults(renderer, prompt, plain):
                report(what, where)
            asks = spec.is_classification and not renderer.template(number).inverted
            if asks and checked.rows <= _LEAK_ROWS and renderer.shows_answer(row, number):
                report("the input gives the answer away outside its options", where)
        checked.faulty += faulty
    for number, kinds in prompts.items():
        if len(kinds) == 1 and used[number] >= _SAME_INPUT and len(contents) > 1:
            report(f"all {used[number]:,} rows give the same prompt, though they differ", renderer.where(number))
    return set(used), seen


def _prompt_faults(renderer: TaskRenderer, prompt: Prompt, plain: str) -> Iterator[str]:
    """What one prompt shows.

    Args:
        plain: its row as a text.
    """
    spec = renderer.spec
    for mark in _MARKUP:
        if mark not in plain and (mark in prompt.input or mark in prompt.target):
            yield f"markup is left over: {mark}"
    if spec.is_classification and not renderer.template(prompt.template).inverted:
        options = prompt.answer.options
        if prompt.target not in options:
            yield f"the target {prompt.target!r} is not among the options"
        if prompt.input.count("OPTIONS:") > 1 + plain.count("OPTIONS:"):
            yield "the options stand there twice"
        if all(map(_MARKER.fullmatch, options)) and not any(option in prompt.input for option in options):
            yield f"the options are markers ({options[0]}) and the input does not list what they stand for"
    if not spec.is_classification and "OPTIONS:" in prompt.input and "OPTIONS:" not in plain:
        yield "an option list, but the task has no options"


def _check_twin(entry: Entry, twin: Path, used: set[TemplateId], seen: set[str], report: _Reporter) -> None:
    """Whether the twin tries everything: templates, classes and cleaning steps."""
    spec = entry.spec
    raw = list(unrolled(entry, file_rows(entry, twin)))
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
