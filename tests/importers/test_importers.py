"""What others wrote reads here as it reads there, or is refused with a reason."""

import json
import time
from pathlib import Path

import jinja2
import pytest
import yaml

from openflan.errors import UserError
from openflan.importers.lm_eval import import_lm_eval
from openflan.importers.natural_instructions import import_natural_instructions, official_parts
from openflan.importers.promptsource import import_promptsource
from openflan.importers.reading import import_files
from openflan.importers.written import write_tasks
from openflan.prompts.render import TaskRenderer
from openflan.prompts.whole import draws
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.cleaning import RowCleaner
from openflan.tasks.sources import SourceRow, load_rows

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
        self.jinja.globals.update(zip=zip)
        self.jinja.filters["choice"] = jinja2.pass_context(lambda _context, items: items[self.draw(len(items))])
        self.jinja.filters["most_frequent"] = self._most_frequent
        self.draw = None

    @staticmethod
    def _most_frequent(items):
        most = max(map(items.count, items))
        return [item for item in dict.fromkeys(items) if items.count(item) == most]

    def _render(self, text, row):
        shielded = {key: v.replace("|||", "\0") if isinstance(v, str) else v for key, v in row.items()}
        rendered = self.jinja.from_string(text).render(**shielded)
        return [part.replace("\0", "|||").strip() for part in rendered.split("|||")]

    def choices(self, template, row):
        choices = template.get("answer_choices")
        return choices if choices is None or isinstance(choices, list) else self._render(choices, row)

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


def written(outcome, folder):
    """The tasks of an import, as read back from disk."""
    write_tasks(outcome.tasks, folder, origin="a test", check=TaskRenderer)
    entries = open_catalog([folder], collections=[]).entries
    return {task.spec.name: (task, entries[task.spec.name]) for task in outcome.tasks}


def test_every_imported_promptsource_template_reads_as_the_original(ferries, originals, tmp_path):
    theirs = Promptsource()
    compared = set()
    for task, entry in written(ferries, tmp_path).values():
        renderer = TaskRenderer(entry)
        for index, row in enumerate(ROWS):
            source = SourceRow(index=index, fields=RowCleaner(entry).clean(row, where="the test"))
            fitting = renderer.applicable(source)
            for number, name in enumerate(task.templates):
                if index == 3 and "harbours" in originals[name]["jinja"] + str(originals[name].get("answer_choices")):
                    continue  # pipes in a list split the text there; see the test below
                theirs.draw = draws(entry.spec.name, index, number)
                parts = theirs.prompt(originals[name], row)
                if number not in fitting:
                    assert len(parts) != 2 or not all(parts), name
                    continue
                prompt = renderer.render(source, number)
                assert [prompt.input, prompt.target] == parts, name
                choices = theirs.choices(originals[name], row)
                if choices is not None and entry.spec.is_classification and not entry.spec.templates[number].inverted:
                    assert list(prompt.answer.options) == choices, name
                    assert prompt.target == choices[prompt.answer.index], name
                compared.add(name)
    never = {"hidden pipes"}  # three parts on every row: no target, there and here
    assert compared == {name for task in ferries.tasks for name in task.templates} - never


def test_pipes_in_a_list_of_the_row_stay_in_their_option(ferries, tmp_path):
    task, entry = next(
        (task, entry) for task, entry in written(ferries, tmp_path).values() if "where to" in task.templates
    )
    row = SourceRow(index=3, fields=RowCleaner(entry).clean(ROWS[3] | {"goal": 1}, where="the test"))
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
        "no pipes": "has no '|||' between input and target",
        "too many pipes": "has more than one '|||'",
        "macro": "uses macro",
        "broken": why["broken"],
    }
    assert why["broken"].startswith("is no template")


def only(tmp_path, jinja, **row):
    """The prompt of a row under one template that is rendered whole."""
    path = tmp_path / "templates.yaml"
    path.write_text(yaml.safe_dump({"dataset": "d", "templates": {"1": {"name": "n", "jinja": jinja}}}))
    outcome = import_promptsource(path, cluster=None)
    assert not outcome.refused
    (task,) = outcome.tasks
    entry = Entry(spec=task.spec, path=path, collection="mine")
    return TaskRenderer(entry).render(SourceRow(index=0, fields=row), 0)


@pytest.mark.parametrize(
    "jinja",
    [
        "{% set a = text %}" + "{% set a = a ~ a %}" * 40 + "{{ a }} ||| {{ text | upper }}!",
        "{% set a = [text] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }} ||| {{ text }}!",
        "{% set a = [text] %}{% for i in range(60) %}{% set _ = a.append([a, a]) %}{% endfor %}{{ a }} ||| {{ text }}!",
        "{% set a = [text] %}{% for i in range(60) %}{% set _ = a.extend(a) %}{% endfor %}{{ a }} ||| {{ text }}!",
        "{{ text * 1000000 }} ||| {{ text }}!",
    ],
    ids=["texts", "lists in lists", "a list in itself", "a list by itself", "times"],
)
def test_a_whole_template_cannot_grow_without_bound(tmp_path, jinja):
    began = time.process_time()
    with pytest.raises(UserError, match=r"over|deep"):
        only(tmp_path, jinja, text="ab")
    assert time.process_time() - began < 5


