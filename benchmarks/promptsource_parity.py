"""Every template of a checkout of promptsource, rendered by its own Jinja and by ours, on the same rows.

    python benchmarks/promptsource_parity.py --promptsource CHECKOUT --schemas DIR [--data DIR]

Rows are real ones where DIR has the dataset (`<task>/<split>.jsonl.gz`), then made-up ones in the schema that the
dataset's own record names (`<dataset>.json`: features by config, as in `dataset_infos.json`), in the form that
`promptsource_rows.yaml` says of it. They are held to the task's contract as rows of a source are. promptsource's side
is plain Jinja with its filters, its underscores for hyphens in column names, its shielded pipes and its splitting,
without the cut at 2,048 characters, in Jinja's sandbox; where a template picks by chance, it is given the numbers that
ours draws, so that both must come to the same one of its possible outputs.

Invariant: a template counts as equal when prompt, target and choices are equal on every row that both sides render, and
there is at least one such row; a row that lacks a field or whose label is none of the choices is an error here by
design, and counted apart. Cost: 4 minutes on one core.
"""

import argparse
import gzip
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import SandboxedEnvironment

import openflan
from openflan.errors import UserError
from openflan.importers.hub_names import hub_source
from openflan.importers.promptsource import import_promptsource
from openflan.prompts.render import TaskRenderer
from openflan.prompts.whole import draws
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.cleaning import RowCleaner
from openflan.tasks.sources import SourceRow

ROWS = 80
ENOUGH = 8
"""Rows that both render, after which no more are made."""
HOLES = ("undefined", "empty", "missing", "null", "lacks that field", "is not an option", "is none of", "options are")
"""Words of the errors by which a row is refused here that promptsource renders with a gap, or with a wrong label."""
WORDS = sorted(
    {
        "the",
        "ferry",
        "left",
        "harbour",
        "before",
        "noon",
        "and",
        "nobody",
        "had",
        "seen",
        "snow",
        "though",
        "it",
        "was",
        "cold",
    }
)


class _Loader(yaml.SafeLoader):
    """promptsource's tags as plain mappings."""


_Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_mapping(node, deep=True))


class Promptsource:
    """The reference."""

    def __init__(self) -> None:
        self.jinja = SandboxedEnvironment(autoescape=False)
        self.jinja.globals.update(zip=zip)
        self.jinja.filters |= self._filters()
        self._draw: Callable[[int], int] = lambda size: 0

    def _choice(self, items: Any) -> Any:
        items = list(items)
        return items[self._draw(len(items))]

    def _filters(self) -> dict[str, Any]:
        @jinja2.pass_context  # or Jinja computes it once, when it compiles
        def choice(_context: Any, items: Any) -> Any:
            return self._choice(items)

        return {"choice": choice, "random": choice, "most_frequent": self._most_frequent}

    @staticmethod
    def _most_frequent(items: Any) -> list[Any] | None:
        counts = Counter(items).most_common()
        return [one for one, n in counts if n == counts[0][1]] if counts else None

    def _parts(self, text: str, row: Mapping[str, Any]) -> list[str]:
        shielded = {k: v.replace("|||", "\0") if isinstance(v, str) else v for k, v in row.items()}
        rendered = self.jinja.from_string(text).render(**json.loads(json.dumps(shielded)))
        return [part.replace("\0", "|||").strip() for part in rendered.split("|||")]

    def render(
        self, template: Mapping[str, Any], row: Mapping[str, Any], draw: Callable[[int], int]
    ) -> tuple[list[str], list[str] | None]:
        """Prompt and target, and the choices."""
        self._draw = draw
        row = {key.replace("-", "_"): value for key, value in row.items()}
        setting = template.get("answer_choices")
        choices = (
            list(map(str.strip, setting))
            if isinstance(setting, list)
            else self._parts(setting, row)
            if setting
            else None
        )
        return self._parts(template["jinja"], {**row, "answer_choices": choices}), choices


def made_up(feature: Any, rng: random.Random, texts: list[str]) -> Any:
    """A value of a feature, as `dataset_infos.json` writes features."""
    if isinstance(feature, list):
        return _several(feature[0], rng.randint(2, 4), rng, texts)
    kind = feature.get("_type")
    if kind is None:
        return {name: made_up(inner, rng, texts) for name, inner in feature.items()}
    if kind == "Sequence":
        size = rng.randint(2, 4) if feature.get("length", -1) in (-1, None) else feature["length"]
        inner = feature["feature"]
        parts = inner.items() if isinstance(inner, dict) and "_type" not in inner else None
        return {n: _several(one, size, rng, texts) for n, one in parts} if parts else _several(inner, size, rng, texts)
    if kind in ("Translation", "TranslationVariableLanguages"):
        return {language: _words(rng) for language in feature["languages"]}
    if kind == "ClassLabel":
        return rng.randrange(feature["num_classes"] or len(feature["names"]))
    return _scalar(feature.get("dtype", "string"), rng, texts)


