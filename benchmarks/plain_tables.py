"""Published datasets as an engineer would have them: plain tables, other names, shuffled columns, no schema.

Each `Dataset` says how its rows become flat, and what is true of it: which column answers, which ask, what kind of
task it is. `Disguise` draws how a table looks: names, order of columns and rows, labels as words or numbers, file
format.
"""

import csv
import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

NLI = ("natural_language_inference",)
PARAPHRASE = ("paraphrase",)
SENTIMENT = ("sentiment",)
READING = ("reading_comprehension", "reading_comprehension_with_commonsense")
QA = ("closed_book_qa",)
SUMMARY = ("summarization",)
STRUCT = ("struct_to_text",)
TRANSLATION = ("translation",)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset and what is true of it."""

    kinds: tuple[str, ...]
    """Names that are right for its kind."""
    clusters: tuple[str, ...] = ()
    """Clusters that are right; any where empty."""
    flat: Callable[[Row], Row] = dict
    """A row as a flat one; columns that are empty everywhere are left out later."""
    answer: tuple[str, ...]
    """Columns any of which is the answer."""
    asks: tuple[str, ...]
    """Columns that must stand in every template that asks; candidates stand there as options."""
    candidates: tuple[str, ...] = ()
    """Columns that hold the options, one each, or one that holds them all."""
    words: dict[Any, tuple[str, ...]] = field(default_factory=dict)
    """Label to its class's published name, and words that say the same."""
    names: dict[str, str] = field(default_factory=dict)
    """Another name for a column, as somebody else would have called it."""
    german: dict[str, str] = field(default_factory=dict)


def _arc(row: Row, question: str = "question") -> Row:
    texts = row["choices"]["text"]
    columns = {f"opt_{mark}": text for mark, text in zip("ABCDE", [*texts, *[""] * 5][:5], strict=True)}
    return {"id": row["id"], "question": row[question], **columns, "answerKey": _letter(row)}


def _letter(row: Row) -> str:
    return "ABCDE"[row["choices"]["label"].index(row["answerKey"])]


def _openbook(row: Row) -> Row:
    return {
        "id": row["id"],
        "question": row["question_stem"],
        "choices": row["choices"]["text"],
        "answerKey": row["answerKey"],
    }


def _cot(row: Row) -> Row:
    return {key: row[key] for key in ("question", "answer", "rationale")}


def _pair(first: str, second: str) -> Callable[[Row], Row]:
    return lambda row: {first: row["translation"][first], second: row["translation"][second]}


def _nli(words: dict[Any, tuple[str, ...]], first: str = "premise", second: str = "hypothesis") -> Dataset:
    return Dataset(
        kinds=("inference",),
        clusters=NLI,
        answer=("label",),
        asks=(first, second),
        words=words,
        names={first: "source_text", second: "statement", "label": "verdict", "idx": "nr"},
        german={first: "Quelle", second: "Behauptung", "label": "Urteil", "idx": "Nr"},
    )


def _translation(first: str, second: str, flat: Callable[[Row], Row] = dict) -> Dataset:
    return Dataset(
        kinds=("translation",),
        clusters=TRANSLATION,
        flat=flat,
        answer=(first, second),
        asks=(first, second),
        names={first: f"text_{first}", second: f"text_{second}"},
        german={first: "Satz", second: "Fassung"},
    )


def _one_text(text: str, words: dict[Any, tuple[str, ...]], clusters: tuple[str, ...], label: str = "label") -> Dataset:
    return Dataset(
        kinds=("classification",),
        clusters=clusters,
        answer=(label,),
        asks=(text,),
        words=words,
        names={text: "comment", label: "tag", "idx": "row"},
        german={text: "Beitrag", label: "Klasse", "idx": "Zeile"},
    )


def _cot_task(kinds: tuple[str, ...], clusters: tuple[str, ...] = ()) -> Dataset:
    return Dataset(
        kinds=kinds,
        clusters=clusters,
        flat=_cot,
        answer=("answer",),
        asks=("question",),
        names={"question": "prompt", "answer": "solution", "rationale": "explanation"},
        german={"question": "Frage", "answer": "Antwort", "rationale": "Erklaerung"},
    )


