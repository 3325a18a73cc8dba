"""Numbers, dates and names as they are written in several ways."""

import pytest

from rag.answer.facts import Date, facts, same_name


def readings(text: str) -> list[set[str]]:
    return [set(number.readings) for number in facts(text).numbers]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("They gave up 308 points.", [{"308"}]),
        ("1,000 and 1 000 and 1’000 and 1000", [{"1000"}] * 4),
        ("It cost 1.500 Euro.", [{"1500", "1.5"}]),  # fifteen hundred, or one and a half
        ("10,5 % or 10.50 %", [{"10.5"}, {"10.5"}]),
        ("2,500,000.75", [{"2500000.75"}]),
        ("6½ sacks", [{"6.5"}]),
        ("2.5 million dollars", [{"2.5", "2500000"}]),
        ("two hundred women and twenty-one men", [{"2", "200"}, {"21"}]),
        ("zwölf Äpfel, douze pommes, doce manzanas, a dozen apples", [{"12"}] * 4),
        ("at 6:40, 7 pm and 07:30 a.m.", [{"6:40"}, {"19:00"}, {"7:30"}]),
        ("version 1.2.3", [{"1.2.3"}]),
        ("共有308分", [{"308"}]),
        ("٣٠٨", [{"308"}]),
        ("the fault E168 of the RTX-4090", []),
        ("one of them", []),
        ("", []),
    ],
)
def test_a_number_is_the_set_of_its_readings(text: str, expected: list[set[str]]) -> None:
    assert readings(text) == expected


@pytest.mark.parametrize(
    "text", ["It listens on 127.0.0.1:8080.", "We met at 7.30 pm.", "1:2:3 pm", "1,5:30 am", "٣:٤"]
)
def test_what_only_looks_like_a_time_is_no_error(text: str) -> None:
    assert facts(text).numbers


def test_a_number_counts_the_word_behind_it() -> None:
    units = [
        number.unit for number in facts("308 points, 24 interceptions, 5-time champion, 2 million men, 7 %").numbers
    ]
    assert units == ["points", "interceptions", "time", "men", "%"]


@pytest.mark.parametrize(
    "text",
    [
        *("5 March 2024", "March 5, 2024", "the 5th of March, 2024", "2024-03-05", "05.03.2024", "5. März 2024"),
        *("5 mars 2024", "5 de marzo de 2024", "5 Mar. 2024", "2024年3月5日"),
    ],
)
def test_a_date_is_the_same_however_it_is_written(text: str) -> None:
    (date,) = facts(f"It was on {text} that it rained.").dates
    assert date.readings == {(2024, 3, 5)}
    assert facts(text).numbers == ()


def test_a_date_tells_another_that_is_less_exact() -> None:
    day, month, slashed = (facts(text).dates[0] for text in ("5 March 2024", "March 2024", "5/3/2024"))
    assert month.is_told_by(day)
    assert not day.is_told_by(month)
    assert slashed.readings == {(2024, 3, 5), (2024, 5, 3)}
    assert slashed.is_told_by(day)
    assert not Date("", frozenset({(2024, 4, 0)})).is_told_by(day)


def test_what_no_calendar_has_is_no_date() -> None:
    assert facts("13/32/2024 and 2024-13-01").dates == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The bakery of Ana Flores in Lisbon.", ["Ana", "Flores", "Lisbon"]),
        ("Bread. Rye is best. “Is it?” It is.", []),  # capitals that only begin a sentence
        ("Fault E168 on the RTX-4090 in the 21st century", ["E168", "RTX-4090"]),
        ("the cat sat", []),
        ("Пекарню открыла Анна в Москве.", ["Анна", "Москве"]),
    ],
)
def test_names_are_words_with_a_capital_inside_a_sentence_and_codes(text: str, names: list[str]) -> None:
    assert list(facts(text).names) == names


def test_where_nouns_are_capital_two_words_make_a_name() -> None:
    assert facts("Die Bäckerei gehört Ana Flores.", nouns_are_capital=True).names == ("Ana", "Flores")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Germany", "German", True),
        ("Ana's", "Ana", True),
        ("Москва", "Москве", True),
        ("Flores", "FLORES", True),
        ("José", "Jose", True),
        ("Austria", "Australia", False),
        ("Hansen", "Hanson", False),
        ("Anna", "Anne", False),
        ("Ana", "Anatol", False),
    ],
)
def test_the_same_name_with_another_ending(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same
    assert same_name(other, one) is same
