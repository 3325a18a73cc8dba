"""The command that gives the library to one agent or editor, over its standard input and output."""

import logging
import threading

import typer

from rag.build import open_library
from rag.config import load_settings
from rag.errors import RagError
from rag.library import Library

log = logging.getLogger(__name__)


def register(app: typer.Typer) -> None:
    """Add `rag mcp`."""
    app.command("mcp")(mcp)


def mcp() -> None:
    """Serve the tools search, read_document and ask to an agent or editor that started this (MCP over stdio)."""
    from rag.api.service import Service
    from rag.api.tools import make_tools  # fastapi and mcp take a second to import: only this command pays

    library = open_library(load_settings())
    try:
        threading.Thread(target=_warm, args=(library,), name="warming", daemon=True).start()
        make_tools(Service(library)).run("stdio")
    except KeyboardInterrupt:
        pass  # Ctrl-C is one way to end it; the other is to close its input
    finally:
        library.close()


def _warm(library: Library) -> None:
    """Load the models while the agent makes itself known."""
    try:
        library.warm()
    except RagError as error:
        log.warning("the models did not load: %s", error)  # the tool that needs them says it again