def _summary(long: str, short: str, flat: Callable[[Row], Row] = dict) -> Dataset:
    return Dataset(
        kinds=("summary",),
        clusters=SUMMARY,
        flat=flat,
        answer=(short,),
        asks=(long,),
        names={long: "full_text", short: "gist"},
        german={long: "Volltext", short: "Kurzfassung"},
    )


YES_NO = {0: ("no", "false"), 1: ("yes", "true")}
ENTAILMENT = ("entailment", "entailed", "follows", "yes", "true")
NEUTRAL = ("neutral", "maybe", "can't tell", "cannot be told", "unclear", "undetermined")
CONTRADICTION = ("contradiction", "contradicts", "no", "false")
ENC = {0: ENTAILMENT, 1: NEUTRAL, 2: CONTRADICTION}
NOT_ENTAILED = ("not_entailment", "does not follow", "no", "false")
POLAR = {0: ("negative", "bad", "no"), 1: ("positive", "good", "yes")}
BBH_CHOICE = [
    "date_understanding",
    "disambiguation_qa",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
]
FLORES = ("cs", "de", "es", "fi", "fr", "ro", "ru", "tr")
BBH_YES_NO = [
    "boolean_expressions",
    "causal_judgement",
    "formal_fallacies",
    "navigate",
    "sports_understanding",
    "web_of_lies",
]
BBH_TEXT = ["dyck_languages", "multistep_arithmetic_two", "object_counting", "word_sorting"]