def _several(feature: Any, size: int, rng: random.Random, texts: list[str]) -> list[Any]:
    """Values of which no two are alike, where that can be."""
    values: list[Any] = []
    for _ in range(5 * size):
        if len(values) == size:
            break
        value = made_up(feature, rng, texts)
        if value not in values:
            values.append(value)
    return values + [made_up(feature, rng, texts) for _ in range(size - len(values))]


def _scalar(dtype: str, rng: random.Random, texts: list[str]) -> Any:
    if dtype.startswith(("int", "uint")):
        return rng.randrange(6)
    if dtype.startswith("float"):
        return round(rng.random() * 5, 2)
    if dtype == "bool":
        return rng.random() < 0.5
    return rng.choice(texts) if texts and rng.random() < 0.5 else _words(rng)


def _words(rng: random.Random) -> str:
    return " ".join(rng.sample(WORDS, rng.randint(2, 9))).capitalize() + "."


def compared_texts(templates: Mapping[str, Any]) -> list[str]:
    """Texts that templates compare or index with, and labels as texts."""
    source = " ".join(f"{one['jinja']} {one.get('answer_choices')}" for one in templates.values())
    quoted = [text for pair in re.findall(r"'([^'{}|]{1,40})'|\"([^\"{}|]{1,40})\"", source) for text in pair]
    return sorted({text.strip() for text in quoted if any(map(str.isalnum, text))}) + list("012345ABCDE")


def rows_of(path: Path, data: Any, schemas: Path, real: Mapping[tuple[Any, Any], Path]) -> tuple[list[str], list[Any]]:
    """Rows of a dataset and where they are from: real ones first, then made-up ones in its schema."""
    source = hub_source(data["dataset"], data.get("subset"))
    folder = real.get((source.get("hub"), source.get("config")))
    rows: list[Any] = []
    for name in ("train.jsonl.gz", "validation.jsonl.gz", "test.jsonl.gz"):
        if folder is not None and not rows and (folder / name).is_file():
            with gzip.open(folder / name, "rt", encoding="utf-8") as file:
                rows = [json.loads(line) for _, line in zip(range(ROWS), file, strict=False)]
    invented = list(made_rows(path, data, schemas))
    return ["real"] * bool(rows) + ["made"] * bool(invented), rows + invented


def made_rows(path: Path, data: Any, schemas: Path) -> Iterator[dict[str, Any]]:
    """Rows made up in a dataset's schema, with what is said of their form laid over."""
    whole = "/".join(part for part in (data["dataset"], data.get("subset")) if part)
    form = next((one for pattern, one in said_of_rows().items() if fnmatch(whole, pattern)), {})
    record = schemas / f"{data['dataset'].partition('/')[0]}.json"
    features = form.get("features")
    if features is None and record.is_file():
        infos = json.loads(record.read_text(encoding="utf-8"))
        named = infos.get(data.get("subset") or data["dataset"].rpartition("/")[2])
        features = named or next(iter(infos.values()))
    if features is None:
        return
    rng = random.Random(str(path))
    texts = compared_texts(data["templates"])
    for number in range(ROWS):
        row = {k: made_up(one, rng, texts) for k, one in features.items()}
        if number % 2 == 0:  # in real rows, an answer is one of the options that the row has
            leaves = [value for value in _leaves(row) if isinstance(value, str)]
            for key, value in row.items():
                if isinstance(value, str) and rng.random() < 0.4:
                    row[key] = rng.choice(leaves)
        parts = form.get("rows", [{}])
        yield {**row, **parts[number % len(parts)]}


