"""Getting models from a hub on loopback that cuts, hangs, lies and refuses; and from a folder, with no hub at all."""

import json
import os
import shutil
import threading
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from filelock import FileLock
from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled

from rag.errors import DiskFull, ModelCorrupt, ModelError, ModelNotFound
from rag.models import hub as hub_adapter
from rag.models import pull as pulling
from rag.models.catalogue import Entry
from rag.models.installed import installed_models, resolve
from rag.models.pull import Transfer, pull, remove
from tests.hub_server import COMMIT, Hub

from .conftest import CONFIG, WEIGHTS

REPOSITORY = "someone/small-embedder"
REFERENCE = f"hf:{REPOSITORY}"
SIZE = len(WEIGHTS)  # 25,600


@pytest.fixture
def offered(hub: Hub, embedder_files: dict[str, bytes]) -> Hub:
    hub.add(REPOSITORY, embedder_files)
    return hub


def left_in(home: Path) -> list[str]:
    """What lies in the models folder, but for the locks."""
    found = (path.relative_to(home / "models") for path in (home / "models").rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if path.suffix != ".lock")


def known(monkeypatch: pytest.MonkeyPatch, **more: object) -> Entry:
    """A catalogue of one model, the one on the hub."""
    facts = {"about": "", "gigabytes": 0.1, "licence": "mit", "languages": "English", **more}
    entry = Entry(name="small", kind="embedder", repository=REPOSITORY, **facts)
    monkeypatch.setattr(pulling, "find_entry", lambda name: entry if name == entry.name else None)
    return entry


# --- all goes well ---


