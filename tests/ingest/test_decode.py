import random

import pytest

from rag.errors import UnreadableFile
from rag.ingest.decode import decode

WESTERN = "héllo wörld, café naïve — façade “quoted” déjà vu et l'été"
GERMAN = "Größe und Übermut, Äpfel für die Straße"
RUSSIAN = "Привет, как дела? Я пишу тебе письмо из Москвы, здесь холодно"
JAPANESE = "東京は日本の首都です。とても大きな都市です。"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_is_read_without_a_warning(encoding: str) -> None:
    assert decode(WESTERN.encode(encoding), "a.txt") == (WESTERN, None)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (WESTERN, "cp1252"),
        (GERMAN, "cp1252"),
        ("El niño comió piñata en la habitación número tres, ¿cómo está?", "cp1252"),
        ("A café in the middle of mostly English text that goes on and on.", "cp1252"),
        ("Zażółć gęślą jaźń, żeby było śmiesznie i ładnie", "cp1250"),
        ("Türkçe karakterler: ğüşıöç, İstanbul'da yaşıyorum", "cp1254"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        ("Καλημέρα σας, τι κάνετε σήμερα το πρωί;", "cp1253"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        ("北京是中国的首都，也是全国的政治和文化中心。", "gb18030"),
        ("안녕하세요 저는 한국 사람입니다 반갑습니다", "euc_kr"),
    ],
)
def test_older_encodings_are_guessed_with_a_warning(text: str, encoding: str) -> None:
    read, warning = decode(text.encode(encoding), "a.txt")
    assert read == text
    assert warning is not None
    assert "read as" in warning


def test_a_damaged_utf8_file_keeps_what_is_sound() -> None:
    text, warning = decode("naïve café ".encode() + b"\xff rest", "a.txt")
    assert text == "naïve café � rest"
    assert warning == "1 places are not valid UTF-8 and show as �"


def test_line_ends_become_one_kind_and_nul_goes() -> None:
    assert decode(b"a\r\nb\rc\n", "a.txt") == ("a\nb\nc\n", None)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"%PDF-1.4\n" + b"\x00\x01",
        b"PK\x03\x04" + bytes(range(256)),
        random.Random(0).randbytes(5000),
        b"\x7fELF\x02\x01\x01\x00",
        b"\x01\x02\x03\x04" * 100,
        b"text then \x00 zero",
    ],
)
def test_binary_data_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(UnreadableFile, match=r"'/x/photo\.md': it is not a text file"):
        decode(data, "/x/photo.md")


def test_nothing_is_empty_text() -> None:
    assert decode(b"", "a.txt") == ("", None)
