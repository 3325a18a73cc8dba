"""How many tokens can a text be at most, where a server does not count them?"""

import re

_PIECES = re.compile(r"(?P<letters>[A-Za-z]+)|(?P<spaces>[ \t]+)|(?P<sign>.)", re.S)


def most_tokens(text: str) -> int:
    """A careful estimate: about a third above what tokenizers of language models count of people's texts.

    A run of letters counts one token for every three begun, digits and signs one each, any other character one less
    than its bytes in UTF-8 (at least one), a single space none, as it is a part of the next word. An English tokenizer
    may need a few more for a text of another language, and many more for noise.
    """
    return sum(_tokens(match) for match in _PIECES.finditer(text))


def _tokens(piece: re.Match[str]) -> int:
    found = piece.group()
    if piece.lastgroup == "letters":
        return (len(found) + 2) // 3
    if piece.lastgroup == "spaces":
        return int(found != " ")
    return max(1, len(found.encode("utf-8", "replace")) - 1)
