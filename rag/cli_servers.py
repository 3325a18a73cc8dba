"""The command that looks for model servers on this machine."""

import dataclasses
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rag.models.servers import FoundServer, find_servers
from rag.servers.served import ServedModel
from rag.terminal import out, print_json


def register(models_app: typer.Typer) -> None:
    """Add `rag models servers`."""
    models_app.command("servers")(list_servers)


def list_servers(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """The model servers that run on this machine, such as Ollama or LM Studio, and their models."""
    found = find_servers()
    if as_json:
        print_json({"servers": [_form(server) for server in found]})
        return
    if not found:
        out.print("No model server runs on this machine, at least on none of the usual ports.")
        return
    table = Table("server", "model", "context", "what to set", box=None, header_style="bold")
    for server in found:
        for model in server.models:
            name = f"{model.name}, sees" if model.sees else model.name
            setting = "RAG_EMBEDDER" if model.embeds else "RAG_GENERATOR"
            table.add_row(server.kind, escape(name), _room(model), escape(f"{setting}={server.reference(model.name)}"))
        if server.problem or not server.models:
            table.add_row(server.kind, "", "", escape(f"{server.url}: {server.problem or 'it has no models yet'}"))
    out.print(table)


def _form(server: FoundServer) -> dict[str, object]:
    models = [dataclasses.asdict(model) | {"reference": server.reference(model.name)} for model in server.models]
    return {"kind": server.kind, "url": server.url, "problem": server.problem, "models": models}


def _room(model: ServedModel) -> str:
    """The tokens that it has room for, or could have while it is not loaded."""
    if model.context:
        return str(model.context)
    return f"up to {model.trained}" if model.trained else ""
