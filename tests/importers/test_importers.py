"""What others wrote reads here as it reads there, or is refused with a reason."""

import json
from pathlib import Path

import jinja2
import pytest
import yaml

from openflan.errors import UserError
from openflan.importers.lm_eval import import_lm_eval
from openflan.importers.natural_instructions import import_natural_instructions
from openflan.importers.promptsource import import_promptsource
from openflan.importers.written import write_tasks
from openflan.prompts.render import TaskRenderer
from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import SourceRow, clean_row, load_rows

HERE = Path(__file__).parent / "importing"

ROWS = [
    {
        "text": text,
        "label": number % 2,
        "captain": captain,
        "crossing": {"hours": number, "route": route},
        "answer": "a field of that name",
        "options": ["own", "list"],
        "harbours": ["Rost", "Vaeroy ||| or Bodo" if number == 3 else " Vaeroy ", "Moss"],
        "goal": number % 3 if number != 3 else 0,
        "letter": "abc"[number % 3],
    }
    for number, (text, captain, route) in enumerate(
        [
            ("The ferry was late ||| and wet.", " Ada ", "north"),
            ("  A calm ferry\n", "Ben", ""),
            ("{{ text }} {% nothing %}", "Cleo|||Dan", "west"),
            ("Waves <b>&amp;", "Eve", "east"),
            ("x" * 5_000, "Finn", "south"),
        ]
    )
]


class Promptsource:
    """The reference: plain Jinja, the answer choices first, split where the pipes are after rendering."""

    def __init__(self):
        self.jinja = jinja2.Environment(autoescape=False)
        self.jinja.filters["choice"] = lambda items: items[0] if len(items) == 1 else pytest.fail("drew by chance")

    def _render(self, text, row):
        shielded = {key: v.replace("|||", "\0") if isinstance(v, str) else v for key, v in row.items()}
        rendered = self.jinja.from_string(text).render(**shielded)
        return [part.replace("\0", "|||").strip() for part in rendered.split("|||")]

    def choices(self, template, row):
        said = template.get("answer_choices")
        return said if said is None or isinstance(said, list) else self._render(said, row)

    def prompt(self, template, row):
        shielded = dict(row)
        return self._render(template["jinja"], {**shielded, "answer_choices": self.choices(template, row)})


@pytest.fixture(scope="module")
def ferries():
    return import_promptsource(HERE / "templates.yaml", cluster="sentiment")


@pytest.fixture(scope="module")
def originals():
    class Loader(yaml.SafeLoader):
        pass

    for tag in ("!Template", "!TemplateMetadata"):
        Loader.add_constructor(tag, lambda loader, node: loader.construct_mapping(node, deep=True))
    data = yaml.load((HERE / "templates.yaml").read_text(), Loader=Loader)
    return {template["name"]: template for template in data["templates"].values()}


def written(found, folder):
    """The tasks of an import, as read back from disk."""
    write_tasks(found.tasks, folder, origin="a test", check=TaskRenderer)
    entries = open_catalog([folder], collections=[]).entries
    return {task.spec.name: (task, entries[task.spec.name]) for task in found.tasks}


def test_every_imported_promptsource_template_reads_as_the_original(ferries, originals, tmp_path):
    theirs = Promptsource()
    compared = set()
    for task, entry in written(ferries, tmp_path).values():
        renderer = TaskRenderer(entry)
        for index, row in enumerate(ROWS):
            source = SourceRow(index=index, fields=clean_row(entry, row, where="the test"))
            fitting = renderer.applicable(source)
            for number, name in enumerate(task.templates):
                if index == 3 and "harbours" in originals[name]["jinja"] + str(originals[name].get("answer_choices")):
                    continue  # pipes in a list split the text there; see the test below
                parts = theirs.prompt(originals[name], row)
                if number not in fitting:
                    assert len(parts) != 2 or not all(parts), name
                    continue
                prompt = renderer.render(source, number)
                assert [prompt.input, prompt.target] == parts, name
                choices = theirs.choices(originals[name], row)
                if choices is not None and not entry.spec.templates[number].inverted:
                    assert list(prompt.answer.options) == choices, name
                    assert prompt.target == choices[prompt.answer.index], name
                compared.add(name)
    assert compared == {name for task in ferries.tasks for name in task.templates}


def test_pipes_in_a_list_of_the_row_stay_in_their_option(ferries, tmp_path):
    task, entry = next(
        (task, entry) for task, entry in written(ferries, tmp_path).values() if "where to" in task.templates
    )
    row = SourceRow(index=3, fields=clean_row(entry, ROWS[3] | {"goal": 1}, where="the test"))
    prompt = TaskRenderer(entry).render(row, task.templates.index("where to"))
    assert prompt.answer.options == ("Rost", "Vaeroy ||| or Bodo", "Moss")
    assert prompt.target == "Vaeroy ||| or Bodo"