DATASETS: dict[str, Dataset] = {
    "rte": _nli({0: ENTAILMENT, 1: NOT_ENTAILED}),
    "glue_mrpc": Dataset(
        kinds=("paraphrase",), clusters=PARAPHRASE, answer=("label",), asks=("sentence1", "sentence2"),
        words={0: ("not_equivalent", "no", "different"), 1: ("equivalent", "yes", "the same")},
        names={"sentence1": "wording_a", "sentence2": "wording_b", "label": "equal", "idx": "key"},
        german={"sentence1": "Satz_eins", "sentence2": "Satz_zwei", "label": "gleich", "idx": "Schluessel"},
    ),
    "sst2": _one_text("sentence", POLAR, SENTIMENT),
    "bool_q": Dataset(
        kinds=("passage_yes_no",), clusters=READING, answer=("label",), asks=("question", "passage"), words=YES_NO,
        names={"question": "asked", "passage": "background", "label": "reply", "idx": "n"},
        german={"question": "Anfrage", "passage": "Hintergrund", "label": "Entscheid", "idx": "Zeile"},
    ),
    "copa": Dataset(
        kinds=("multiple_choice", "continuation"), clusters=("commonsense",), answer=("label",),
        asks=("premise", "question"), candidates=("choice1", "choice2"),
        names={"premise": "event", "question": "relation", "choice1": "first", "choice2": "second", "label": "best",
               "idx": "num"},
        german={"premise": "Ereignis", "question": "Art", "choice1": "Eins", "choice2": "Zwei", "label": "Wahl",
                "idx": "Nummer"},
    ),
    "hellaswag": Dataset(
        kinds=("continuation", "multiple_choice"), clusters=("commonsense",),
        flat=lambda row: {"ind": row["ind"], "ctx": row["ctx"], "endings": row["endings"], "label": int(row["label"])},
        answer=("label",), asks=("ctx",), candidates=("endings",),
        names={"ctx": "beginning", "endings": "proposals", "label": "right_one", "ind": "ref"},
        german={"ctx": "Anfang", "endings": "Vorschlaege", "label": "Richtig", "ind": "Verweis"},
    ),
    "winogrande": Dataset(
        kinds=("pronoun",), clusters=("coreference",), answer=("answer",), asks=("sentence",),
        candidates=("option1", "option2"),
        names={"sentence": "line", "option1": "x", "option2": "y", "answer": "which"},
        german={"sentence": "Satz", "option1": "X", "option2": "Y", "answer": "Welches"},
    ),
    "arc_easy": Dataset(
        kinds=("multiple_choice",), clusters=QA, flat=_arc, answer=("answerKey",), asks=("question",),
        candidates=("opt_A", "opt_B", "opt_C", "opt_D", "opt_E"),
        names={"question": "item", "opt_A": "a1", "opt_B": "a2", "opt_C": "a3", "opt_D": "a4", "opt_E": "a5",
               "answerKey": "solution", "id": "code"},
        german={"question": "Aufgabe", "opt_A": "A", "opt_B": "B", "opt_C": "C", "opt_D": "D", "opt_E": "E",
                "answerKey": "Loesung", "id": "Kennung"},
    ),
    "cosmos_qa": Dataset(
        kinds=("passage_multiple_choice",), clusters=READING, answer=("label",), asks=("context", "question"),
        candidates=("answer0", "answer1", "answer2", "answer3"),
        names={"context": "narrative", "question": "query", "answer0": "w", "answer1": "x", "answer2": "y",
               "answer3": "z", "label": "gold", "id": "hit"},
        german={"context": "Erzaehlung", "question": "Frage", "answer0": "Antwort_a", "answer1": "Antwort_b",
                "answer2": "Antwort_c", "answer3": "Antwort_d", "label": "Richtig", "id": "Kennung"},
    ),
    "trivia_qa": Dataset(
        kinds=("question_answer",), clusters=QA,
        flat=lambda row: {"question_id": row["question_id"], "question": row["question"],
                          "value": row["answer"]["value"]},
        answer=("value",), asks=("question",),
        names={"question": "prompt", "value": "expected", "question_id": "uid"},
        german={"question": "Frage", "value": "Antwort", "question_id": "Kennung"},
    ),
    "common_gen": Dataset(
        kinds=("data_to_text",), clusters=STRUCT, answer=("target",), asks=("concepts",),
        names={"concepts": "keywords", "target": "sentence", "concept_set_idx": "set"},
        german={"concepts": "Stichworte", "target": "Satz", "concept_set_idx": "Gruppe"},
    ),
    "gigaword": _summary("document", "summary"),
    "multi30k_de": _translation("en", "de"),
    "stsb": Dataset(
        kinds=("similarity",), clusters=PARAPHRASE, answer=("label",), asks=("sentence1", "sentence2"),
        names={"sentence1": "left", "sentence2": "right", "label": "closeness", "idx": "no"},
        german={"sentence1": "links", "sentence2": "rechts", "label": "Naehe", "idx": "Nr"},
    ),
    "wic": Dataset(
        kinds=("word_sense",), clusters=("misc",), answer=("label",), asks=("word", "sentence1", "sentence2"),
        words={0: ("False", "no", "different meanings"), 1: ("True", "yes", "the same meaning")},
        names={"word": "term", "sentence1": "usage_a", "sentence2": "usage_b", "label": "same", "start1": "from_a",
               "end1": "to_a", "start2": "from_b", "end2": "to_b", "idx": "nr"},
        german={"word": "Wort", "sentence1": "Beleg_a", "sentence2": "Beleg_b", "label": "gleich", "start1": "von_a",
                "end1": "bis_a", "start2": "von_b", "end2": "bis_b", "idx": "Nr"},
    ),
    "tweet_eval_emotion": _one_text(
        "text", {0: ("anger",), 1: ("joy",), 2: ("optimism",), 3: ("sadness",)}, SENTIMENT
    ),
    # --- all others of the folder ---
    "aeslc": _summary("email_body", "subject_line"),
    "ag_news_subset": _one_text("text", {0: ("World",), 1: ("Sports",), 2: ("Business",), 3: ("Sci/Tech",)}, ()),
    "anli_r3": _nli(ENC),
    "arc_challenge": Dataset(
        kinds=("multiple_choice",), clusters=QA, flat=_arc, answer=("answerKey",), asks=("question",),
        candidates=("opt_A", "opt_B", "opt_C", "opt_D", "opt_E"),
        names={"question": "task", "opt_A": "one", "opt_B": "two", "opt_C": "three", "opt_D": "four", "opt_E": "five",
               "answerKey": "correct", "id": "code"},
    ),
    "cb": _nli({0: ENTAILMENT, 1: CONTRADICTION, 2: NEUTRAL}),
    "cnn_dailymail": _summary("article", "highlights"),
    "cola": _one_text("sentence", {0: ("unacceptable", "no"), 1: ("acceptable", "yes")}, ()),
    "dart": Dataset(
        kinds=("data_to_text",), clusters=STRUCT,
        flat=lambda row: {"tripleset": " ; ".join(" | ".join(triple) for triple in row["tripleset"]),
                          "text": row["annotations"]["text"][0]},
        answer=("text",), asks=("tripleset",), names={"tripleset": "facts", "text": "verbalised"},
    ),
    "drop": Dataset(
        kinds=("passage_question",), clusters=READING,
        flat=lambda row: {"section_id": row["section_id"], "passage": row["passage"], "question": row["question"],
                          "spans": row["answers_spans"]["spans"][0]},
        answer=("spans",), asks=("passage", "question"), names={"passage": "report", "spans": "found"},
    ),
    "flan_cot_aqua": _cot_task(("multiple_choice", "classification", "question_answer")),
    "flan_cot_creak": _cot_task(("question_yes_no", "classification")),
    "flan_cot_ecqa": _cot_task(("question_answer", "multiple_choice")),
    "flan_cot_gsm8k": _cot_task(("question_answer",)),
    "flan_cot_qasc": _cot_task(("multiple_choice", "classification", "question_answer")),
    "flan_cot_sensemaking": _cot_task(("classification", "multiple_choice", "question_answer")),
    "flan_cot_strategyqa": _cot_task(("question_yes_no", "classification")),
    **{f"flores_{one}_en": _translation(one, "en", _pair(one, "en")) for one in FLORES},
    "glue_qqp": Dataset(
        kinds=("paraphrase",), clusters=PARAPHRASE, answer=("label",), asks=("question1", "question2"),
        words={0: ("not_duplicate", "no", "different"), 1: ("duplicate", "yes", "the same")},
        names={"question1": "posted", "question2": "earlier", "label": "dup"},
    ),
    "gsm8k": Dataset(
        kinds=("question_answer",), clusters=(*QA, "misc"), answer=("answer",), asks=("question",),
        names={"question": "problem", "answer": "worked"},
    ),
    "imdb_reviews": _one_text("text", POLAR, SENTIMENT),
    "math_dataset": Dataset(
        kinds=("question_answer",), clusters=(*QA, "misc"), answer=("answer",), asks=("question",),
        names={"question": "exercise", "answer": "result"},
    ),
    "mnli_matched": _nli(ENC),
    "multi30k_cs": _translation("en", "cs"),
    "multi30k_fr": _translation("en", "fr"),
    "multi_news": _summary("document", "summary"),
    "multirc": Dataset(
        kinds=("answer_judgement",), clusters=READING, answer=("label",), asks=("paragraph", "question", "answer"),
        flat=lambda row: {key: row[key] for key in ("paragraph", "question", "answer", "label")}, words=YES_NO,
        names={"paragraph": "body", "question": "q", "answer": "proposal", "label": "ok"},
    ),
    "natural_questions": Dataset(
        kinds=("question_answer",), clusters=QA, answer=("answer",), asks=("question",),
        names={"question": "searched", "answer": "accepted"},
    ),
    "openbookqa": Dataset(
        kinds=("multiple_choice", "continuation"), clusters=(*QA, *READING), flat=_openbook,
        answer=("answerKey",), asks=("question",),
        candidates=("choices",), names={"question": "stem", "choices": "alternatives", "answerKey": "key"},
    ),
    "paws_wiki": Dataset(
        kinds=("paraphrase",), clusters=PARAPHRASE, answer=("label",), asks=("sentence1", "sentence2"),
        words={0: ("different", "no"), 1: ("paraphrase", "yes", "the same")},
        names={"sentence1": "version_1", "sentence2": "version_2", "label": "match"},
    ),
    "scan_simple": Dataset(
        kinds=("text_to_text", "rewriting", "data_to_text", "instruction"), answer=("actions",), asks=("commands",),
        names={"commands": "spoken", "actions": "moves"},
    ),
    "self_instruct": Dataset(
        kinds=("instruction", "text_to_text"), answer=("output",), asks=("instruction", "input"),
        names={"instruction": "request", "input": "material", "output": "response"},
    ),
    "sentiment140": _one_text("text", {0: ("negative",), 2: ("neutral",), 4: ("positive",)}, SENTIMENT, "sentiment"),
    "snli": _nli(ENC),
    "squad_v1": Dataset(
        kinds=("passage_question",), clusters=READING,
        flat=lambda row: {"id": row["id"], "title": row["title"], "context": row["context"],
                          "question": row["question"], "text": row["answers"]["text"][0]},
        answer=("text",), asks=("context", "question"), names={"context": "wiki", "question": "q", "text": "a"},
    ),
    "tweet_eval_irony": _one_text("text", {0: ("non_irony", "no"), 1: ("irony", "yes")}, ()),
    "tweet_eval_offensive": _one_text("text", {0: ("non-offensive", "no"), 1: ("offensive", "yes")}, ()),
    "web_nlg_en": Dataset(
        kinds=("data_to_text",), clusters=STRUCT,
        flat=lambda row: {"category": row["category"], "size": row["size"], "eid": row["eid"],
                          "triples": row["modified_triple_sets"]["mtriple_set"][0], "text": row["lex"]["text"][0]},
        answer=("text",), asks=("triples",), names={"triples": "facts", "text": "verbalised"},
    ),
    "wnli": _nli({0: NOT_ENTAILED, 1: ENTAILMENT}, "sentence1", "sentence2"),
    "wsc": Dataset(
        kinds=("pronoun",), clusters=("coreference",), answer=("label",), asks=("text", "span1_text", "span2_text"),
        words=YES_NO, names={"text": "line", "span1_text": "thing", "span2_text": "pro", "label": "same"},
    ),
    "wsc273": Dataset(
        kinds=("pronoun",), clusters=("coreference",), answer=("label",), asks=("text", "pronoun"),
        flat=lambda row: {key: row[key] for key in ("text", "pronoun", "options", "label")},
        candidates=("options",), names={"text": "sentence", "pronoun": "pro", "options": "cands", "label": "pick"},
    ),
    "xsum": _summary("document", "summary"),
    "yelp_polarity_reviews": _one_text("text", POLAR, SENTIMENT),
    "yelp_review_full": Dataset(
        kinds=("rating", "classification"), clusters=SENTIMENT, answer=("label",), asks=("text",),
        names={"text": "review", "label": "stars"},
    ),
    **{f"bbh_{name}": Dataset(kinds=("classification", "question_answer", "multiple_choice"), answer=("target",),
                              asks=("input",)) for name in BBH_CHOICE},
    **{f"bbh_{name}": Dataset(kinds=("classification", "question_answer", "question_yes_no"), answer=("target",),
                              asks=("input",)) for name in BBH_YES_NO},
    **{f"bbh_{name}": Dataset(kinds=("question_answer", "text_to_text", "rewriting", "classification", "rating"),
                              answer=("target",), asks=("input",)) for name in BBH_TEXT},
}  # fmt: skip
"""Sixteen that the bar is about, then all others of the folder but two of fewer than forty rows."""