def test_a_repository_becomes_a_folder_that_says_where_it_came_from(offered: Hub, own_home: Path) -> None:
    told: list[Transfer] = []
    found = pull(REFERENCE, own_home, on_progress=told.append)
    assert found is not None
    assert (found.name, found.kind, found.source, found.revision) == ("small-embedder", "embedder", REFERENCE, COMMIT)
    assert found.licence == "apache-2.0"
    assert set(found.files) == {
        *("config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json", "model.safetensors"),
    }
    assert (found.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert left_in(own_home) == sorted(f"small-embedder/{name}" for name in (*found.files, "manifest.json"))
    manifest = json.loads((found.folder / "manifest.json").read_text("utf-8"))
    assert manifest["files"]["model.safetensors"] == found.files["model.safetensors"]
    last = told[-1]
    total = sum(map(len, offered.repositories[REPOSITORY].files.values()))
    assert (last.file, last.total) == ("model.safetensors", total)  # the largest comes last
    assert all(before.done <= after.done for before, after in pairwise(told))


def test_what_is_installed_is_not_fetched_again(offered: Hub, own_home: Path) -> None:
    first = pull(REFERENCE, own_home)
    offered.requests.clear()
    assert pull(REFERENCE, own_home) == first
    assert offered.fetched() == []


def test_what_is_pinned_and_installed_needs_no_network(
    offered: Hub, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pull(f"{REFERENCE}@{COMMIT}", own_home)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert pull(f"{REFERENCE}@{COMMIT}", own_home) == first


def test_a_file_that_went_away_meanwhile(offered: Hub, own_home: Path) -> None:
    def on_progress(told: Transfer) -> None:
        if told.file == "model.safetensors":
            files = dict(offered.repositories[REPOSITORY].files)
            del files["model.safetensors"]
            offered.add(REPOSITORY, files)

    with pytest.raises(ModelNotFound, match=r"has no file 'model.safetensors' any more"):
        pull(REFERENCE, own_home, on_progress=on_progress)


def test_a_branch_is_pinned_to_its_commit(offered: Hub, own_home: Path) -> None:
    pull(f"{REFERENCE}@main", own_home)
    assert all(COMMIT in request.path for request in offered.requests if "/resolve/" in request.path)


def test_another_revision_does_not_replace_what_an_index_may_rely_on(
    offered: Hub, own_home: Path, embedder_files: dict[str, bytes]
) -> None:
    pull(REFERENCE, own_home)
    offered.add(REPOSITORY, {**embedder_files, "model.safetensors": WEIGHTS[::-1]}, commit="f" * 40)
    with pytest.raises(ModelError, match="another model is called 'small-embedder'"):
        pull(REFERENCE, own_home)
    assert (own_home / "models/small-embedder/model.safetensors").read_bytes() == WEIGHTS
    beside = pull(REFERENCE, own_home, name="newer")
    assert beside is not None
    assert beside.revision == "f" * 40


def test_only_what_is_needed_is_fetched(hub: Hub, own_home: Path, embedder_files: dict[str, bytes]) -> None:
    others = {"pytorch_model.bin": b"\x80", "onnx/model.onnx": b"o", "README.md": b"r", "onnx/model.safetensors": b"s"}
    hub.add(REPOSITORY, {**embedder_files, **others, "LICENSE": b"you may"})
    pull(REFERENCE, own_home)
    assert sorted(set(hub.fetched())) == [
        "LICENSE",
        "config.json",
        "model.safetensors",
        "modules.json",
        "tokenizer.json",
    ]


def test_gguf_files_stand_at_the_top_with_one_pair_of_eyes(hub: Hub, own_home: Path) -> None:
    files = {f"Q4_K_M/m-Q4_K_M-0000{n}-of-00002.gguf": b"GGUF%d" % n for n in (1, 2)}
    eyes = {"mmproj-m-bf16.gguf": b"GGUFb", "mmproj-m-f16.gguf": b"GGUFf"}
    hub.add("someone/m-GGUF", {**files, **eyes, "m-Q8_0.gguf": b"GGUF8"})
    found = pull("hf:someone/m-GGUF", own_home, name="m", patterns=["*Q4_K_M*", "mmproj-m-f16.gguf"])
    assert found is not None
    assert found.kind == "generator"
    assert resolve("m", own_home) == found.folder / "m-Q4_K_M-00001-of-00002.gguf"
    assert (found.folder / "mmproj-m-f16.gguf").is_file()


def test_of_several_quantisations_one_has_to_be_named(hub: Hub, own_home: Path) -> None:
    hub.add("someone/m-GGUF", {"m-Q4_K_M.gguf": b"GGUF", "m-Q8_0.gguf": b"GGUF"})
    with pytest.raises(ModelError, match=r"m-Q4_K_M.gguf, m-Q8_0.gguf.*--file"):
        pull("hf:someone/m-GGUF", own_home)
    assert left_in(own_home) == []


def test_prompts_that_a_model_was_trained_with_are_written_where_they_are_lacking(
    offered: Hub, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, prompts={"query": "query: "})
    files = dict(offered.repositories[REPOSITORY].files)
    offered.add(
        REPOSITORY, {**files, "config_sentence_transformers.json": b'{"prompts": {"query": "", "document": ""}}'}
    )
    found = pull("small", own_home)
    assert found is not None
    told = json.loads((found.folder / "config_sentence_transformers.json").read_text("utf-8"))
    assert told["prompts"] == {"query": "query: "}
    assert found.licence == "apache-2.0"  # what the hub says comes before what the catalogue says


# --- cut off, and gone on with ---


def test_a_connection_that_is_cut_is_taken_up_where_it_was(offered: Hub, own_home: Path) -> None:
    offered.cut["model.safetensors"] = [1000, 0, 5000]
    pull(REFERENCE, own_home)
    cdn = [r.range for r in offered.requests if r.path.startswith("/cdn/")]
    assert cdn == ["", "bytes=1000-", "bytes=1000-", "bytes=6000-"]
    assert (own_home / "models/small-embedder/model.safetensors").read_bytes() == WEIGHTS


def test_a_server_that_knows_no_ranges_is_begun_with_again(offered: Hub, own_home: Path) -> None:
    offered.cut["model.safetensors"] = [1000]
    offered.no_ranges.add("model.safetensors")
    pull(REFERENCE, own_home)
    assert (own_home / "models/small-embedder/model.safetensors").read_bytes() == WEIGHTS


def test_a_server_that_is_busy_for_a_while_is_asked_again(offered: Hub, own_home: Path) -> None:
    offered.busy["model.safetensors"] = [503, 429]
    pull(REFERENCE, own_home)
    assert (own_home / "models/small-embedder/model.safetensors").read_bytes() == WEIGHTS


def test_what_came_before_it_was_given_up_is_not_fetched_again(offered: Hub, own_home: Path) -> None:
    offered.cut["model.safetensors"] = [7000, *[0] * 5]
    with pytest.raises(ModelError, match=r"does not go on sending 'model.safetensors'.*run the same command again"):
        pull(REFERENCE, own_home)
    assert installed_models(own_home) == []
    offered.requests.clear()
    pull(REFERENCE, own_home)
    assert [r.range for r in offered.requests if r.path.startswith("/cdn/")] == ["bytes=7000-"]
    assert offered.ranges("config.json") == []  # it was there already
    assert (own_home / "models/small-embedder/model.safetensors").read_bytes() == WEIGHTS


def test_a_server_that_hangs_is_given_up(offered: Hub, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_adapter, "_PATIENCE", 0.5)
    offered.hanging.add("model.safetensors")
    with pytest.raises(ModelError, match="does not go on sending"):
        pull(REFERENCE, own_home)


def test_it_can_be_stopped_and_gone_on_with(
    hub: Hub, own_home: Path, embedder_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "_FRAME", 0.0)  # told of every piece
    large = bytes(3 << 20)
    hub.add(REPOSITORY, {**embedder_files, "model.safetensors": large})
    stop = threading.Event()

    def on_progress(told: Transfer) -> None:
        if told.done > 1 << 20:
            stop.set()

    assert pull(REFERENCE, own_home, on_progress=on_progress, stop=stop) is None
    assert installed_models(own_home) == []
    found = pull(REFERENCE, own_home)
    assert found is not None
    assert found.folder.joinpath("model.safetensors").stat().st_size == len(large)
    resumed = [r.range for r in hub.requests if r.path.startswith("/cdn/")]
    assert resumed[0] == ""
    assert resumed[1].startswith("bytes=")


def test_parts_of_another_revision_are_of_no_use(
    offered: Hub, own_home: Path, embedder_files: dict[str, bytes]
) -> None:
    offered.cut["model.safetensors"] = [7000, *[0] * 5]
    with pytest.raises(ModelError):
        pull(REFERENCE, own_home)
    offered.add(REPOSITORY, {**embedder_files, "model.safetensors": WEIGHTS[::-1]}, commit="f" * 40)
    pull(REFERENCE, own_home)
    assert (own_home / "models/small-embedder/model.safetensors").read_bytes() == WEIGHTS[::-1]
    assert not any("@" in name for name in left_in(own_home))


# --- not what was promised ---


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_bytes_than_promised_are_refused_and_nothing_is_left(offered: Hub, own_home: Path, name: str) -> None:
    content = offered.repositories[REPOSITORY].files[name]
    assert isinstance(content, bytes)
    offered.swapped[name] = bytes(len(content))
    with pytest.raises(ModelCorrupt, match=f"{name!r} of {REFERENCE} is not what was promised"):
        pull(REFERENCE, own_home)
    assert left_in(own_home) == []


def test_a_hub_that_disagrees_with_the_catalogue_is_refused_before_anything_is_fetched(
    offered: Hub, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, sha256={"model.safetensors": "0" * 64})
    with pytest.raises(ModelCorrupt, match="the catalogue says 0000"):
        pull("small", own_home)
    assert offered.fetched() == []


def test_a_file_that_is_longer_than_it_said_is_not_written_on(offered: Hub, own_home: Path) -> None:
    offered.swapped["model.safetensors"] = WEIGHTS + bytes(1000)
    found = pull(REFERENCE, own_home)
    assert found is not None  # what was promised came, and what followed it was not taken
    assert (found.folder / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "name",
    ["../evil.json", "/etc/evil.json", "a/../../evil.json", "..\\evil.json", "c:evil.json", "evil.json\n", "a/./."],
)
def test_a_file_that_would_lead_outside_is_refused(
    hub: Hub, own_home: Path, embedder_files: dict[str, bytes], name: str
) -> None:
    hub.add(REPOSITORY, {**embedder_files, name: b"{}"})
    with pytest.raises(ModelError, match="not a file name that may be written"):
        pull(REFERENCE, own_home)
    assert hub.fetched() == []
    assert not list(own_home.parent.rglob("evil.json*"))


def test_pickled_weights_are_refused(hub: Hub, own_home: Path, embedder_files: dict[str, bytes]) -> None:
    del embedder_files["model.safetensors"]
    hub.add(REPOSITORY, {**embedder_files, "pytorch_model.bin": WEIGHTS})
    with pytest.raises(ModelError, match=r"pytorch_model.bin.*pickled, which can run any code"):
        pull(REFERENCE, own_home)
    assert hub.fetched() == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("config.json", {"model_type": "of-their-own", "auto_map": {"AutoModel": "modeling.Model"}}),
        ("modules.json", [{"type": "their_code.Module"}]),
    ],
    ids=["code", "module"],
)
def test_a_model_that_needs_its_own_code_is_refused_before_its_weights(
    hub: Hub, own_home: Path, embedder_files: dict[str, bytes], name: str, told: object
) -> None:
    hub.add(REPOSITORY, {**embedder_files, name: json.dumps(told).encode()})
    with pytest.raises(ModelError, match="program code of its own"):
        pull(REFERENCE, own_home)
    assert "model.safetensors" not in hub.fetched()
    assert left_in(own_home) == []