def test_templates_of_one_question_make_one_task_with_options_in_their_own_words(ferries):
    tasks = {task.spec.name: task for task in ferries.tasks}
    labels = next(task for task in ferries.tasks if "good or bad" in task.templates)
    assert {"again", "list and blocks", "only the happy"} <= set(labels.templates)
    assert labels.spec.answer.field == "label"
    assert [template.options for template in labels.spec.templates][:3] == [None, ("No", "Yes"), ("unhappy", "happy")]
    captain = next(task for task in ferries.tasks if "captain" in task.templates)
    assert (captain.spec.is_classification, captain.spec.metrics) == (False, ("rouge",))
    assert labels.spec.metrics == ("accuracy",)
    assert all(task.spec.cluster == "sentiment" for task in tasks.values())
    assert min(tasks) == "ferries_reviews"


def test_a_target_that_is_more_than_a_field_is_trained_on_only(ferries):
    inverted = {
        name
        for task in ferries.tasks
        for name, t in zip(task.templates, task.spec.templates, strict=True)
        if t.inverted
    }
    assert inverted == {"a sentence", "raw"}


def test_what_cannot_be_imported_is_listed_with_its_reason(ferries):
    why = {one.what.partition("'")[2].removesuffix("'"): one.why for one in ferries.refused}
    assert why == {
        "by chance": "picks by chance, without a seed ('choice')",
        "no pipes": "has no '|||' between input and target",
        "too many pipes": "has more than one '|||'",
        "most frequent": "uses the filter 'most_frequent'",
        "zipped": "calls zip()",
        "macro": "uses {% macro %}",
        "broken": why["broken"],
        "times": "uses '*' on a text",
        "looped choices": "makes its answer choices in a loop or for some rows only",
        "hidden pipes": "has its '|||' inside an expression",
    }
    assert why["broken"].startswith("is not valid Jinja")


def test_assignments_cannot_grow_a_template_without_bound(tmp_path):
    doubled = "{% set a = text %}" + "{% set a = a ~ a %}" * 40 + "{{ a }} ||| {{ text }}"
    path = tmp_path / "templates.yaml"
    path.write_text(yaml.safe_dump({"dataset": "d", "templates": {"1": {"name": "n", "jinja": doubled}}}))
    found = import_promptsource(path, cluster=None)
    assert [one.why for one in found.refused] == ["grows too large when its assignments are put in"]


INSTRUCTIONS = {
    "Source": ["harbour_notes"],
    "Categories": ["Sentiment Analysis"],
    "Instance License": ["CC BY 4.0"],
    "Definition": ["Say whether the {{note}} is Glad or Sad."],
    "Positive Examples": [
        {"input": "Sun!", "output": "Glad", "explanation": "x"},
        {"input": "Rain.", "output": "Sad"},
        {"input": "Left out.", "output": "Sad"},
    ],
    "Negative Examples": [],
    "Instances": [
        {"id": f"t-{n}", "input": f"Note {n}: |||", "output": [" Glad " if n % 3 else "Sad"]} for n in range(400)
    ],
}


def instructions(tmp_path, **changes):
    path = tmp_path / "task007_Harbour-notes.json"
    path.write_text(json.dumps(INSTRUCTIONS | changes), encoding="utf-8")
    return path


def test_natural_instructions_become_a_task_with_its_rows(tmp_path):
    found = import_natural_instructions(instructions(tmp_path), cluster=None, limit=None)
    _, entry = written(found, tmp_path / "out")["task007_harbour_notes"]
    assert (entry.spec.cluster, entry.spec.licence, entry.spec.answer.options) == (
        "sentiment",
        "CC BY 4.0",
        ("Glad", "Sad"),
    )
    rows = {role: load_rows(entry, role) for role in ("train", "validation", "test")}
    assert [len(rows[role]) for role in rows] == [200, 100, 100]
    assert [row.index for row in rows["test"]] == list(range(100))
    renderer = TaskRenderer(entry)
    prompts = [renderer.render(rows["test"][0], number) for number in (0, 1)]
    definition = "Say whether the {{note}} is Glad or Sad."
    assert prompts[0].input == f"{definition}\n\nInput: Note 0: |||\nOutput:"
    examples = "Input: Sun!\nOutput: Glad\n\nInput: Rain.\nOutput: Sad\n\n"
    assert prompts[1].input == f"{definition}\n\n{examples}Input: Note 0: |||\nOutput:"
    assert [prompt.target for prompt in prompts] == ["Sad", "Sad"]