@cache
def said_of_rows() -> dict[str, Any]:
    """What is said of the form of datasets' rows, by the pattern of their names."""
    text = Path(__file__).with_name("promptsource_rows.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


@dataclass
class Tally:
    """Templates by what was seen."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    equal_rows: Counter[int] = field(default_factory=Counter)
    """How many templates have so many equal rows."""
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, what: str) -> None:
        """Count a template."""
        self.counts[kind] += 1
        self.examples.setdefault(kind, []).append(what)


@cache
def _fits(renderer: TaskRenderer, index: int, text: str) -> tuple[SourceRow, list[int]] | UserError:
    try:
        entry = Entry(spec=renderer.spec, path=Path("promptsource"), collection="mine")
        cleaned = RowCleaner(entry).clean(json.loads(text), where=f"row {index + 1}")
        row = SourceRow(index=index, fields=cleaned or {})
        return row, renderer.applicable(row)
    except UserError as error:
        return error


def fits(renderer: TaskRenderer, index: int, fields: Any) -> tuple[SourceRow, list[int]]:
    """A row, and the templates that fit it, worked out once for all of a task's templates.

    Raises:
        UserError: the row is refused.
    """
    outcome = _fits(renderer, index, json.dumps(fields))
    if isinstance(outcome, UserError):
        raise outcome
    return outcome


def compare(
    reference: Promptsource, template: Any, renderer: TaskRenderer, number: int, rows: list[Any]
) -> Counter[str]:
    """What became of a template's rows."""
    seen: Counter[str] = Counter()
    spec = renderer.spec
    free = spec.templates[number].inverted or not spec.is_classification
    for index, fields in enumerate(rows):
        if seen["equal"] >= ENOUGH:
            break
        try:
            row, fitting = fits(renderer, index, fields)
            prompts = [renderer.render(row, number) for _ in range(2)] if number in fitting else []
            fault = ""
        except UserError as error:
            prompts, fault = [], str(error)
        try:
            first = reference.render(template, fields, draws(spec.name, index, number))
        except Exception:  # a template may fail on a made-up row in any way
            seen["neither" if not prompts else "ours alone"] += 1
            continue
        usable = len(first[0]) == 2 and all(first[0])
        if not prompts:
            hole = next((word for word in HOLES if word in fault), None)
            seen["neither" if not usable else f"refused: {hole}" if hole else "theirs alone"] += 1
            if usable and not hole:
                seen[f"! {fault[-160:]}"] += 1
            continue
        one, two = prompts
        mine = ([one.input, one.target], list(one.answer.options))
        if (one.input, one.target) != (two.input, two.target):
            seen["changes from call to call"] += 1
            continue
        right = first[0] == mine[0] and (free or first[1] in (mine[1], None))
        seen["equal" if right else "different"] += 1
        if not right:
            seen[f"! ours {mine!r:.300} theirs {first!r:.300}"] += 1
    return seen


def main() -> None:
    """Compare and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--promptsource", type=Path, required=True)
    parser.add_argument("--schemas", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="", help="datasets whose path has this in it")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    real: dict[tuple[Any, Any], Path] = {}
    if arguments.data is not None:
        for entry in open_catalog([], collections=("catalog",)).select(["catalog"], where="benchmark"):
            if entry.spec.source.hub and (arguments.data / entry.spec.name).is_dir():
                real[entry.spec.source.hub, entry.spec.source.config] = arguments.data / entry.spec.name
    reference, tally, sources = Promptsource(), Tally(), Counter()
    files = sorted(
        arguments.promptsource.rglob(
            f"templates/**/*{arguments.only}*/**/templates.yaml" if arguments.only else "templates/**/templates.yaml"
        )
    )
    for path in files:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        outcome = import_promptsource(path, cluster=None)
        source, rows = rows_of(path.relative_to(arguments.promptsource), data, arguments.schemas, real)
        sources[" and ".join(source) or "none"] += 1
        by_name: dict[str, list[Any]] = {}
        for one in data["templates"].values():
            by_name.setdefault(" ".join(str(one["name"]).split()), []).append(one)
        tally.counts["refused"] += len(outcome.refused)
        for task in outcome.tasks:
            renderer = TaskRenderer(Entry(spec=task.spec, path=path, collection="mine"))
            _fits.cache_clear()
            for number, name in enumerate(task.templates):
                template = by_name[name].pop(0) if len(by_name[name]) > 1 else by_name[name][0]
                tally.counts["imported"] += 1
                what = f"{path.parent.relative_to(arguments.promptsource)}: {name}"
                seen = compare(reference, template, renderer, number, rows)
                tally.equal_rows[seen["equal"]] += 1
                tally.rows.update({k: n for k, n in seen.items() if not k.startswith("!")})
                wrong = seen["different"] + seen["theirs alone"] + seen["changes from call to call"]
                kind = "unlike on a row" if wrong else "equal on every row" if seen["equal"] else "no row to compare"
                notes = [key for key in seen if key.startswith("!")]
                label = f"{what} {notes[:1]}" if notes else what
                tally.add(kind, f"{label} {dict(seen)}" if kind == "no row to compare" else label)
        print(path.parent.relative_to(arguments.promptsource), file=sys.stderr)
    record = {
        "files": len(files),
        "rows_from": dict(sources),
        "templates": dict(tally.counts),
        "rows": dict(tally.rows),
        "templates_by_equal_rows": dict(sorted(tally.equal_rows.items())),
        "no_row": tally.examples.get("no row to compare", []),
        "unlike": tally.examples.get("unlike on a row", []),
        "openflan": openflan.__version__,
        "jinja2": jinja2.__version__,
    }
    day = datetime.now(UTC).date().isoformat()
    (arguments.out / f"{day}-promptsource-parity.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    )
    print(json.dumps({key: record[key] for key in ("files", "rows_from", "templates", "rows")}, indent=1))


if __name__ == "__main__":
    main()
