"""An answer is told from another and from nothing, on any script, and on English as the field's own scorers do."""

import random

import published_scorers as published
import pytest

from openflan.evaluation.metrics import METRICS, metric_signature
from openflan.tasks.catalog import open_catalog
from openflan.tasks.normal_forms import NORMAL_FORMS, fitting_metrics, what_is_lost

EXACT = [name for name in METRICS if name.startswith("exact_match")]
F1 = [name for name in METRICS if name.startswith("f1")]
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


# --- an answer and nothing


@every_metric
def test_nothing_is_never_right(metric):
    for reference in (") ] }", "(A)", "A", "the", "-", "...", "½", "Ada", "", " "):
        scores = {nothing: metric(nothing, [reference]) for nothing in ("", "  ", "\n\t")}
        assert not any(scores.values()), (reference, scores)


@pytest.mark.parametrize("name", [*EXACT, *F1, "edit_distance"])
def test_whatever_is_the_answer_is_right(name):
    for text in (") ] }", "(A)", "A", "a", "the", "The", "...", "½", "+", "><", "C++", "_", "—"):
        assert METRICS[name](text, ["another", text]) == 1, text
        assert METRICS[name](f" {text}\n", [text]) == 1, text


@pytest.mark.parametrize("name", [*EXACT, *F1])
def test_two_texts_of_which_an_english_form_leaves_nothing_are_not_equal(name):
    for answer, reference in (("the", "A"), ("a", "an"), (")", "]"), ("...", "!"), ("(", ""), ("+", "-")):
        assert METRICS[name](answer, [reference]) < 1, (answer, reference)


# --- as written


DIFFERENT = [
    ("5", "-5"),
    ("5", "+5"),
    ("15", "1.5"),
    ("1000", "1,000"),
    ("12", "1/2"),
    ("½", "1/2"),
    ("2", "²"),
    ("5", "\uff15"),
    ("A", "(A)"),
    ("A", "a"),
    ("A.", "A"),
    ("x<y", "x>y"),
    ("C++", "C#"),
    ("C", "C++"),
    ("] ) }", ") ] }"),
    ("True", "true"),
    ("the cat", "cat"),
    ("كَتَبَ", "كتب"),
    ("Straße", "Strasse"),
    ("a b", "a  b"),
    ("-5", "\u22125"),
]


@pytest.mark.parametrize(("answer", "reference"), DIFFERENT)
def test_exact_match_counts_every_character(answer, reference):
    assert METRICS["exact_match"](answer, [reference]) == 0
    assert METRICS["exact_match"](reference, [answer]) == 0


@pytest.mark.parametrize(("answer", "reference"), [("  -5\n", "-5"), ("Cafe\u0301", "Café"), ("\u00a0x ", "x")])
def test_exact_match_passes_over_outer_blanks_and_how_an_accent_is_stored(answer, reference):
    assert METRICS["exact_match"](answer, [reference]) == 1


@pytest.mark.parametrize(
    "name",
    [
        "math_dataset",
        "lambada",
        "bbh_dyck_languages",
        "bbh_multistep_arithmetic_two",
        "bbh_date_understanding",
        "flan_cot_gsm8k",
        "flan_cot_aqua",
    ],
)
def test_where_signs_letters_and_brackets_are_the_answer_they_count(name):
    from openflan.tasks.bbh import bbh_entry

    spec = bbh_entry(name).spec if name.startswith("bbh_") else open_catalog().entries[name].spec
    assert spec.metrics == ("exact_match",)


@pytest.mark.parametrize("name", ["f1", "f1_drop", "exact_match_drop"])
@pytest.mark.parametrize(("answer", "reference"), [("5", "-5"), ("15", "1.5"), ("2", "-2 degrees"), ("25", "2.5")])
def test_where_numbers_are_asked_for_sign_and_point_count(name, answer, reference):
    assert METRICS[name](answer, [reference]) == 0


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [
        ("The cat.", "the cat", 1),
        ("“Yes”, he said", "yes he said", 1),
        ("1,000 men", "1000 men", 1),
        ("(-5)", "-5", 1),
        ("1990-95", "199095", 0),
        ("C++", "C#", 0),
        ("x<y", "x>y", 0),
        ("red cat", "the red cat", 0.8),
        ("\u22125", "-5", 1),
    ],
)
def test_f1_of_words_passes_over_case_and_the_marks_of_sentences(answer, reference, value):
    assert METRICS["f1"](answer, [reference]) == pytest.approx(value)