def test_a_whole_template_stores_in_a_copy_of_the_row(tmp_path):
    row = {"text": "sea", "seen": ["gull"]}
    build = "{% set names = [] %}{% for one in seen %}{% set _ = names.append(one ~ '!') %}{% endfor %}"
    prompt = only(tmp_path, build + "{% set _ = seen.append('x') %}{{ names | join }} ||| {{ seen | length }}", **row)
    assert (prompt.input, prompt.target) == ("gull!", "2")
    assert row["seen"] == ["gull"]


def test_a_null_is_an_error_of_its_row_and_not_a_word(tmp_path):
    with pytest.raises(UserError, match=r"row 1.*null"):
        only(tmp_path, "{{ ['so', 'thus'] | choice }} {{ text }} ||| {{ other }}.", text=None, other="x")


def test_chance_is_the_same_at_every_call_and_differs_from_row_to_row(ferries):
    task = next(task for task in ferries.tasks if "by chance" in task.templates)
    entry, number = Entry(spec=task.spec, path=Path("t.yaml"), collection="mine"), task.templates.index("by chance")
    rows = [SourceRow(index=index, fields=ROWS[0]) for index in range(20)]
    first, second = ([TaskRenderer(entry).render(row, number).input for row in rows] for _ in range(2))
    assert first == second
    assert {text[:2] for text in first} == {"Hi", "Ho"}


def test_a_printed_number_among_numbers_is_its_own_word_and_no_place(tmp_path):
    path = tmp_path / "templates.yaml"
    template = {"name": "n", "answer_choices": "1 ||| 2 ||| 3", "jinja": "{{text}} Stars? ||| {{stars}}"}
    path.write_text(yaml.safe_dump({"dataset": "d", "templates": {"1": template}}))
    (task,) = import_promptsource(path, cluster=None).tasks
    renderer = TaskRenderer(Entry(spec=task.spec, path=path, collection="mine"))
    targets = [renderer.render(SourceRow(index=n, fields={"text": "t", "stars": n}), 0).target for n in (1, 2, 3)]
    assert targets == ["1", "2", "3"]


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
    outcome = import_natural_instructions(instructions(tmp_path), cluster=None, limit=None)
    _, entry = written(outcome, tmp_path / "out")["task007_harbour_notes"]
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
    outcome = import_natural_instructions(path, cluster="closed_book_qa", limit=10)
    task, entry = written(outcome, tmp_path / "out")["task007_harbour_notes"]
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
    outcome = import_lm_eval(lm_task(tmp_path, doc_to_text=text, **target), cluster=None)
    assert not outcome.refused
    _, entry = written(outcome, tmp_path / "out")["port_quiz"]
    renderer = TaskRenderer(entry)
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    for number, row in enumerate(LM_ROWS):
        source = SourceRow(index=number, fields=RowCleaner(entry).clean(row, where="the test"))
        prompt = renderer.render(source, 0)
        assert prompt.input == (row[text] if text in row else jinja.from_string(text).render(**row)).strip()
        assert prompt.answer.index == index
        choices = target["doc_to_choice"]
        if isinstance(choices, str):
            choices = yaml.safe_load(jinja.from_string(choices).render(**row))
        choices = list(choices.values()) if isinstance(choices, dict) else choices
        assert list(prompt.answer.options) == [choice.strip() for choice in choices]


@pytest.mark.parametrize("text", TEXTS)
def test_lm_eval_itself_renders_the_same_text(tmp_path, text):
    utils = pytest.importorskip("lm_eval.utils")
    config = {"doc_to_text": text, "doc_to_choice": ["A", "B", "C"], "doc_to_target": "gold"}
    outcome = import_lm_eval(lm_task(tmp_path, description="Of {{hint}}:\n\n", **config), cluster=None)
    _, entry = written(outcome, tmp_path / "out")["port_quiz"]
    source = SourceRow(index=0, fields=RowCleaner(entry).clean(LM_ROWS[0], where="the test"))
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
    outcome = import_lm_eval(lm_task(tmp_path, **config), cluster="closed_book_qa")
    task, entry = written(outcome, tmp_path / "out")["port_quiz"]
    spec = entry.spec
    assert (spec.source.hub, spec.source.config, spec.metrics) == ("nyu-mll/glue", "rte", ("exact_match", "f1"))
    assert (spec.few_shot.before_target, spec.few_shot.between) == ("", "\n\n")
    assert (spec.evaluation_only, spec.splits) == (False, {"train": "train", "test": "test"})
    assert task.notes == ("not taken over: filter_list",)
    source = SourceRow(index=0, fields=RowCleaner(entry).clean(LM_ROWS[0], where="the test"))
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
        ("doc_to_target: [0, 1]", "its doc_to_target is no column and no template"),
        ("doc_to_target: '{{gold | tojson}}'", "No filter named 'tojson'"),
        ("doc_to_text: 3", "doc_to_text is no text"),
        ("doc_to_text: ''", "its prompt is empty, or the same for every row"),
        ("test_split: null", "names no test_split"),
        ("task: [a, b]", "is a group of tasks"),
        ('doc_to_text: \'{{question | regex_replace("a", "b")}}\'', "No filter named 'regex_replace'"),
        ("doc_to_text: '{{question.__class__}} {{ lipsum() }}'", "calls lipsum"),
    ],
)
def test_an_lm_eval_task_that_needs_more_is_refused_by_name(tmp_path, text, why):
    base = LM_BASE | {"doc_to_text": "question", "doc_to_choice": ["a", "b"], "doc_to_target": "gold"}
    (tmp_path / "base").write_text(yaml.safe_dump(base))
    path = tmp_path / "port.yaml"
    path.write_text(f"include: base\n{text}\n")
    outcome = import_lm_eval(path, cluster=None)
    assert not outcome.tasks
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(outcome.refused[0].why)


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