def test_answers_of_many_texts_are_generated_and_references_kept(tmp_path):
    free = [{"id": "a", "input": f"Question {n}", "output": [f"one {n}", "two"]} for n in range(12)]
    path = instructions(tmp_path, Instances=[*free, {"input": "", "output": "x"}, {"input": "y", "output": []}])
    found = import_natural_instructions(path, cluster="closed_book_qa", limit=10)
    task, entry = written(found, tmp_path / "out")["task007_harbour_notes"]
    assert (entry.spec.kind, entry.spec.cluster, len(task.rows)) == ("generation", "closed_book_qa", 10)
    assert task.notes == ("2 instances without input or output left out",)
    answer = TaskRenderer(entry).answer(load_rows(entry, "test")[0])
    assert answer.references == ("one 0", "two")


LM_ROWS = [
    {
        "question": " Which {{port}}? \n",
        "choices": {"text": [" Rost", "Moss", "Bodo "], "label": ["A", "B", "C"]},
        "answerKey": "B",
        "gold": 1,
        "hint": "none",
        "Best Answer": "Moss",
        "answer": "Moss",
        "right": "yes",
        "number": "2",
    }
]
LM_BASE = {"task": "Port-Quiz", "dataset_path": "sea/ports", "test_split": "test", "output_type": "multiple_choice"}
TEXTS = [
    "question",
    "Question: {{question.strip()}}\nAnswer:",
    "  {% if hint %}\n  Hint: {{hint}}\n  {% endif %}\n{{question}}\n"
    "{% for c in choices.text %}\n{{loop.index}}. {{c}}\n{% endfor %}\nAnswer:\n",
    '{% set letters = ["A", "B"] %}{{answer}}: {{letters[0]}} {{choices["text"] | join("/")}}',
]
TARGETS = [
    ({"doc_to_choice": "{{choices.text}}", "doc_to_target": "{{choices.label.index(answerKey)}}"}, 1),
    ({"doc_to_choice": "{{choices.text}}", "doc_to_target": "gold"}, 1),
    ({"doc_to_choice": "{{[choices.text[0], choices.text[1]]}}", "doc_to_target": "{{answer}}"}, 1),
    ({"doc_to_choice": ["no", "yes"], "doc_to_target": "right"}, 1),
    ({"doc_to_choice": ["A", "B", "C"], "doc_to_target": "{{number|int - 1}}"}, 1),
    ({"doc_to_choice": ["A", "B", "C"], "doc_to_target": "answerKey"}, 1),
    ({"doc_to_choice": {"a": "yes", "b": "no"}, "doc_to_target": "{{'no' if gold == 1 else 'yes'}}"}, 1),
    ({"doc_to_choice": "{{['x', 'y', 'z']}}", "doc_to_target": "{{['A', 'B', 'C'].index(answerKey)}}"}, 1),
    ({"doc_to_choice": "['x', 'y']", "doc_to_target": "{{ {'A': 0, 'B': 1}[answerKey] }}"}, 1),
]


def lm_task(tmp_path, **config):
    path = tmp_path / "port.yaml"
    path.write_text(yaml.safe_dump(LM_BASE | config), encoding="utf-8")
    return path


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("target", "index"), TARGETS)
def test_an_lm_eval_task_asks_the_same_with_the_same_choices(tmp_path, text, target, index):
    found = import_lm_eval(lm_task(tmp_path, doc_to_text=text, **target), cluster=None)
    assert not found.refused
    _, entry = written(found, tmp_path / "out")["port_quiz"]
    renderer = TaskRenderer(entry)
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    for number, row in enumerate(LM_ROWS):
        source = SourceRow(index=number, fields=clean_row(entry, row, where="the test"))
        prompt = renderer.render(source, 0)
        assert prompt.input == (row[text] if text in row else jinja.from_string(text).render(**row)).strip()
        assert prompt.answer.index == index
        said = target["doc_to_choice"]
        if isinstance(said, str):
            said = yaml.safe_load(jinja.from_string(said).render(**row))
        said = list(said.values()) if isinstance(said, dict) else said
        assert list(prompt.answer.options) == [choice.strip() for choice in said]