@pytest.mark.parametrize(
    ("name", "told"), [("config.json", b"{"), ("config.json", b'["auto_map"]'), ("modules.json", b"{}")]
)
def test_a_configuration_that_is_none_is_refused(
    hub: Hub, own_home: Path, embedder_files: dict[str, bytes], name: str, told: bytes
) -> None:
    hub.add(REPOSITORY, {**embedder_files, name: told})
    with pytest.raises(ModelCorrupt, match=f"{name!r}.*nothing was installed"):
        pull(REFERENCE, own_home)
    assert left_in(own_home) == []


def test_what_no_part_of_the_program_uses_is_refused(hub: Hub, own_home: Path) -> None:
    files = {"config.json": b'{"architectures": ["GPT2LMHeadModel"]}', "tokenizer.json": b"{}"}
    hub.add(REPOSITORY, {**files, "model.safetensors": WEIGHTS})
    with pytest.raises(ModelError, match="no embedder, reranker, CLIP or language model"):
        pull(REFERENCE, own_home)
    assert left_in(own_home) == []


def test_a_model_with_code_that_the_library_has_too_is_taken(
    hub: Hub, own_home: Path, embedder_files: dict[str, bytes]
) -> None:
    told = {**json.loads(CONFIG), "auto_map": {"AutoModel": "modeling.Model"}}
    hub.add(REPOSITORY, {**embedder_files, "config.json": json.dumps(told).encode(), "modeling.py": b"import os"})
    found = pull(REFERENCE, own_home)
    assert found is not None
    assert not list(found.folder.glob("*.py"))