SIXTEEN = tuple(DATASETS)[:16]

MISLEADING = [
    "label",
    "text",
    "answer",
    "question",
    "id",
    "target",
    "summary",
    "context",
    "notes",
    "score",
    "choice",
    "premise",
    "hypothesis",
    "title",
    "input",
    "output",
    "comment",
    "option",
    "language",
    "entity",
]

ROLES = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Disguise:
    """How a table looks."""

    names: str = "other"
    """`other`, `neutral` (col_a …), `misleading`, `german`, `own` (the dataset's)."""
    labels: str = "as is"
    """`as is`, or `words` where the published classes have names."""
    format: str = "csv"
    lists: str = "json"
    """How a list stands in a cell: `json`, `repr` or `bars`."""
    files: str = "one"
    """`one`, or `roles`: train, validation and test files."""
    rows: int = 3_400
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that was written, and which column is which."""

    name: str
    truth: Dataset
    files: tuple[Path, ...]
    renamed: dict[str, str]
    """The dataset's column to the table's."""
    rows: int
    worded: bool
    """Whether labels are words."""

    def columns(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """What some columns of the dataset are called in the table."""
        return tuple(self.renamed[name] for name in names if name in self.renamed)


def real_rows(data: Path, name: str) -> dict[str, list[Row]]:
    """A dataset's rows by role, unlabelled test rows left out."""
    by_role: dict[str, list[Row]] = {}
    for role in ROLES:
        path = data / name / f"{role}.jsonl.gz"
        if path.exists():
            with gzip.open(path, "rt", encoding="utf-8") as file:
                rows = [json.loads(line) for line in file]
            valid = [row for row in rows if row.get("label") != -1]
            if valid:
                by_role[role] = valid
    return by_role


