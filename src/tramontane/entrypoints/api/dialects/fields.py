"""The generation fields both dialects share, with their ranges, and how they become sampling, limits and format.

One base class per request body; the dialects add what differs. Unknown fields are kept aside so that the answer can
name what was ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tramontane.entrypoints.api.dialects.messages import (
    AnyMessage,
    Items,
    Name,
    Part,
    ToolChoiceField,
    ToolDefinition,
    check_schema_numbers,
    read_message,
    read_tool_choice,
    read_tools,
)
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import AnswerFormat, Ask, Limits, Sampling

MOST_TOKENS = 2**31 - 1
LARGEST_SEED = 2**63 - 1
Stop = Annotated[str, Field(min_length=1, max_length=256)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
TokenCount = Annotated[int, Field(ge=1, le=MOST_TOKENS)]
Bias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
TokenId = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]
MOST_BIASES = 300


def _few(written: object) -> object:
    """Counted before its entries are looked at, since every wrong entry costs an error."""
    if isinstance(written, dict) and len(written) > MOST_BIASES:
        raise PydanticCustomError("too_long", f"at most {MOST_BIASES} tokens can be biased; send fewer")
    return written


Biases = Annotated[dict[TokenId, Bias], BeforeValidator(_few), Field(json_schema_extra={"maxProperties": MOST_BIASES})]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class StreamOptions(Part):
    include_usage: bool = False


class JsonSchema(Part):
    model_config = ConfigDict(strict=True, extra="ignore", serialize_by_alias=True)

    name: Name
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Part):
    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None


class Prediction(Part):
    type: Literal["content"] = "content"
    content: str = ""


class GenerationBody(BaseModel):
    """What every request for generated text may say. Values are exact: a number in quotes is not a number."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: Name
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Field(ge=-1, le=MOST_TOKENS)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: TokenCount | None = None
    min_tokens: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = None
    ignore_eos: bool | None = False
    stop: str | Annotated[Items[Stop], Field(max_length=16)] | None = None
    presence_penalty: Penalty | None = 0.0
    frequency_penalty: Penalty | None = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)] | None = None
    logit_bias: Biases | None = None
    n: Annotated[int, Field(ge=1, le=8)] | None = 1
    seed: Annotated[int, Field(ge=-(2**63), le=LARGEST_SEED)] | None = None
    metadata: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    user: str | None = None

    @property
    def wants_usage_chunk(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def read_sampling(self, seed: int | None) -> Sampling:
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=None if self.top_k is None else max(0, self.top_k),
            min_p=self.min_p,
            seed=None if seed is None else seed & LARGEST_SEED,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            repetition_penalty=self.repetition_penalty,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
        )

    def read_limits(self, max_tokens: int | None) -> Limits:
        min_tokens = self.min_tokens or 0
        if max_tokens is not None and min_tokens > max_tokens:
            message = f"min_tokens is {min_tokens} but max_tokens is {max_tokens}; lower min_tokens"
            raise InvalidFields.of("min_tokens", message)
        return Limits(
            max_tokens=max_tokens, min_tokens=min_tokens, stop=self.read_stop(), ignore_eos=bool(self.ignore_eos)
        )

    def read_stop(self) -> tuple[str, ...]:
        if self.stop is None or self.stop == "":
            return ()
        if isinstance(self.stop, list):
            return tuple(self.stop)
        if len(self.stop) > 256:
            raise InvalidFields.of("stop", "a stop text is longer than 256 characters; use a shorter one")
        return (self.stop,)


class ChatBody(GenerationBody):
    """A chat request as both dialects write it."""

    messages: Annotated[Items[AnyMessage], Field(min_length=1, max_length=10_000)]
    max_completion_tokens: TokenCount | None = None
    tools: Annotated[Items[ToolDefinition], Field(max_length=128)] | None = None
    tool_choice: ToolChoiceField | None = None
    parallel_tool_calls: bool | None = True
    response_format: ResponseFormat | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: Effort | None = None
    prediction: Prediction | None = None

    def read_chat(self, request_id: str, seed: int | None, deadline_ms: int | None) -> Ask:
        """The whole request as an Ask. Raises InvalidFields for fields that do not go together."""
        tools = read_tools(self.tools)
        count = self.n or 1
        if self.prediction is not None and count > 1:
            raise InvalidFields.of("prediction", "prediction works with one answer only; set n to 1")
        return Ask(
            id=request_id,
            model=self.model,
            kind="chat",
            messages=tuple(read_message(message) for message in self.messages),
            tools=tools,
            tool_choice=read_tool_choice(self.tool_choice, self.parallel_tool_calls is not False, tools),
            answer=self.read_format(),
            sampling=self.read_sampling(seed),
            limits=self.read_limits(self.max_completion_tokens or self.max_tokens),
            n=count,
            logprobs=self.read_logprobs(),
            reasoning_effort=self.reasoning_effort,
            prediction=self.prediction.content if self.prediction and self.prediction.content else None,
            deadline_ms=deadline_ms,
        )

    def read_logprobs(self) -> int | None:
        if not self.logprobs:
            if self.top_logprobs:
                raise InvalidFields.of("top_logprobs", "top_logprobs needs logprobs; set logprobs to true")
            return None
        return self.top_logprobs or 0

    def read_format(self) -> AnswerFormat:
        written = self.response_format
        if written is None or written.type == "text":
            return AnswerFormat()
        if written.type == "json_object":
            return AnswerFormat(kind="json_object")
        if written.json_schema is None:
            raise InvalidFields.of(
                "response_format.json_schema", "json_schema is missing; send {name, schema}", "missing"
            )
        schema = written.json_schema.schema_
        check_schema_numbers(schema, "response_format.json_schema.schema")
        return AnswerFormat(
            kind="json_schema", name=written.json_schema.name, schema=schema, strict=written.json_schema.strict is True
        )
