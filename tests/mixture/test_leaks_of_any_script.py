"""What the leak check compares on scripts without blanks, on very short rows and on rows without words."""

import json

import pytest

from little_entries import little_entry as entry
from openflan.mixture.certificate import read_certificate, write_certificate
from openflan.mixture.leakage import check_leakage
from openflan.tasks.sources import SourceRow

JAPANESE = "駅前の古い喫茶店では、毎朝七時になると店主が豆を挽き、常連の客が新聞を広げて静かに座っていた。"
THAI = "ชายชราเดินลงไปที่ท่าเรือทุกเช้าเพื่อซื้อปลาสดจากชาวประมงที่เพิ่งกลับมาจากทะเลแล้วนำไปทำแกงให้หลาน"
KHMER = "លោកយាយចាស់ម្នាក់រស់នៅជិតមាត់ទន្លេហើយរៀងរាល់ព្រឹកគាត់ដើរទៅផ្សារដើម្បីលក់បន្លែដែលគាត់ដាំដោយខ្លួនឯង"
LAO = "ຊາວນາຄົນໜຶ່ງຕື່ນແຕ່ເຊົ້າໄປເບິ່ງນາເຂົ້າຂອງລາວຢູ່ແຄມແມ່ນ້ຳກ່ອນທີ່ແດດຈະຮ້ອນແລ້ວກັບມາກິນເຂົ້າກັບລູກຫຼານ"
BURMESE = "ရွာထိပ်ကအဘိုးအိုဟာမနက်တိုင်းစောစောထပြီးပန်းခြံထဲကပန်းတွေကိုရေလောင်းကာကလေးတွေကိုပုံပြင်ပြောပြလေ့ရှိတယ်"
CHINESE = "修桥的老人说，河水涨起来以前他们一定要把最后一块石板铺好，不然孩子们就过不了河上不了学。"
MIXED = "我们用 Python 写了一个 parser，先把 log 文件读进来，再用 regex 找出所有 error，最后发一封 email 给值班的同事。"
HINDI = "बूढ़ा मछुआरा हर सुबह नदी के किनारे बैठकर अपना जाल ठीक करता था और बच्चों को कहानियाँ सुनाता था"
LANGUAGES = [JAPANESE, THAI, KHMER, LAO, BURMESE, CHINESE, MIXED, HINDI]


def rows(*texts, note=""):
    return [SourceRow(index=n, fields={"text": text, "note": note, "label": n % 2}) for n, text in enumerate(texts)]


def check(train, held_out, **settings):
    return check_leakage([(entry("train"), train)], [(entry("held"), held_out)], **{"mode": "rows", **settings})


def hits(certificate):
    return certificate.items["held"].hits


@pytest.mark.parametrize("text", LANGUAGES)
def test_a_text_that_stands_word_for_word_in_training_is_found_in_any_script(text):
    certificate = check(rows(text), rows(text))
    assert hits(certificate).exact == 1
    assert certificate.rows_dropped == {"train": {0}}
    assert check([], rows(text)).items["held"].compared.ngram == 1


@pytest.mark.parametrize("text", LANGUAGES)
@pytest.mark.parametrize("frame", [("「", "」"), ("Note 12: ", " (end)"), ("ข่าววันนี้", "จบข่าว"), ("据说", "真的")])
def test_it_is_found_inside_another_text_too(text, frame):
    before, after = frame
    certificate = check(rows(before + text + after), rows(text))
    assert (hits(certificate).ngram, hits(certificate).exact) == (1, int(frame == ("「", "」")))


