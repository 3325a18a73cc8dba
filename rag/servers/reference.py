"""Does a setting that names a model name one of a server? Without loading what speaks to servers."""


def names_server(reference: str) -> bool:
    """Whether a setting that names a model names one of a server."""
    return reference.startswith(("http://", "https://"))