# --- the hub says no, or nothing that makes sense ---


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (403, "GatedRepo", ModelError, "accept its licence"),
        (401, "GatedRepo", ModelError, "accept its licence"),
        (403, "", ModelError, "accept its licence"),
        (401, "", ModelNotFound, "there is no 'someone/small-embedder'"),
        (404, "RepoNotFound", ModelNotFound, "there is no 'someone/small-embedder'"),
        (500, "", ModelError, "status 500"),
    ],
)
def test_a_refusal_says_what_to_do(
    offered: Hub, own_home: Path, status: int, code: str, kind: type[Exception], words: str
) -> None:
    offered.refused[REPOSITORY] = (status, code)
    with pytest.raises(kind, match=words):
        pull(REFERENCE, own_home)
    assert left_in(own_home) == []


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("hf:someone/unknown", "there is no 'someone/unknown'"),
        (f"{REFERENCE}@v9", "has no revision 'v9'"),
        ("hf:not a name/x", "not a name on the model hub|there is no"),
        ("no-such-model", "no model of the catalogue"),
        ("hf:../..", "cannot be called"),
        ("hf:someone/auto", "cannot be called 'auto'"),
    ],
)
def test_what_does_not_exist_is_named(offered: Hub, own_home: Path, reference: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        pull(reference, own_home)


def test_a_page_in_place_of_an_answer(offered: Hub, own_home: Path) -> None:
    offered.page = b"<html>Welcome to our hotel"
    with pytest.raises(ModelError, match="does not answer as a model hub does"):
        pull(REFERENCE, own_home)


def test_no_network_at_all(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the port of "discard", where nobody listens
    with pytest.raises(ModelError, match="is this machine online"):
        pull(REFERENCE, own_home)


# --- room ---


def test_the_disk_is_looked_at_first(offered: Hub, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=256 << 20))
    with pytest.raises(DiskFull, match=r"0.3 GB are needed .* and 0.3 GB are free"):
        pull(REFERENCE, own_home)
    assert offered.fetched() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_meanwhile(offered: Hub, own_home: Path) -> None:
    staging = own_home / "models/.partial" / f"small-embedder@{COMMIT}"
    staging.mkdir(parents=True)
    (staging / "model.safetensors.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="free some space, then run the same command again"):
        pull(REFERENCE, own_home)
    (staging / "model.safetensors.part").unlink()
    assert pull(REFERENCE, own_home) is not None


# --- nothing else goes out ---


def test_only_the_thread_that_pulls_may_go_out(offered: Hub, own_home: Path) -> None:
    refused: list[type[BaseException]] = []

    def meanwhile() -> None:
        try:
            HfApi(endpoint=offered.address).model_info(REPOSITORY)
        except OfflineModeIsEnabled as exc:
            refused.append(type(exc))

    def on_progress(_: Transfer) -> None:
        if not refused:
            thread = threading.Thread(target=meanwhile)
            thread.start()
            thread.join()

    assert pull(REFERENCE, own_home, on_progress=on_progress) is not None
    assert refused == [OfflineModeIsEnabled]
    with pytest.raises(OfflineModeIsEnabled):
        HfApi(endpoint=offered.address).model_info(REPOSITORY)
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_token_is_for_the_hub_and_not_for_where_it_leads(
    offered: Hub, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(REFERENCE, own_home)
    with_token = {request.host for request in offered.requests if request.authorized}
    assert with_token == {"127.0.0.1"}
    assert any(request.host == "localhost" for request in offered.requests)


# --- from a folder ---


def test_a_folder_is_copied_without_any_network(
    own_home: Path, embedder_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx2.Client, "send", lambda *_, **__: pytest.fail("it went out"))
    for name, data in embedder_files.items():
        (tmp_path / "stick" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "stick" / name).write_bytes(data)
    (tmp_path / "stick/notes.bin").write_bytes(b"not needed")
    found = pull(str(tmp_path / "stick"), own_home)
    assert found is not None
    assert (found.name, found.kind, found.source) == ("stick", "embedder", str(tmp_path / "stick"))
    assert not (found.folder / "notes.bin").exists()
    assert pull(str(tmp_path / "stick"), own_home) == found


def test_a_gguf_file_is_copied_under_its_name(own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "Tiny-Q4_1.gguf").write_bytes(b"GGUF")
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    found = pull(str(tmp_path / "Tiny-Q4_1.gguf"), own_home)
    assert found is not None
    assert sorted(found.files) == ["Tiny-Q4_1.gguf"]
    assert resolve("Tiny-Q4_1", own_home) == found.folder / "Tiny-Q4_1.gguf"


def test_a_file_that_is_no_model_is_named(own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"\x80")
    with pytest.raises(ModelError, match="no GGUF file"):
        pull(str(tmp_path / "weights.bin"), own_home)


# --- removing, and two at once ---


def test_removing_frees_the_name_and_the_room(offered: Hub, own_home: Path) -> None:
    pull(REFERENCE, own_home)
    assert remove("small-embedder", own_home) > SIZE
    assert left_in(own_home) == []
    assert pull(REFERENCE, own_home) is not None


def test_removing_takes_what_came_of_one_that_was_cut_off(offered: Hub, own_home: Path) -> None:
    offered.cut["model.safetensors"] = [7000, *[0] * 5]
    with pytest.raises(ModelError):
        pull(REFERENCE, own_home)
    assert remove("small-embedder", own_home) > 7000
    assert left_in(own_home) == []


@pytest.mark.parametrize("name", ["unknown", "../models", ".partial", ""])
def test_removing_what_is_not_there(own_home: Path, name: str) -> None:
    with pytest.raises(ModelNotFound, match="there is no model"):
        remove(name, own_home)


def test_two_do_not_pull_the_same_model_at_once(offered: Hub, own_home: Path) -> None:
    (own_home / "models/.partial").mkdir(parents=True)
    with FileLock(own_home / "models/.partial/small-embedder.lock"), pytest.raises(ModelError, match="another command"):
        pull(REFERENCE, own_home)
    assert pull(REFERENCE, own_home) is not None