@pytest.mark.parametrize("text", LANGUAGES)
def test_texts_of_one_language_are_not_the_same_for_that(text):
    others = [other[: len(other) // 3] + text[::-1] for other in LANGUAGES]
    assert hits(check(rows(*others), rows(text))).ngram == 0


@pytest.mark.parametrize(
    "text",
    ["好", "so good", "🎉🎉", "...!?", "第3回", "กิน", "12 + 5 =", "Ａ", "ขอบคุณ", "ありがとう"],
)
def test_a_row_of_a_few_signs_is_compared_as_a_whole(text):
    certificate = check(rows(f" {text} ", "else"), rows(text))
    assert (certificate.items["held"].compared.exactly, hits(certificate).exact) == (1, 1)
    assert hits(check(rows(f"{text} {text}", "else"), rows(text))).ngram == 0


def test_signs_count_where_a_row_has_few_words():
    assert hits(check(rows("12 - 5 =", "🎉", "so bad"), rows("12 + 5 =", "🎂", "so good"))).ngram == 0


def test_a_short_row_is_the_same_only_with_all_its_texts():
    assert hits(check(rows("so good", note="a film"), rows("so good", note="a book"))).ngram == 0
    assert hits(check(rows("a book", note="so good"), rows("so good", note="a book"))).exact == 1


def test_what_has_no_text_is_counted_and_never_called_clean():
    certificate = check(rows("", JAPANESE), rows("", THAI, ""))
    counts = certificate.items["held"]
    assert (counts.total, counts.compared.ngram, counts.not_comparable) == (3, 1, {"no text": 2})
    assert certificate.verdict == (
        "Clean: none of the 1 held-out items that could be compared shares a text with the tuning set."
        " Not compared: 2 of 3 items (66.7%; no text: 2) of held."
    )
    nothing = check(rows(JAPANESE), rows("", ""))
    assert (nothing.clean, nothing.status) == (False, "nothing compared")
    assert nothing.verdict == "Nothing was compared: 2 of 2 items (100.0%; no text: 2) of held."


def test_a_shorter_text_is_compared_exactly_and_said_to_be():
    certificate = check(rows("他去年冬天修好了旧钟"), rows("他去年冬天修好了旧钟", CHINESE))
    counts = certificate.items["held"]
    assert (counts.compared.ngram, counts.compared.exactly, counts.hits.exact) == (1, 1, 1)
    assert hits(check(rows("听说他去年冬天修好了旧钟"), rows("他去年冬天修好了旧钟"))).ngram == 0


def test_boilerplate_of_templates_is_not_part_of_a_row():
    template = {"input": f"{CHINESE}{{{{text}}}}{THAI}"}
    certificate = check_leakage(
        [(entry("train", templates=[template]), rows("一只猫"))],
        [(entry("held", templates=[template]), rows("两条狗"))],
        mode="rows",
    )
    assert (hits(certificate).ngram, certificate.clean) == (0, True)


SENTENCE = "the ferry to the islands was two hours late"


@pytest.mark.parametrize(
    ("held_out", "train"),
    [
        (SENTENCE, "The ferry to the islands was three hours late."),
        (CHINESE[:22], CHINESE[:22].replace("老人", "工人")),
        (THAI[:36], THAI[:36].replace("ชายชรา", "ชายแก่")),
    ],
)
def test_near_duplicates_count_where_a_recipe_says_so(held_out, train):
    assert hits(check(rows(train), rows(held_out))).ngram == 0
    certificate = check(rows(train), rows(held_out), overlap="near_duplicates", similarity=0.5)
    assert (hits(certificate).near, hits(certificate).exact, certificate.rows_dropped) == (1, 0, {"train": {0}})
    strict = check(rows(train), rows(held_out), overlap="near_duplicates", similarity=0.95)
    assert hits(strict).near == 0


def test_what_has_an_n_gram_in_common_is_no_near_duplicate_besides():
    certificate = check(rows(JAPANESE), rows(JAPANESE), overlap="near_duplicates")
    assert (hits(certificate).exact, hits(certificate).ngram, hits(certificate).near) == (1, 1, 0)
    assert certificate.similarity == 0.7


def own(train, test, **settings):
    mine = entry("mine")
    return check_leakage([(mine, train)], [], seen=[(mine, test)], **{"mode": "rows", **settings})


def test_a_tasks_own_test_rows_are_fresh_only_where_its_training_rows_have_none_of_them():
    certificate = own(rows(JAPANESE, "so good"), rows(THAI, "so good", JAPANESE))
    assert certificate.stale == {"mine": (1, 2)}
    assert not certificate.fresh
    assert certificate.freshness == (
        "Not fresh: 2 of 3 test rows of tuned tasks share a text with their own task's training rows (mine 2 of 3)."
    )
    assert certificate.rows_dropped == {}
    fresh = own(rows(JAPANESE), rows(THAI))
    assert fresh.fresh
    assert fresh.freshness.startswith("Fresh: none of 1 test rows")


def test_rows_that_could_not_be_compared_are_not_called_fresh():
    certificate = own(rows(JAPANESE), rows(THAI, ""))
    assert not certificate.fresh
    assert "Not compared: 1 of 2 items (50.0%; no text: 1) of mine." in certificate.freshness
    assert own(rows(JAPANESE), []).freshness == ""


def test_a_training_row_that_a_held_out_task_costs_makes_no_test_row_stale():
    mine = entry("mine")
    certificate = check_leakage(
        [(mine, rows(JAPANESE))], [(entry("held"), rows(JAPANESE))], seen=[(mine, rows(JAPANESE))], mode="rows"
    )
    assert (certificate.rows_dropped, certificate.stale) == ({"mine": {0}}, {"mine": ()})
    kept = check_leakage(
        [(mine, rows(JAPANESE))], [(entry("held"), rows(JAPANESE))], seen=[(mine, rows(JAPANESE))], mode="warn"
    )
    assert kept.measured_in_tuning == {"held": (0,), "mine": (0,)}


def test_all_of_it_is_in_the_certificate(tmp_path):
    mine = entry("mine")
    certificate = check_leakage(
        [(mine, rows(JAPANESE, "好"))],
        [(entry("held"), rows(JAPANESE, ""))],
        seen=[(mine, rows("好"))],
        mode="warn",
        overlap="near_duplicates",
    )
    write_certificate(tmp_path, certificate, key="abc")
    assert read_certificate(tmp_path, key="abc") == certificate
    record = json.loads((tmp_path / "leakage.json").read_text(encoding="utf-8"))
    assert (record["clean"], record["fresh"], record["stale"]) == (False, False, {"mine": [0]})