def write_table(data: Path, name: str, folder: Path, disguise: Disguise) -> Table:
    """Write a dataset as a plain table."""
    truth, draw = DATASETS[name], random.Random(f"{name} {disguise}")
    by_role = {role: [truth.flat(row) for row in rows] for role, rows in real_rows(data, name).items()}
    every = [row for rows in by_role.values() for row in rows]
    columns = [key for key in every[0] if any(row.get(key) not in ("", None, [], {}) for row in every)]
    columns = [key for key in columns if not any(isinstance(row.get(key), dict) for row in every)]
    draw.shuffle(columns)
    renamed = dict(zip(columns, _names(columns, truth, disguise, draw), strict=True))
    words = {key: names[0] for key, names in truth.words.items()} if disguise.labels == "words" else {}
    label = truth.answer[0]

    def plain(row: Row) -> Row:
        row = {**row, label: words.get(row[label], row[label])} if words else row
        return {renamed[key]: row.get(key) for key in columns}

    if disguise.files == "one":
        draw.shuffle(every)
        by_role = {"": every[: disguise.rows]}
    files = []
    for role, rows in by_role.items():
        stem = name if not role else f"{name}_{role}"
        files.append(_write(folder / f"{stem}.{disguise.format}", [plain(row) for row in rows], disguise))
    rows = sum(map(len, by_role.values()))
    return Table(name=name, truth=truth, files=tuple(files), renamed=renamed, rows=rows, worded=bool(words))


