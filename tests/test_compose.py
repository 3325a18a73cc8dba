"""compose.yaml keeps its promises. No container is started: that the file says it is all that is tested."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from rag.config import Settings
from rag.store.weaviate_connection import Address

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
PROGRAM, SERVER = SERVICES["commonplace"], SERVICES["weaviate"]


def test_nothing_is_reachable_from_another_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 2
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert PROGRAM["network_mode"] == "host"  # where the program itself refuses any address but loopback
    assert "RAG_HOST" not in PROGRAM["environment"]
    assert "network_mode" not in SERVER


def test_the_program_is_told_where_the_server_is() -> None:
    address = Address.parse(PROGRAM["environment"]["RAG_STORE"])
    assert {f"127.0.0.1:{address.port}:8080", f"127.0.0.1:{address.grpc_port}:50051"} == set(SERVER["ports"])
    assert address.host == "127.0.0.1"
    assert parse_qs(urlsplit(PROGRAM["environment"]["RAG_STORE"]).query) == {"grpc": [str(address.grpc_port)]}


def test_every_setting_of_the_program_exists() -> None:
    for name in PROGRAM["environment"]:
        assert name.removeprefix("RAG_").lower() in Settings.model_fields, name


def test_the_server_is_of_one_version_and_calls_nowhere() -> None:
    assert SERVER["image"] == "cr.weaviate.io/semitechnologies/weaviate:1.39.0"
    for name in ("DISABLE_TELEMETRY", "API_BASED_MODULES_DISABLED", "GO_PROFILING_DISABLE"):
        assert SERVER["environment"][name] == "true"


def test_the_server_asks_for_a_key_that_is_in_no_file_of_ours() -> None:
    environment = SERVER["environment"]
    assert environment["AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED"] == "false"
    assert environment["AUTHENTICATION_APIKEY_ENABLED"] == "true"
    assert environment["AUTHENTICATION_APIKEY_ALLOWED_KEYS"].startswith("${RAG_WEAVIATE_API_KEY:?")
    assert environment["AUTHENTICATION_APIKEY_ALLOWED_KEYS"] == PROGRAM["environment"]["RAG_WEAVIATE_API_KEY"]
    assert environment["AUTHENTICATION_APIKEY_USERS"] == environment["AUTHORIZATION_ADMINLIST_USERS"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    assert service["restart"] == "unless-stopped"


def test_the_program_waits_for_a_server_that_is_ready() -> None:
    assert PROGRAM["depends_on"] == {"weaviate": {"condition": "service_healthy"}}
    assert "/v1/.well-known/ready" in SERVER["healthcheck"]["test"][-1]


def test_data_lies_in_named_volumes_and_documents_are_only_read() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service["volumes"]]
    named = {volume.partition(":")[0] for volume in mounted if not volume.startswith("${")}
    assert named == COMPOSE["volumes"].keys()
    assert [volume for volume in mounted if volume.startswith("${")] == ["${DOCUMENTS:-./corpus}:/documents:ro"]
    assert f"weaviate:{SERVER['environment']['PERSISTENCE_DATA_PATH']}" in mounted
    assert f"backups:{SERVER['environment']['BACKUP_FILESYSTEM_PATH']}" in mounted
    assert f"library:{PROGRAM['environment']['RAG_HOME']}" in mounted


def test_the_program_gets_a_gpu() -> None:
    (device,) = PROGRAM["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_what_the_image_copies_holds_no_secret_and_no_environment() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert {".git", ".venv", ".env"} <= set(ignored)
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert "\nUSER commonplace\n" in dockerfile
    assert "rag.bootstrap setup" in dockerfile