# --- any script


SENTENCES = {
    "Arabic": ("القطة تنام على السجادة الحمراء", "الكلب يركض في الحديقة الكبيرة"),
    "Russian": ("Кошка спит на красном ковре", "Собака бежит через большой парк"),
    "Greek": ("Η γάτα κοιμάται στο κόκκινο χαλί", "Ο σκύλος τρέχει μέσα από πάρκο"),
    "Hindi": ("पूर्व प्रधानमन्त्री की हत्या", "बच्चे स्कूल जाते हैं"),
    "Korean": ("고양이가 빨간 양탄자에서 잔다", "개는 큰 공원을 달린다"),
    "Hebrew": ("החתול ישן על השטיח האדום", "הכלב רץ בפארק גדול"),
    "Chinese": ("猫睡在红色的地毯上", "狗跑过大公园"),
    "Japanese": ("ねこは赤いじゅうたんで寝る", "イヌが公園を走った"),
    "Thai": ("แมวนอนบนพรมสีแดง", "หมูวิ่งใกล้ๆ"),
    "Khmer": ("ឆ្មាដេកលើព្រំក្រហម", "តើ"),
    "Lao": ("ແມວນອນຢູ່ພົມແດງ", "ໂຕ"),
    "Burmese": ("ကြောင်သည်ကော်ဇောနီ", "ဘူး"),
    "Vietnamese": ("Ở đó có nước đá", "Ấy ừ"),
}
NO_BLANKS = ["Chinese", "Japanese", "Thai", "Khmer", "Lao", "Burmese"]
WORDS = [*F1, "rouge"]


@pytest.mark.parametrize("language", SENTENCES)
def test_the_right_answer_is_right_in_every_script(language):
    right, other = SENTENCES[language]
    for name in (*EXACT, *WORDS):
        assert METRICS[name](right, [right]) == 1, name
        assert METRICS[name](other, [right]) < 0.5, name


@pytest.mark.parametrize("language", sorted(set(SENTENCES) - {"Vietnamese"}))
def test_part_of_the_answer_is_partly_right_in_every_script(language):
    right, _ = SENTENCES[language]
    pieces = right.split() if language not in NO_BLANKS else list(right)
    half = (" " if language not in NO_BLANKS else "").join(pieces[: (len(pieces) + 1) // 2])
    for name in WORDS:
        assert 0.5 < METRICS[name](half, [right]) < 1, name


@pytest.mark.parametrize("name", ["exact_match_squad", "f1_squad", "f1", "rouge"])
@pytest.mark.parametrize(
    ("answer", "reference"),
    [("猫睡在地毯上。", "猫睡在地毯上"), ("«Кошка спит.»", "Кошка спит"), ("القطة تنام؟", "القطة تنام")],
)
def test_the_marks_of_other_scripts_are_no_words(name, answer, reference):
    assert METRICS[name](answer, [reference]) == 1


# --- English as the field's own scorers


WORDS_OF_ENGLISH = """
the a an The An cat cats running quickly runner U.S. u.s.a. well-known it's Ada's $5 1,000 3.5 -7 1990 50% (CNN)
“quoted” don't and/or café naïve Beyoncé — – ... Smith, Jones; yes! no? 3rd a.m. [sic] x_y `code` ´ ‘single’ AT&T of
"""


def english(seed):
    chance = random.Random(seed)
    text = [chance.choice(WORDS_OF_ENGLISH.split()) for _ in range(chance.randint(3, 14))]
    changed = [word for word in text if chance.random() > 0.3] or text[:1]
    chance.shuffle(changed)
    return " ".join([*text, "stands", "there"]), " ".join([*changed, "stands"])


@pytest.fixture(scope="module")
def pairs(real_rows):
    """English answers and references: made up, and where real rows are at hand, of those."""
    result = [english(seed) for seed in range(400)]
    if real_rows is None:
        return result
    from openflan.tasks.sources import load_rows

    entries = open_catalog(collections=["catalog"]).entries
    for name, field in (("squad_v1", "context"), ("xsum", "document"), ("aeslc", "email_body"), ("dart", None)):
        rows = load_rows(entries[name], "test", data=real_rows, limit=60)
        texts = [row.fields[field] if field else row.fields["annotations"]["text"][0] for row in rows]
        sentences = [text[:200] for text in texts if len(text) > 30]
        result += list(zip(sentences, [*sentences[1:], sentences[0]], strict=True))
        result += [(text[:90], text[20:110]) for text in sentences]
    return result


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("exact_match_squad", published.exact(published.squad_form)),
        ("exact_match_trivia", published.exact(published.trivia_form)),
        ("exact_match_drop", published.exact(published.drop_form)),
        ("f1_squad", published.words_f1(published.squad_form)),
        ("f1_trivia", published.words_f1(published.trivia_form)),
        ("f1_drop", published.drop_f1),
    ],
)
def test_english_is_scored_as_the_datas_own_scorer_does_to_the_last_digit(pairs, name, own):
    signed = name.endswith("drop")  # DROP's scorer takes a sign for a hyphen
    tried = [pair for pair in pairs if not (signed and any(" -" in f" {text}" for text in pair))]
    assert len(tried) > 200
    for answer, reference in [*tried, *((one, one) for one, _ in tried[:50])]:
        assert METRICS[name](answer, [reference]) == own(answer, [reference])
        assert METRICS[name](answer, [reference, "something else"]) == own(answer, [reference, "something else"])