@pytest.mark.parametrize(
    ("config", "target"),
    [
        ({"doc_to_target": 0, "doc_to_choice": ["x", "y"]}, "x"),
        ({"doc_to_target": "{{ 1 if question | length > 3 else 0 }}", "doc_to_choice": ["x", "y"]}, "y"),
        ({"doc_to_target": "{{ ['y', 'x'][0] ~ '' }}", "doc_to_choice": ["x", "y"]}, "y"),
        ({"doc_to_target": 1, "doc_to_choice": "{{ [question | upper, question | lower] }}"}, None),
    ],
)
def test_a_computed_lm_eval_target_is_rendered_whole(tmp_path, config, target):
    outcome = import_lm_eval(lm_task(tmp_path, doc_to_text="Q: {{question}}", **config), cluster=None)
    _, entry = written(outcome, tmp_path / "out")["port_quiz"]
    row = SourceRow(index=0, fields=LM_ROWS[0])
    prompt = TaskRenderer(entry).render(row, 0)
    assert prompt.input == f"Q: {LM_ROWS[0]['question']}".strip()
    assert prompt.target == (target or LM_ROWS[0]["question"].lower().strip())
    assert prompt.answer.options[prompt.answer.index] == prompt.target


def test_numbers_are_answers_too(tmp_path):
    rows = [{"id": n, "input": n, "output": n % 7} for n in range(50)]
    outcome = import_natural_instructions(instructions(tmp_path, Instances=rows), cluster=None)
    (task,) = outcome.tasks
    assert [row["output"] for row in task.rows[:3]] == [["0"], ["1"], ["2"]]
    assert task.spec.answer.options == tuple("0123456")


def test_fewer_rows_are_taken_from_all_over_a_sorted_file_and_a_class_without_training_is_named(tmp_path):
    rows = [{"input": f"note {n}", "output": ["Glad" if n < 150 else "Sad"]} for n in range(300)]
    (task,) = import_natural_instructions(instructions(tmp_path, Instances=rows), cluster=None, limit=100).tasks
    assert task.spec.answer.options == ("Glad", "Sad")
    training = {row["output"][0] for row in task.rows[50:]}
    assert training == {"Glad", "Sad"}
    (whole,) = import_natural_instructions(instructions(tmp_path, Instances=rows), cluster=None).tasks
    assert any("none has the answer Glad" in note for note in whole.notes)


def test_the_benchmarks_own_split_says_what_is_tuned_on(tmp_path):
    for part, names in {"train": "", "test": "task007_Harbour-notes\n", "excluded": ""}.items():
        (tmp_path / f"{part}_tasks.txt").write_text(names)
    parts = official_parts(tmp_path)
    (task,) = import_natural_instructions(instructions(tmp_path), cluster=None, parts=parts).tasks
    assert task.spec.evaluation_only
    other = tmp_path / "task008_other.json"
    other.write_text(json.dumps(INSTRUCTIONS))
    outcome = import_natural_instructions(other, cluster=None, parts=parts)
    assert [one.why for one in outcome.refused] == ["the benchmark's split excludes it"]


def test_a_folder_is_read_whole_and_its_faults_are_listed(tmp_path):
    folder = tmp_path / "tasks"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "task1_a.json").write_text(json.dumps(INSTRUCTIONS))
    (folder / "task1_a.json").write_text(json.dumps(INSTRUCTIONS))
    (folder / "broken.json").write_text("{")
    seen = []
    outcome = import_files("natural-instructions", [folder], progress=lambda *at: seen.append(at))
    assert [task.spec.name for task in outcome.tasks] == ["task1_a"]
    assert sorted(one.why.partition(":")[0] for one in outcome.refused) == [
        "another file makes a task 'task1_a' already",
        "not valid JSON",
    ]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(UserError, match=r"no templates\.yaml"):
        import_files("promptsource", [folder])
