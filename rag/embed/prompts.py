"""What embedding models want before a question and before a passage, where a server does not put it there itself.

From the models' own cards. A sentence-transformers folder says it in its configuration; an interface to a server has no
place for it, and without it these models find markedly less.
"""

import re
from typing import Literal

# The beginning of a model's name, as servers write it, to (before a question, before a passage).
_PROMPTS: tuple[tuple[str, str, str], ...] = (
    (r"nomic-embed-text", "search_query: ", "search_document: "),
    (r"(multilingual-)?e5-(?!.*instruct)", "query: ", "passage: "),
    (r"embedding-?gemma", "task: search result | query: ", "title: none | text: "),
    (
        r"(bge-.*-en|mxbai-embed-large|snowflake-arctic-embed(?!2|.*-v2))",
        "Represent this sentence for searching relevant passages: ",
        "",
    ),
    (
        r"qwen3-embedding|(multilingual-)?e5-.*instruct",
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
        "",
    ),
)


def prompt_for(model: str, kind: Literal["query", "passage"]) -> str:
    """What goes before a text of that kind; "" for a model that wants nothing, or is not known here."""
    name = re.sub(r"^text-embedding-", "", model.rpartition("/")[2].lower())
    for pattern, query, passage in _PROMPTS:
        if re.match(pattern, name):
            return query if kind == "query" else passage
    return ""