@pytest.mark.parametrize("text", TEXTS)
def test_lm_eval_itself_renders_the_same_text(tmp_path, text):
    utils = pytest.importorskip("lm_eval.utils")
    config = {"doc_to_text": text, "doc_to_choice": ["A", "B", "C"], "doc_to_target": "gold"}
    found = import_lm_eval(lm_task(tmp_path, description="Of {{hint}}:\n\n", **config), cluster=None)
    _, entry = written(found, tmp_path / "out")["port_quiz"]
    source = SourceRow(index=0, fields=clean_row(entry, LM_ROWS[0], where="the test"))
    body = LM_ROWS[0][text] if text in LM_ROWS[0] else utils.apply_template(text, LM_ROWS[0])
    whole = utils.apply_template("Of {{hint}}:\n\n", LM_ROWS[0]) + body
    assert TaskRenderer(entry).render(source, 0).input == whole.strip()


def test_a_generated_answer_a_column_with_a_space_and_what_is_left_out(tmp_path):
    config = {
        "output_type": "generate_until",
        "doc_to_text": "Q: {{question}}\nA:",
        "doc_to_target": "Best Answer",
        "target_delimiter": "",
        "filter_list": [],
        "dataset_path": "glue",
        "dataset_name": "rte",
        "training_split": "train",
        "metric_list": [{"metric": "exact_match"}, {"metric": "f1"}],
    }
    found = import_lm_eval(lm_task(tmp_path, **config), cluster="closed_book_qa")
    task, entry = written(found, tmp_path / "out")["port_quiz"]
    spec = entry.spec
    assert (spec.source.hub, spec.source.config, spec.metrics) == ("nyu-mll/glue", "rte", ("exact_match", "f1"))
    assert (spec.few_shot.before_target, spec.few_shot.between) == ("", "\n\n")
    assert (spec.evaluation_only, spec.splits) == (False, {"train": "train", "test": "test"})
    assert task.notes == ("not taken over: filter_list",)
    source = SourceRow(index=0, fields=clean_row(entry, LM_ROWS[0], where="the test"))
    assert TaskRenderer(entry).render(source, 0).target == "Moss"


def test_an_included_file_is_read_and_the_task_wins(tmp_path):
    (tmp_path / "quiz").mkdir()
    (tmp_path / "_shared").write_text(yaml.safe_dump(LM_BASE | {"doc_to_text": "shared", "doc_to_target": "gold"}))
    path = tmp_path / "quiz" / "port.yaml"
    path.write_text("include: ../_shared\ndoc_to_text: question\ndoc_to_choice: [a, b]\n")
    (task,) = import_lm_eval(path, cluster=None).tasks
    assert task.spec.templates[0].input == "{{question}}"
    assert task.spec.source.hub == "sea/ports"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("doc_to_text: !function utils.ask", "doc_to_text is Python: !function utils.ask"),
        ("process_docs: !function utils.clean", "process_docs is Python: !function utils.clean"),
        ("output_type: loglikelihood_rolling", "its output_type is loglikelihood_rolling"),
        ("use_prompt: 'promptsource:*'", r"its prompt is promptsource:\*; import the promptsource file"),
        ("doc_to_target: 0", "its doc_to_target is no column and no template"),
        ("doc_to_target: '{{gold | tojson}}'", "computes its doc_to_target"),
        ("doc_to_choice: '{{choices.text | sort}}'", "computes its doc_to_choice"),
        ("doc_to_text: ''", "its prompt is empty, or the same for every row"),
        ("test_split: null", "names no test_split"),
        ("task: [a, b]", "is a group of tasks"),
        ('doc_to_text: \'{{question | regex_replace("a", "b")}}\'', "uses the filter 'regex_replace'"),
        ("doc_to_text: '{{question.__class__}} {{ lipsum() }}'", "calls lipsum"),
    ],
)
def test_an_lm_eval_task_that_needs_more_is_refused_by_name(tmp_path, text, why):
    base = LM_BASE | {"doc_to_text": "question", "doc_to_choice": ["a", "b"], "doc_to_target": "gold"}
    (tmp_path / "base").write_text(yaml.safe_dump(base))
    path = tmp_path / "port.yaml"
    path.write_text(f"include: base\n{text}\n")
    found = import_lm_eval(path, cluster=None)
    assert not found.tasks
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(found.refused[0].why)


@pytest.mark.parametrize(
    ("include", "says"),
    [
        ("/etc/hostname", "name a file relative to this one"),
        ("../../../../elsewhere.yaml", "too far outside"),
        ("port.yaml", "includes itself"),
        ("missing.yaml", "no such lm-eval task file"),
    ],
)
def test_a_file_includes_only_what_lies_around_it(tmp_path, include, says):
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    (folder / "port.yaml").write_text(f"include: {include}\ntask: x\n")
    with pytest.raises(UserError, match=says):
        import_lm_eval(folder / "port.yaml", cluster=None)
