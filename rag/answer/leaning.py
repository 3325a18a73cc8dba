"""Does a question lean on what was said before? Told from its words alone, in English, German, French and Spanish.

A question leans where it goes on from another one ("And in 2019?"), where a word in it points to nothing that it names
itself ("How old is it?"), and where it names nothing at all ("Since when?"). This looks for the words that do that; it
does not parse. How often it is right is in eval/LOG.md and comes from `python -m eval followups`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"[^\W_]+|[,;:]")
_FRAGMENT = 6  # words; a question that begins with a preposition and has no auxiliary is a piece of one, up to here
_DEGREE = frozenset({"how", "wie"})  # "how hot" names nothing
_INVERTED = re.compile(r"(\w+)-(?:t-)?(?:ils?|elles?)\b", re.IGNORECASE)  # "vieillit-il"
_NAMED = 2  # words with a meaning behind "it ... to", from which on "it" stands for them


@dataclass(frozen=True, slots=True)
class _Language:
    """The words of a language that do not name anything, and those of them that point back.

    Patterns are for words in lower case with one space between them.
    """

    auxiliaries: frozenset[str]
    prepositions: frozenset[str]
    asking: frozenset[str]  # question words
    others: frozenset[str]  # articles, conjunctions and the like
    pronouns: frozenset[str]  # point back unless a clause before theirs names something
    possessives: frozenset[str]  # point back unless anything is named before them
    clauses: frozenset[str]  # begin another clause
    openings: re.Pattern[str]  # of a question that goes on from another
    pointing: re.Pattern[str]  # points back wherever it stands
    empty: re.Pattern[str]  # where a pronoun stands for nothing

    @property
    def function_words(self) -> frozenset[str]:
        """All of them: words without a topic."""
        return (
            self.auxiliaries | self.prepositions | self.asking | self.others | self.pronouns | self.possessives
        ) | self.clauses


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pattern(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives))


_ENGLISH = _Language(
    auxiliaries=_words(
        "is are was were be been being am do does did done has have had having can could will would shall should may "
        "might must got get isn aren wasn weren don doesn didn hasn haven hadn couldn wouldn shouldn ll ve re"
    ),
    prepositions=_words(
        "of in on at by for with from to into onto about after before between during over under until till since "
        "without within near behind per as than like around against among through out up down off away"
    ),
    asking=_words(
        "who whom whose what which where when why how much many long often far old big high soon large heavy"
    ),
    others=_words(
        "a an the this that these those some any all no not only also too very more most less just exactly and or but "
        "so then i you we me us my your our mine yours one ones other others there here please tell s t d m"
    ),
    pronouns=_words("it they them he him she"),
    possessives=_words("its their his her theirs hers"),
    clauses=_words("and or but if when while because although though after before until that which who so since where"),
    openings=_pattern(
        r"(?:and|but|or|so|then|also|ok|okay) (?!so )",
        r"(?:what|how) about ",
        r"why not\b",
        r"(?:tell me |any |say )?more\b",
    ),
    pointing=_pattern(
        r"\b(?:is|are|was|were|do|does|did|about|of|in|on|for|from|with|to|like|by|after|before|than|at|mean) "
        r"(?:that|this|those|these)\b(?! (?:year|season|month|week|morning|evening|winter|summer|spring|autumn)\b)",
        r"^(?:that|this|those|these)\b(?! (?:year|season|month|week)\b)",
        r"\bthat (?:night|day|year|time|week|month|morning|evening|way|case|place|one|man|woman|person|thing)\b",
        r"\b(?:that|this|those|these)$",
        r"\b(?:which|this|that|other|old|new|first|second|last|next|same|former|latter|[a-z]+er) ones?\b(?! of\b)",
        r"\bthe [a-z]+ one$",
        r"\bthe (?:former|latter|other|others|rest)\b",
        r"\bthe same\b(?!.* as\b)",
        r"\b(?:what|who|where|how|anything|something|anyone) else\b",
        r"\b(?:too|as well|instead|either|then|meanwhile|back then|afterwards|since then|therefore)$",
        r"(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )(?<!\bbe )\bthere\b(?! (?:is|are|was|were|will|any|a|an|been)\b)",
    ),
    empty=_pattern(r"\bit (?:true|possible|allowed|necessary|common|safe|worth)\b"),
)

_GERMAN = _Language(
    auxiliaries=_words(
        "ist sind war waren bin bist sei wäre wären hat haben hatte hatten habe wird werden wurde wurden würde würden "
        "kann können konnte konnten könnte soll sollen sollte muss müssen musste darf dürfen durfte will wollen wollte "
        "mag möchte gibt gab"
    ),
    prepositions=_words(
        "in im an am auf aus bei beim mit nach seit von vom zu zum zur für durch gegen ohne um bis über unter vor "
        "hinter neben zwischen während wegen trotz ab"
    ),
    asking=_words(
        "wer wen wem wessen was wann wo wohin woher warum wieso weshalb wie viel viele lange oft weit alt groß hoch "
        "welche welcher welches welchen welchem worin woran womit wofür wovon worauf worüber"
    ),
    others=_words(
        "der die das den dem des ein eine einen einem einer eines kein keine keinen nicht nur auch noch sehr mehr so "
        "und oder aber denn dann da dort hier dass ob wenn weil als ja nein ich du wir mich dich uns mir dir mein "
        "meine meinen meinem meiner unser unsere man sich andere anderen anderer anderes genau "
        "eigentlich bitte etwas schon"
    ),
    pronouns=_words("er sie es ihn ihm ihnen"),
    possessives=_words("ihr ihre ihren ihrem ihrer ihres seine seinen seinem seiner seines"),
    clauses=_words("und oder aber wenn weil als bevor nachdem bis während dass ob obwohl"),
    openings=_pattern(
        r"(?:und|aber|oder|dann|auch|also) ",
        r"was ist (?:mit|bei|denn mit)\b",
        r"wie (?:ist|steht|sieht) es\b",
        r"warum (?:nicht|so)\b",
        r"(?:sag mir |erzähl mir )?mehr\b",
    ),
    pointing=_pattern(
        r"(?<!, )\b(?:davon|dafür|darin|daran|darüber|dazu|dabei|dagegen|daraus|danach|davor|darauf|dahin|dorthin)\b",
        r"(?<!, )\bdamit\b",
        r"\bdort\b",
        r"\bdas(?: (?:so|denn|genau|passiert|geschehen|gewesen|gemacht|gesagt))*$",
        r"\bdies(?:e|er|es|en|em)?\b(?! (?:jahr|jahres|woche|monat|saison|morgen|abend|winter|sommer)\b)",
        r"\b(?:jene|jener|jenes|jenen|jenem)\b",
        r"\b(?:der|die|das) (?:andere|anderen|gleiche|selbe|erste|zweite|letzte)$",
        r"\b(?:der|die|das|dem|den) (?:andere|anderen)\b",
        r"\b(?:was|wer|wo|wie) (?:noch|sonst)\b",
        r"\b(?:auch|stattdessen|ebenfalls|sonst|dann|damals|inzwischen)$",
    ),
    empty=_pattern(r"\b(?:gibt|gab|gäbe) es\b", r"\bes (?:gibt|gab)\b"),
)

_FRENCH = _Language(
    auxiliaries=_words(
        "est sont était étaient été être suis es sommes sera seront a ai as ont avait avaient avons avez aura avoir "
        "peut peuvent pouvait doit doivent faut fait font va vont"
    ),
    prepositions=_words(
        "de du des d à au aux en dans sur sous avec sans pour par contre chez entre vers depuis pendant avant après "
        "jusque jusqu dès selon"
    ),
    asking=_words(
        "qui que qu quoi quel quelle quels quelles où quand comment pourquoi combien lequel laquelle lesquels temps "
        "longtemps souvent"
    ),
    others=_words(
        "le la les l un une et ou mais donc or ni car si ne n pas plus moins très aussi ce c cet cette ces cela ça "
        "ceci je j tu nous vous on me m te t se s mon ma mes notre nos votre vos y là ici oui non alors même autre "
        "autres exactement"
    ),
    pronouns=_words("il elle ils elles lui eux"),
    possessives=_words("son sa ses leur leurs"),
    clauses=_words("et ou mais si quand lorsque parce car puisque dont où avant après"),
    openings=_pattern(
        r"(?:et|mais|ou|alors|donc) ",
        r"qu en est il\b",
        r"pourquoi pas\b",
        r"(?:dis m en |dites m en )?(?:plus|davantage)\b",
    ),
    pointing=_pattern(
        r"\b(?:cela|ça|ceci|celui|celle|ceux|celles|dedans|dessus|dessous)\b",
        r"\bce(?:t|tte|s)?\b(?! (?:qui|que|qu|soit|année|mois|saison|semaine|matin|soir|hiver|printemps|été)\b)"
        r"(?<!est ce)",
        r"\bque c est$",
        r"\b(?:là|là bas)$",
        r"\b(?:l|d) autres?$",
        r"\bl autre\b",
        r"\bl (?:a|ai|as|ont|avait|avaient|aura)\b",
        r"\bqu?i? en (?:a|ont|est|sont|reste|fait)\b",
        r"\bnous en\b|\ben (?:a|ont) t\b",
        r"\b(?:aussi|alors|non plus|ensuite|depuis)$",
    ),
    empty=_pattern(r"\bil (?:y|faut|fallait|pleut|existe)\b", r"\by a t il\b", r"\bfaut il\b"),
)

_SPANISH = _Language(
    auxiliaries=_words(
        "es son era eran fue fueron ser sido está están estaba estaban estar hay había ha han he hemos haber puede "
        "pueden podía debe deben tiene tienen tenía hace hacen va van"
    ),
    prepositions=_words(
        "de del a al en con sin por para contra entre hacia desde hasta durante según sobre bajo tras ante"
    ),
    asking=_words("qué quién quiénes cuál cuáles cuándo cuánto cuánta cuántos cuántas dónde adónde cómo tiempo"),
    others=_words(
        "el la los las un una unos unas y e o u pero ni si no más menos muy también tampoco que este esta esto estos "
        "estas ese esa eso esos esas yo tú nosotros me te se nos mi mis tu tus nuestro nuestra otro otra otros otras "
        "ya aquí exactamente cuando como donde porque"
    ),
    pronouns=_words("él ella ellos ellas ello lo le les"),
    possessives=_words("su sus suyo suya suyos suyas"),
    clauses=_words("y e o pero si cuando mientras porque aunque donde que antes después"),
    openings=_pattern(
        r"(?:y|e|pero|o|entonces) ",
        r"qué (?:hay|pasa|tal|ocurre) (?:de|con)\b",
        r"por qué no$",
        r"(?:dime |cuéntame )?más\b",
    ),
    pointing=_pattern(
        r"\b(?:eso|esto|aquello|aquel|aquella|aquellos|aquellas|allí|ahí|allá)\b",
        r"\b(?:ese|esa|esos|esas)\b",
        r"\best(?:e|a|os|as)\b(?! (?:año|mes|semana|temporada|mañana|noche|invierno|verano)\b)",
        r"\b(?:el|la|los|las) (?:otro|otra|otros|otras|mismo|misma)\b",
        r"\b(?:qué|quién|dónde) más\b",
        r"\b(?:también|tampoco|entonces|después|antes)$",
    ),
    empty=_pattern(r"\blo que\b"),
)
_LANGUAGES = (_ENGLISH, _GERMAN, _FRENCH, _SPANISH)


def leans(question: str) -> bool:
    """Whether `question` cannot be understood without what was asked before it, as far as its words tell."""
    words = [token.casefold() for token in _TOKEN.findall(question) if token.isalnum()]
    if not words:
        return False
    language = _language(words)
    text = " ".join(words)
    if language.openings.match(text) or language.pointing.search(text) or _says_little(words, language):
        return True
    if language.empty.search(text):
        return False
    return _points_back(_TOKEN.findall(_INVERTED.sub(_straight, question)), language)


def content_words(text: str) -> list[str]:
    """The words of `text` that name something, as they are written: without articles, question words and the like."""
    tokens = [token for token in _TOKEN.findall(text) if token.isalnum()]
    function_words = _language([token.casefold() for token in tokens]).function_words
    return [token for token in tokens if token.casefold() not in function_words]


def _language(words: Sequence[str]) -> _Language:
    """The one that has most of `words`; English where none has more."""
    return max(_LANGUAGES, key=lambda language: sum(word in language.function_words for word in words))


def _says_little(words: Sequence[str], language: _Language) -> bool:
    """Whether it names nothing but numbers, or is a piece of a question: "Which page?", "On the way back?"."""
    named = [word for word in words if word not in language.function_words and not word.isdigit()]
    if not named:
        return True
    if any(word in language.auxiliaries for word in words):
        return False
    if words[0] in language.asking:
        return len(words) <= 2 or (len(words) == 3 and words[1] in language.asking)
    return words[0] in language.prepositions and len(words) <= _FRAGMENT and words[1] not in language.asking


def _points_back(tokens: Sequence[str], language: _Language) -> bool:
    """Whether a pronoun in it stands for nothing that it names before."""
    named = apart = False  # something was named; another clause began since
    for i, token in enumerate(tokens):
        word = token.casefold()
        polite = language is _GERMAN and i > 0 and token[0].isupper()  # "Sie", "Ihr"
        if word in language.pronouns and not polite:
            if not (named and apart) and not _announces(tokens[i:], language):
                return True
        elif word in language.possessives and not polite:
            if not named:
                return True
        elif not token.isalnum() or (word in language.clauses and i < len(tokens) - 2):  # not the "after" of "after it"
            apart = named
        elif not (word in language.function_words or word.isdigit() or (i and tokens[i - 1].casefold() in _DEGREE)):
            named = True
    return False


def _straight(inverted: re.Match[str]) -> str:
    """A French verb without the pronoun that only repeats its subject: "Napoléon est-il mort", not "est-il mort"."""
    return inverted[1] if content_words(inverted.string[: inverted.start()]) else inverted[0]


def _announces(tokens: Sequence[str], language: _Language) -> bool:
    """Whether the first of `tokens` is an "it" that stands for what follows: "it cost to insure the viola"."""
    if language is not _ENGLISH or tokens[0].casefold() != "it":
        return False
    words = [token.casefold() for token in tokens]
    at = next((i for i, word in enumerate(words) if word in ("to", "that", "if")), len(words))
    return sum(word not in language.function_words for word in words[at:]) >= _NAMED
