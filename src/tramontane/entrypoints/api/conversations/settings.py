"""What a conversation is set to: its tools, completion arguments and metadata, checked alike wherever they come from."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tramontane.entrypoints.api.dialects.fields import (
    Effort,
    Penalty,
    Prediction,
    ResponseFormat,
    Share,
    Stop,
    TokenCount,
)
from tramontane.entrypoints.api.dialects.messages import Items, ToolDefinition, check_schema_numbers, read_tools
from tramontane.entrypoints.api.dialects.mistral import MistralTemperature, Seed
from tramontane.foundation.errors import InvalidFields

MOST_METADATA_BYTES = 16_384
MOST_SETTINGS_BYTES = 262_144
"""Of tools and of completion_args each, as they are kept: lists show them for every conversation."""
Settings = TypeVar("Settings")
BUILT_IN = frozenset({
    "web_search", "web_search_premium", "code_interpreter", "image_generation", "document_library", "connector",
})  # fmt: skip


def _small(written: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(written)) > MOST_METADATA_BYTES:
        raise ValueError(f"metadata takes up to {MOST_METADATA_BYTES} bytes of JSON")
    return written


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]


class CompletionArgs(BaseModel):
    """How answers are made."""

    model_config = ConfigDict(strict=True, extra="ignore")

    stop: Annotated[str, Field(max_length=256)] | Annotated[Items[Stop], Field(max_length=16)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    temperature: MistralTemperature | None = None
    top_p: Share | None = None
    top_k: TokenCount | None = None
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: TokenCount | None = None
    random_seed: Seed | None = None
    prediction: Prediction | None = None
    response_format: ResponseFormat | None = None
    tool_choice: Literal["auto", "none", "any", "required"] | None = None
    reasoning_effort: Effort | None = None

    def read(self) -> dict[str, Any]:
        """As they are kept: only what was said. Raises InvalidFields for a format without its schema."""
        written = self.response_format
        if written is not None and written.type == "json_schema":
            field = "completion_args.response_format.json_schema"
            if written.json_schema is None:
                raise InvalidFields.of(field, "json_schema is missing; send {name, schema}", "missing")
            check_schema_numbers(written.json_schema.schema_, f"{field}.schema")
        return _bounded("completion_args", self.model_dump(mode="json", exclude_none=True, by_alias=True))


def _bounded(field: str, settings: Settings) -> Settings:
    """Raises InvalidFields for what would weigh on every list of conversations."""
    if len(msgspec.json.encode(settings)) > MOST_SETTINGS_BYTES:
        raise InvalidFields.of(field, f"{field} takes up to {MOST_SETTINGS_BYTES} bytes of JSON; send less")
    return settings


def _known_tools(written: Any) -> Any:
    """Named one by one, so that the refusal says what is served."""
    for one in written if isinstance(written, list) else ():
        kind = one.get("type") if isinstance(one, dict) else None
        if isinstance(kind, str) and kind in BUILT_IN:
            raise ValueError(f"{kind} is not served here; tools of the type function are, which the caller runs")
    return written


Tools = Annotated[Annotated[Items[ToolDefinition], Field(max_length=128)], BeforeValidator(_known_tools)]


class KeptSettings(BaseModel):
    """What a conversation keeps for all of its turns, checked alike wherever it comes from."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tools: Tools | None = None
    completion_args: CompletionArgs | None = None
    metadata: Metadata | None = None


def kept_tools(tools: list[ToolDefinition] | None) -> list[dict[str, Any]]:
    """As they are kept. Raises InvalidFields."""
    read_tools(tools)
    return _bounded("tools", [tool.model_dump(mode="json", exclude_none=True) for tool in tools or ()])


def checked_setting(field: str, written: Any) -> Any:
    """One setting of a file as if it had been sent: what is kept of it. Raises InvalidFields."""
    _bounded(field, written)
    try:
        read = KeptSettings.model_validate({field: written})
    except (ValidationError, RecursionError):
        raise InvalidFields.of(field, f"{field} is not as the API takes it; send it as the API describes it") from None
    if read.completion_args is not None:
        return read.completion_args.read()
    return read.metadata if read.tools is None else kept_tools(read.tools)