def test_english_is_scored_as_rouge_score_does_to_the_last_digit(pairs):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    for answer, reference in pairs:
        own = scorer.score(reference, answer)
        assert METRICS["rouge"](answer, [reference]) == (own["rouge1"].fmeasure + own["rougeL"].fmeasure) / 2


GOLDEN = [
    ("The Eiffel Tower.", "eiffel tower", {"exact_match_squad": 1, "f1_squad": 1, "exact_match_trivia": 1}),
    ("U.S.A.", "USA", {"exact_match_squad": 1, "exact_match_trivia": 0, "f1_trivia": 0}),
    ("rock'n'roll", "rock n roll", {"exact_match_squad": 0, "exact_match_trivia": 1}),
    ("red cat sleeps", "red cat", {"f1_squad": 0.8, "f1_trivia": 0.8, "f1_drop": 0.8}),
    ("5 yards", "5", {"exact_match_drop": 0, "f1_drop": 0.67}),
    ("5.0", "5", {"exact_match_drop": 1, "exact_match_squad": 0}),
    ("6 yards", "5 yards", {"f1_drop": 0, "f1_squad": 0.5}),
    ("sat red cat", "red cat quietly sat", {"rouge": (6 / 7 + 4 / 7) / 2}),
]


@pytest.mark.parametrize(("answer", "reference", "values"), GOLDEN)
def test_golden_values(answer, reference, values):
    assert {name: METRICS[name](answer, [reference]) for name in values} == pytest.approx(values)


# --- what is said


def test_every_metric_of_generated_answers_states_its_form():
    assert set(NORMAL_FORMS) == set(METRICS)
    for name in METRICS:
        assert str(NORMAL_FORMS[name]) in metric_signature(name)
    assert metric_signature("accuracy") is None


@pytest.mark.parametrize(
    ("reference", "metric", "lost"),
    [
        ("-5", "exact_match_squad", "its sign or point"),
        ("1.5", "f1_squad", "its sign or point"),
        ("1,5", "f1_squad", "its ,"),
        ("C++", "exact_match_squad", "its +"),
        ("x<y", "exact_match_trivia", "its <"),
        ("(B)", "exact_match_squad", "its ( )"),
        ("vitamin A", "exact_match_squad", "its A"),
        ("-5", "rouge", "its sign or point"),
        ("  ", "exact_match", "everything"),
        ("-5", "exact_match", None),
        ("-5", "f1", None),
        ("-5", "f1_drop", None),
        ("1,000", "exact_match_squad", None),
        ("U.S.", "exact_match_squad", None),
        ("well-known", "exact_match_squad", None),
        ("the red cat, it's", "exact_match_squad", None),
    ],
)
def test_what_a_reference_loses_in_a_form(reference, metric, lost):
    assert what_is_lost(reference, metric) == lost


def test_a_task_of_numbers_is_first_of_all_scored_as_written():
    imported = ["rouge", "exact_match"]
    assert fitting_metrics(imported, ["-5", "12", "1.5", "7"]) == ["exact_match", "rouge"]
    assert fitting_metrics(imported, ["(A)", "(B)"]) == ["exact_match", "rouge"]
    assert fitting_metrics(imported, ["The boat is red."] * 60 + ["-5"]) == imported