def _names(columns: list[str], truth: Dataset, disguise: Disguise, draw: random.Random) -> Iterator[str]:
    if disguise.names == "neutral":
        return iter([f"col_{chr(ord('a') + place)}" for place in range(len(columns))])
    if disguise.names == "misleading":
        return iter(draw.sample(MISLEADING, len(columns)))
    names = {"other": truth.names, "german": truth.german, "own": {}}[disguise.names]
    return iter([names.get(key, key) for key in columns])


def _write(path: Path, rows: list[Row], disguise: Disguise) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if disguise.format in ("csv", "tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="," if disguise.format == "csv" else "\t")
            writer.writeheader()
            writer.writerows({key: _cell(value, disguise.lists) for key, value in row.items()} for row in rows)
    elif disguise.format == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif disguise.format == "json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    elif disguise.format in ("parquet", "xlsx"):
        import pandas as pd

        cells = [{k: _cell(v, disguise.lists) if disguise.format == "xlsx" else v for k, v in r.items()} for r in rows]
        frame = pd.DataFrame(cells)
        frame.to_parquet(path) if disguise.format == "parquet" else frame.to_excel(path, index=False)
    return path


def _cell(value: Any, lists: str) -> Any:
    if not isinstance(value, list):
        return value
    return {"json": json.dumps(value, ensure_ascii=False), "repr": repr(value), "bars": " | ".join(value)}[lists]
