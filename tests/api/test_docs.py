"""Every curl command of docs/api.md does what the page says."""

import argparse
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag.records import document_id
from tests.api.serving import HOME

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")
BEES = document_id("/home/ada/notes/bees.md")
COMMANDS = [
    command
    for block in re.findall(r"```sh\n(.+?)```", PAGE, re.DOTALL)
    for command in re.findall(r"^curl (?:[^'\n]|'[^']*')+", block, re.MULTILINE)
]


def shown(client: TestClient) -> dict[str, str]:
    """What the page's names stand for: a list that a person was shown, and the first source in it."""
    found = client.post("/api/search", json={"query": "queen hive", "person": True}).json()
    return {"$DOCUMENT": BEES, "$SHOWN": found["shown"], "$CHUNK": found["hits"][0]["chunk"]}


def curl(client: TestClient, command: str) -> Any:
    """What curl would send, by the options that the page uses."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--json")
    parser.add_argument("-N", action="store_true")
    parser.add_argument("-G", action="store_true")
    parser.add_argument("-d", "--data-urlencode", action="append", default=[])
    for name, meant in shown(client).items():
        command = command.replace(name, meant)
    said = parser.parse_args(shlex.split(command)[1:])
    assert said.url.startswith(HOME)
    if said.json:
        return client.post(said.url, content=said.json, headers={"content-type": "application/json"})
    assert said.G or not said.data_urlencode
    return client.get(said.url, params=dict(each.split("=", 1) for each in said.data_urlencode) or None)


def test_the_page_has_commands_for_every_address() -> None:
    assert len(COMMANDS) == 9
    addresses = "/v1/chat/completions", "/v1/models", "/api/search", "/api/documents?", "/api/documents/"
    for address in (*addresses, "/api/feedback"):
        assert any(address in command for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_a_command_of_the_page_works(client: TestClient, command: str) -> None:
    answer = curl(client, command)
    assert answer.status_code == 200
    if '"stream": true' in command:
        assert answer.text.endswith("data: [DONE]\n\n")
        assert '"commonplace"' in answer.text
    elif "chat" in command:
        assert "half the hive in May" in answer.json()["choices"][0]["message"]["content"]
    elif "feedback" in command:
        assert list(answer.json()["chunks"].values()) == [["this"]]
    elif "search" in command:
        assert answer.json()["hits"][0]["document"] == BEES
    elif "$DOCUMENT" in command:
        assert answer.json()["id"] == BEES
    else:
        assert json.dumps(answer.json())


def test_the_example_for_agents_is_json_and_names_a_command() -> None:
    from typer.testing import CliRunner

    from rag.cli import app

    (example,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    server = json.loads(example)["mcpServers"]["commonplace"]
    assert server["command"] == "rag"
    assert CliRunner().invoke(app, [*server["args"], "--help"]).exit_code == 0
