"""The API's description as one plain page, written from the OpenAPI document. Loads nothing from anywhere."""

from html import escape
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f2;padding:.8rem;overflow:auto}
h2{margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1rem}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #e5e5e5;padding:.3rem .6rem .3rem 0;text-align:left;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}pre{background:#222}td,th,h2{border-color:#333}}
"""


def docs_page(document: dict[str, Any]) -> str:
    """HTML of every operation, its fields and their limits."""
    schemas = document.get("components", {}).get("schemas", {})
    sections = [
        _operation(method, path, operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}: API</title><style>{_STYLE}</style><h1>{title}: API</h1>"
        "<p>Send your key as <code>Authorization: Bearer &lt;key&gt;</code>. "
        'Machines read <a href="/openapi.json">/openapi.json</a>.</p>' + "".join(sections) + "</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    summary = escape(operation.get("summary", ""))
    head = f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{summary}</p>"
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if not content:
        return head
    schema = _resolve(content.get("schema", {}), schemas)
    required = set(schema.get("required", ()))
    rows = [_row(name, one, name in required) for name, one in schema.get("properties", {}).items()]
    return head + "<table><tr><th>field<th>value<th></tr>" + "".join(rows) + "</table>"


def _row(name: str, schema: dict[str, Any], required: bool) -> str:
    note = "required" if required else ""
    return f"<tr><td><code>{escape(name)}</code><td>{escape(_kind(schema))}<td>{note}</tr>"


def _resolve(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return schemas.get(reference.rpartition("/")[2], {}) if reference else schema


def _kind(schema: dict[str, Any]) -> str:
    """One line for what a field takes, with its limits."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(kind for one in schema["anyOf"] if (kind := _kind(one)) != "null") or "anything"
    if "enum" in schema or "const" in schema:
        return " | ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        kind = f"list of {_kind(schema.get('items', {}))}"
    limits = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "maxLength": "at most",
        "maxItems": "at most",
    }
    words = [f"{word} {schema[name]}" for name, word in limits.items() if name in schema]
    return f"{kind} ({', '.join(words)})" if words else kind
