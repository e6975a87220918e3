"""Embedding requests of both dialects, and how vectors are written: floats, base64, bytes or bits."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tramontane.entrypoints.api.dialects.messages import Items, Name
from tramontane.entrypoints.api.dialects.openai import TokenIds
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import EmbedAsk, Spend

MOST_INPUTS = 2048
Text = Annotated[str, Field(min_length=1)]
DataType = Literal["float", "int8", "uint8", "binary", "ubinary"]
Dimensions = Annotated[int, Field(ge=1, le=65536)]


class EmbeddingBody(BaseModel):
    """What both dialects say."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: Name
    input: (
        Text
        | TokenIds
        | Annotated[Items[Text], Field(min_length=1, max_length=MOST_INPUTS)]
        | Annotated[Items[TokenIds], Field(min_length=1, max_length=MOST_INPUTS)]
    )
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Dimensions | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None

    def read_inputs(self) -> tuple[str | tuple[int, ...], ...]:
        if isinstance(self.input, str):
            return (self.input,)
        if isinstance(self.input[0], int):
            return (tuple(self.input),)
        return tuple(one if isinstance(one, str) else tuple(one) for one in self.input)


class OpenAIEmbedding(EmbeddingBody):
    """`POST /openai/v1/embeddings`."""

    def read(self, request_id: str) -> EmbedAsk:
        return EmbedAsk(id=request_id, model=self.model, inputs=self.read_inputs(), dimensions=self.dimensions)


class MistralEmbedding(EmbeddingBody):
    """`POST /v1/embeddings`."""

    output_dimension: Dimensions | None = None
    output_dtype: DataType | None = "float"

    def read(self, request_id: str) -> EmbedAsk:
        dimensions = self.output_dimension or self.dimensions
        packed = self.output_dtype in ("binary", "ubinary")
        if packed and dimensions is not None and dimensions % 8:
            raise InvalidFields.of("output_dimension", f"{dimensions} bits do not fill bytes; use a multiple of 8")
        return EmbedAsk(id=request_id, model=self.model, inputs=self.read_inputs(), dimensions=dimensions)


def quantise(row: bytes, kind: DataType) -> np.ndarray:
    """One float32 row as `kind`: int8 and uint8 scale [-1, 1], binary kinds pack one sign bit per value."""
    vector = np.frombuffer(row, "<f4")
    if kind == "float":
        return vector
    if kind == "int8":
        return np.clip(np.rint(vector * 127), -128, 127).astype(np.int8)
    if kind == "uint8":
        return np.clip(np.rint((vector + 1) * 127.5), 0, 255).astype(np.uint8)
    packed = np.packbits(vector > 0)
    return packed if kind == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)


def write_vector(row: bytes, kind: DataType, encoding: str) -> list[float] | str:
    """The vector as JSON numbers, or as base64 of its little-endian bytes."""
    vector = quantise(row, kind)
    return base64.b64encode(vector.tobytes()).decode("ascii") if encoding == "base64" else vector.tolist()


def embedding_answer(
    body: EmbeddingBody, request_id: str, rows: Sequence[bytes], spend: Spend, kind: DataType = "float"
) -> dict[str, Any]:
    """The response of both dialects."""
    encoding = body.encoding_format or "float"
    data = [
        {"object": "embedding", "index": index, "embedding": write_vector(row, kind, encoding)}
        for index, row in enumerate(rows)
    ]
    usage = {"prompt_tokens": spend.prompt_tokens, "completion_tokens": 0, "total_tokens": spend.prompt_tokens}
    return {"id": request_id, "object": "list", "model": body.model, "data": data, "usage": usage}
