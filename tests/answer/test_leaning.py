"""Which questions lean on what was said before, in four languages, and which stand alone."""

import pytest

from rag.answer.leaning import content_words, leans

LEANING = {
    "en": """
        And in 2019?
        What about the rye one?
        Why?
        Since when?
        In 2019?
        How old is it?
        Who looks after it?
        How hot must its middle get?
        What is her telephone number?
        When did they leave?
        What does that mean?
        Why is this so?
        Which one is heavier?
        What else did Ruth say?
        Who lived there?
        On the way back?
        Which page?
        Tell me more.
        Is the other one any better?
        What happened then?
        Does Agnes have mites too?
        Is it the same?
    """,
    "de": """
        Und 2019?
        Wann genau?
        Und bei wie viel Grad?
        Wann schmeckt er am besten?
        Wie alt ist sie?
        Was kostet das?
        Wo hat er damals gewohnt?
        Was hat er damit gemacht?
        Wer wohnt dort?
        Wie heißt seine Frau?
        Was ist mit der anderen Heizung?
        Warum ist das so?
        Und was sagt Mutter?
        Welche Farbe hat dieses Haus?
    """,
    "fr": """
        Et en 2019 ?
        Pourquoi ?
        Quand est-il mort ?
        Comment s'appelle-t-elle ?
        Où habitent-ils ?
        Qui l'a construit ?
        Quelle est sa couleur ?
        Combien coûte celui-ci ?
        Qu'est-ce que cela veut dire ?
        Qu'en est-il de l'autre ?
        Où a-t-il vécu ensuite ?
        Qui nous en a offert ?
        Et le dernier soir ?
        C'est loin de là ?
    """,
    "es": """
        ¿Y en 2019?
        ¿Por qué?
        ¿Cuándo murió?
        ¿Cuál es su capital?
        ¿Quién lo construyó?
        ¿Qué le pasó?
        ¿Qué significa eso?
        ¿Quién vive allí?
        ¿Y la otra casa?
        ¿Qué más dijo?
        ¿Cuánto cuesta esta?
        ¿Dónde vivía ella?
        ¿Qué pasa con los otros?
        ¿Desde cuándo?
    """,
}
ALONE = {
    "en": """
        At what cold pressure do I keep the boiler on the landing?
        What pressure does Mother's boiler need when it is cold?
        Until what date may I cut asparagus this year?
        What does it cost to insure the viola away from home?
        When was Beatrix at her heaviest on the scales, and what did she weigh?
        Which work has its first performance this season?
        How many crowns of asparagus are there in bed F?
        Where is the box that I bought in Lübeck?
        Is it true that Anselm left for Rotterdam?
        Who opened the bakery in 1962?
        Why do I harvest two weeks before everyone else?
        boiler pressure
        a red kettle on the stove
    """,
    "de": """
        Wie lange muss der Pflaumenkuchen in den Ofen?
        Wie viele Brücken gibt es in Lübeck?
        Wann verließ Anselm Brandt seine Werkstatt?
        Was passiert, wenn der Teig zu lange steht, bevor er in den Ofen kommt?
        Wer war der Mann, der die Uhr gebaut hat?
        Welche Bücher haben Sie in diesem Jahr gelesen?
        In welchem Jahr starb Anselm Brandt?
        Wie hoch ist das höchste Gebäude der Stadt?
    """,
    "fr": """
        Combien de temps le vin jaune vieillit-il ?
        Quand Napoléon est-il mort ?
        Combien de meules y a-t-il dans la cave du fromager ?
        Qu'est-ce que le vin jaune ?
        Quelle est la capitale de la France ?
        Que faut-il emporter pour la marche dans le Jura ?
        Quels livres ont paru cette année ?
        Qui a construit la tour Eiffel ?
    """,
    "es": """
        ¿Cuál es la capital de España?
        ¿Quién construyó la Sagrada Familia?
        ¿Cuántos habitantes tiene Madrid este año?
        ¿Cuándo perdió Napoleón su última batalla?
        ¿Qué es lo que comió Anselm en Lübeck?
        ¿En qué año murió Cervantes?
        ¿Cuánto cuesta el billete a Viena?
        ¿Cuánto pesa la campana que está en la torre?
    """,
}


def listed(questions: dict[str, str]) -> list[str]:
    return [line.strip() for lines in questions.values() for line in lines.strip().splitlines()]


@pytest.mark.parametrize("question", listed(LEANING))
def test_it_leans(question: str) -> None:
    assert leans(question)


@pytest.mark.parametrize("question", listed(ALONE))
def test_it_stands_alone(question: str) -> None:
    assert not leans(question)


@pytest.mark.parametrize("nothing", ["", "  ", "???", "!", "—"])
def test_where_there_are_no_words_there_is_nothing_to_lean(nothing: str) -> None:
    assert not leans(nothing)


def test_other_scripts_are_left_alone() -> None:
    assert not leans("橋の下で鳥を何羽見ましたか。")


def test_the_words_that_name_something() -> None:
    assert content_words("How old is Mother's boiler at Skelby?") == ["Mother", "boiler", "Skelby"]
    assert content_words("Wie lange muss der Pflaumenkuchen in den Ofen?") == ["Pflaumenkuchen", "Ofen"]
    assert content_words("Combien coûte le billet ?") == ["coûte", "billet"]
    assert content_words("¿Quién construyó la torre?") == ["construyó", "torre"]
    assert content_words("") == []
