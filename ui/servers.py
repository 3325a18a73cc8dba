"""The model servers of this machine, such as Ollama or LM Studio, on the Models page: looked for when asked to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rag.models.servers import FoundServer
from ui.controls import button, problem
from ui.html import Html, tag

_WHAT = (
    "Ollama, LM Studio, llama-server or vLLM on this machine can write answers and find passages too. They are looked "
    "for on the ports that they usually listen on."
)


@dataclass(frozen=True, slots=True)
class Servers:
    """What was found; None: nobody has looked yet. `chosen` are the references that the next start would use."""

    found: Sequence[FoundServer] | None = None
    chosen: Collection[str] = ()

    def offers(self, reference: str) -> bool:
        """Whether `reference` is a model of a server that was found: a page can name no other."""
        return any(reference == server.reference(model.name) for server in self.found or () for model in server.models)

    def embeds(self, reference: str) -> bool:
        """Whether that model makes vectors and no text."""
        return any(
            bool(model.embeds) and reference == server.reference(model.name)
            for server in self.found or ()
            for model in server.models
        )


def render_servers(servers: Servers, trouble: str = "") -> Html:
    """The section of the page."""
    again = "Look again" if servers.found is not None else "Look for servers"
    return tag(
        "section",
        tag("h2", "Model servers"),
        tag("p", _WHAT, class_="aside"),
        tag("p", button(again, "find-servers", drawing="search")),
        problem(trouble) if trouble else None,
        tag("p", "None was found.", role="status") if servers.found == () else None,
        *(_server(server, servers.chosen) for server in servers.found or ()),
        class_="offers servers",
    )


def _server(server: FoundServer, chosen: Collection[str]) -> Html:
    words = server.problem or ("" if server.models else "it has no models yet")
    return tag(
        "section",
        tag("h3", f"{server.kind} at {server.url}"),
        tag("p", words) if words else None,
        *(_model(server, number, chosen) for number in range(len(server.models))),
        class_="offers",
    )


def _model(server: FoundServer, number: int, chosen: Collection[str]) -> Html:
    model = server.models[number]
    reference = server.reference(model.name)
    facts = [
        "finds passages by meaning" if model.embeds else "writes answers",
        "looks at pictures too" if model.sees else "",
        f"room for {model.context:,} tokens" if model.context else "",
        model.precision,
    ]
    kind = "embedder" if model.embeds else "generator"
    use = button("Use", "use-model", drawing="check", model=reference, kind=kind)
    mark = tag("span", "chosen", class_="chip mark") if reference in chosen else None
    return tag(
        "article",
        tag(
            "div",
            tag("p", tag("strong", model.name), mark, class_="offer-name"),
            tag("p", " · ".join(fact for fact in facts if fact), class_="small-print"),
            class_="offer-body",
        ),
        tag("div", None if mark else use, class_="offer-do"),
        class_="offer",
        aria_label=model.name,
    )
