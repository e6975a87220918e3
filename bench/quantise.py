"""Writes a Q4_0 copy of a Q4_1 GGUF, so that every contestant can also be run on the format engines are fastest with.

Tensors in Q4_1 are dequantised and rounded again; all others and the metadata stay as they are. The copy's quality is
of no interest here, only how fast it runs.
"""

import sys
from pathlib import Path

from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from gguf.quants import dequantize, quantize

FROM, TO = GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q4_0
TYPE_FIELD = "general.file_type"


def as_q4_0(source: Path, target: Path) -> Path:
    """Write the copy to `target` unless it is there and newer than `source`; returns `target`. Takes seconds."""
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    reader = GGUFReader(source)
    writer = GGUFWriter(unfinished, reader.fields["general.architecture"].contents())
    _copy_fields(reader, writer)
    for tensor in reader.tensors:
        if tensor.tensor_type is FROM:
            data, kind = quantize(dequantize(tensor.data, FROM), TO), TO
        else:
            data, kind = tensor.data, tensor.tensor_type
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(target)
    return target


def _copy_fields(reader: GGUFReader, writer: GGUFWriter) -> None:
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue  # the writer sets these itself
        kind = field.types[0]
        value = LlamaFileType.MOSTLY_Q4_0.value if field.name == TYPE_FIELD else field.contents()
        writer.add_key_value(field.name, value, kind, field.types[-1] if kind is GGUFValueType.ARRAY else None)


if __name__ == "__main__":
    print(as_q4_0(Path(sys.argv[1]), Path(sys.argv[2])))
