import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.ingest.analyse import analyse, analyse_picture, analyse_query, detect_language


@pytest.mark.parametrize(
    ("text", "language", "terms"),
    [
        ("The houses were running", "en", "the hous were run"),
        ("The houses were running", "und", "the houses were running"),
        ("Die Häuser", "de", "die haus"),
        ("L'été à l’école", "fr", "l ete a l ecol"),
        ("кошки бегали, ёлка", "ru", "кошк бега елк"),
        ("Anna's cat; don’t", "en", "anna cat don t"),
        ("Ｆｕｌｌ ﬁne Straße naïve co\xadoperate", "und", "full fine strasse naive cooperate"),
        ("أحمد مـــرحبا", "und", "احمد مرحبا"),
        ("हिन्दी भाषा", "und", "हिन्दी भाषा"),
        ("", "en", ""),
        ("--- !!! …", "en", ""),
    ],
)
def test_terms(text: str, language: str, terms: str) -> None:
    assert analyse(text, language) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("東京都は", "東京 京都 都は"),
        ("猫", "猫"),
        ("GPU用のメモリ", "gpu 用の のメ メモ モリ"),
        ("ภาษา", "ภา าษ ษา"),
        ("กี่ขั้น", "กี่ขั้ ขั้น"),
        ("한국어", "한국 국어"),
    ],
)
def test_scripts_without_spaces_become_pairs_of_characters(text: str, terms: str) -> None:
    assert analyse(text, "und") == terms


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("an RTX-4090 card", ["RTX-4090", "rtx 4090", "RTX4090", "rtx_4090"]),
        ("release v1.2.3 is out", ["v1.2.3", "release"]),
        ("call foo_bar(x)", ["foo_bar", "foo", "foobar"]),
        ("write to anna.berg@example.org", ["anna.berg@example.org", "Berg", "example.org"]),
        ("the U.S. economy", ["US", "U.S."]),
        ("an e-mail", ["email", "e-mail", "emails"]),
        ("3,000 files", ["3000", "3,000"]),
        ("due 2024-05-06", ["2024-05-06", "2024"]),
    ],
)
def test_identifiers_are_found_whole_and_in_part(text: str, asked: list[str]) -> None:
    terms = set(analyse(text, "en").split())
    for question in asked:
        assert terms & set(analyse_query(question, ["en"]).split()), question


def test_a_question_is_asked_in_every_language_of_the_library_once() -> None:
    assert analyse_query("running Häuser running", ["en", "de", "en"]) == "run hauser running haus"
    assert analyse_query("running", []) == "running"
    assert analyse_query(" ", ["en"]) == ""


def test_threads_get_the_same_terms() -> None:
    texts = [f"running houses number {i} nationalities" for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: analyse(text, "en"), texts)) == [analyse(text, "en") for text in texts]


@pytest.mark.parametrize("unit", ["a", "a.", "a'", "1,", "e\u0301", "\u0301", "東", "word "])
def test_a_megabyte_takes_linear_time(unit: str) -> None:
    started = time.process_time()
    terms = analyse(unit * (1_000_000 // len(unit)), "en").split()
    assert time.process_time() - started < 20  # under 1 s when idle
    assert max(map(len, terms), default=0) <= 64


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Les enfants jouent dans le jardin avec leurs amis.", "fr"),
        ("The meeting was moved to Thursday because Anna is travelling.", "en"),
        ("Das Rezept braucht drei Eier und etwas Zimt, sonst nichts.", "de"),
        ("北京是中国的首都，也是全国的政治和文化中心。", "zh"),
        ("Привет, как дела? Я пишу тебе письмо из Москвы.", "ru"),
        ("hi", "und"),
        ("", "und"),
        ("12 34 5678 -- 2024", "und"),
        ("def foo(x): return x", "und"),
    ],
)
def test_detect_language(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_the_query_side_imports_no_model() -> None:
    code = "import sys, rag.ingest.analyse; print([m for m in ('py3langid', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_function_words_of_a_question_are_left_out() -> None:
    assert analyse_query("When did the bees leave their home?", ["en"]) == "bee leav home"
    assert analyse_query("Wann haben die Bienen das Haus verlassen?", ["en", "de"]) == (
        "wann bienen haus verlassen bien verlass"
    )


def test_a_question_of_function_words_alone_keeps_them() -> None:
    assert analyse_query("to be or not to be", ["en"]) == "to be or not"


def test_the_words_of_a_picture_count_as_an_ordinary_passage() -> None:
    terms = analyse_picture("Two red circles", "en").split()
    assert (terms[:3], len(terms)) == (["two", "red", "circl"], 100)
    [filler] = set(terms[3:])
    assert analyse(filler, "en") == analyse_query(filler, ["en"]) == ""
    assert analyse_picture("word " * 150, "en") == analyse("word " * 150, "en")
    assert analyse_picture("…", "en") == ""
