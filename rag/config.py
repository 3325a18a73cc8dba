"""One frozen Settings: defaults < `rag.toml` in RAG_HOME < `RAG_*` environment < what the caller passes.

An unknown key anywhere is an error. Nothing happens at import.
"""

import os
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rag.errors import ConfigError

_PREFIX = "RAG_"


def default_home() -> Path:
    """RAG_HOME, else the platform's user data folder."""
    chosen = os.environ.get(_PREFIX + "HOME")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_data_dir("commonplace", False))


class Settings(BaseSettings):
    """What a person may choose. Each field can be set in `rag.toml` or as `RAG_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    home: Path = Field(default_factory=default_home, description="folder that holds everything")
    store: str = Field("lance", description="'lance' (in this folder), weaviate://host:port, or https://cluster")
    weaviate_api_key: SecretStr | None = Field(None, description="key of the Weaviate server, if it asks for one")
    weaviate_tenant: str | None = Field(
        None, description="tenant that the library is in a collection shared on the server; none: it has its own"
    )
    weaviate_ef: int = Field(400, ge=16, le=10_000, description="how far the server looks for near vectors, at least")
    weaviate_quantizer: Literal["none", "rq8", "rq1"] = Field(
        "none", description="vectors in the server's memory: whole, or rounded to 8 or 1 bit a number; for new indexes"
    )
    weaviate_replicas: int | None = Field(
        None, ge=1, le=9, description="nodes that keep a copy, for new indexes; none: the server's own default"
    )
    weaviate_consistency: Literal["one", "quorum", "all"] | None = Field(
        None, description="copies that must answer a request; none: the server's own default, a quorum"
    )
    embedder: str = Field(
        "auto",
        description="'auto' (the one that wrote the library's index), 'starter', 'hashing' (no model, words only), or "
        "the name or folder of a model, or http://127.0.0.1:PORT/v1#model; `rag models use` switches to another one",
    )
    generator: str = Field(
        "starter", description="'starter', 'none', a model's name, a GGUF file, or http://127.0.0.1:PORT/v1#model"
    )
    server_api_key: SecretStr | None = Field(None, description="key of the model server, if it asks for one")
    server_seconds: int = Field(120, ge=1, description="longest silence of a model server")
    server_sees: bool = Field(False, description="a model sees pictures whose server does not tell whether it does")
    allow_remote_servers: bool = Field(
        False, description="let questions, passages and pictures go to a model server on another machine"
    )
    image_embedder: str = Field(
        "auto", description="'auto' (one in the library's models folder, if any), 'none', or an open_clip model"
    )
    reranker: str = Field(
        "none", description="'none', 'auto' (one in the library's models folder, if any), a name there, or a folder"
    )
    rerank_ms: int = Field(500, ge=0, description="milliseconds that reranking may take for a question")
    mmproj: Path | None = Field(None, description="GGUF file of the language model's eyes (its mmproj), if it has any")
    prompt_pictures: int = Field(2, ge=0, le=16, description="pictures shown to a language model that sees")
    ocr: bool = Field(True, description="read the text in pictures and scanned pages")
    picture_location: bool = Field(True, description="keep the place where a photo was taken")
    max_megapixels: int = Field(120, ge=1, description="largest picture that is decoded, in million pixels")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where models run")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="of the embedder's weights")
    chunk_tokens: int = Field(200, ge=32, le=8192, description="largest chunk, in the embedder's tokens")
    feedback: bool = Field(
        True, description="keep, on this machine, what you were shown and chose, so that the search learns your words"
    )
    sources: int = Field(6, ge=1, le=50, description="sources shown beside an answer")
    context_tokens: int = Field(4096, ge=512, description="context of the language model, in its tokens")
    answer_tokens: int = Field(256, ge=16, description="longest answer, in the language model's tokens")
    gpu_layers: int = Field(-1, ge=-1, description="layers of the language model on the GPU; -1 means all that fit")
    max_file_mb: int = Field(64, ge=1, description="largest file that is read, in MiB")
    read_seconds: int = Field(120, ge=1, description="longest time that one file may take to read")
    workers: int = Field(0, ge=0, description="reader processes; 0 means one per core, at most 8")
    host: str = Field("127.0.0.1", description="address that `rag serve` listens on")
    api_token: SecretStr | None = Field(
        None, min_length=16, description="what programs and browsers must show; needed to listen beyond this machine"
    )
    port: int = Field(7860, ge=0, le=65535, description="port that `rag serve` listens on; 0 picks a free one")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        home = Path(init_settings().get("home") or default_home())
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, home / "rag.toml")


def load_settings(**chosen: Any) -> Settings:
    """The settings in force; `chosen` (flags) win, None there means not given.

    Raises:
        ConfigError: an unknown key or a bad value in `rag.toml`, the environment or `chosen`, or a broken file.
    """
    _refuse_unknown_environment()
    try:
        return Settings(**{key: value for key, value in chosen.items() if value is not None})
    except ValidationError as exc:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in exc.errors()]
        raise ConfigError("wrong setting: " + "; ".join(lines) + f". Known settings: {_known()}") from exc
    except ValueError as exc:  # tomllib's decode error
        raise ConfigError(f"cannot read {default_home() / 'rag.toml'}: {exc}") from exc


def _known() -> str:
    return ", ".join(sorted(Settings.model_fields))


def _refuse_unknown_environment() -> None:
    for name in os.environ:
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX).lower() not in Settings.model_fields:
            raise ConfigError(f"unknown environment variable {name!r}. Known settings: {_known()}")
