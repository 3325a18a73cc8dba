"""What the program says itself in an answer where no model speaks."""

NOTHING_FOUND = "Nothing in your library answers this."
NOTHING_LIKE_IT = "Nothing in your library is like this picture."
NOTHING_STANDS_OUT = "Nothing in your library clearly answers this. These are the passages that come nearest:"
NO_MODEL = "No language model is installed. These are the passages that come nearest:"
CANNOT_SEE = "The language model cannot look at pictures. These are the sources that come nearest:"
MODEL_FAILED = "The language model could not answer ({}). These are the passages that come nearest:"

_OPENINGS = (
    NOTHING_FOUND,
    NOTHING_LIKE_IT,
    NOTHING_STANDS_OUT,
    NO_MODEL,
    CANNOT_SEE,
    MODEL_FAILED.partition("{}")[0],
)


def is_ours(text: str) -> bool:
    """Whether a paragraph of an answer begins with what the program says where no model speaks."""
    return any(paragraph.startswith(_OPENINGS) for paragraph in text.split("\n\n"))
