"""TypeScript types and limits of the HTTP API, generated from its OpenAPI description.

    python web/build/api_types.py [--check]

Writes ``web/src/api/schemas.ts``; with ``--check`` it only compares. A field that may be null and is not required is
left out of answers, so its type has a question mark; a field with a default is always sent.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soundloom.library import Library
from soundloom.server import create_app

OUT = Path(__file__).parents[1] / "src" / "api" / "schemas.ts"
HEAD = """\
/** Generated from the server's OpenAPI description by web/build/api_types.py: not to be changed by hand. */
"""
TYPES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
UNUSED = re.compile("ValidationError|^Body_")
LIMITS = ("maximum", "maxLength", "maxItems")


def main() -> None:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description="types of the page from the description of the API")
    parser.add_argument("--check", action="store_true", help="fail if the file is not as it would be written")
    check = parser.parse_args().check
    text = generated()
    if not check:
        OUT.write_text(text, "utf-8")
    elif text != OUT.read_text("utf-8"):
        sys.exit(f"{OUT} is not of this API: run python web/build/api_types.py")


def generated() -> str:
    """The file as it is to be."""
    with tempfile.TemporaryDirectory() as folder:
        described = create_app(Library.create(Path(folder) / "empty.loom", "logmel")).openapi()
    parts = [HEAD]
    for name, schema in sorted(described["components"]["schemas"].items()):
        if not UNUSED.search(name):
            parts.append(declared(name, schema))
    parts.append(limits(described))
    return "\n".join(parts)


def declared(name: str, schema: Mapping[str, Any]) -> str:
    """A schema as an interface, or as a type where it is no object."""
    said = comment(schema, "")
    if "properties" not in schema:
        return f"{said}export type {name} = {written(schema)};\n"
    required = schema.get("required", [])
    lines = []
    for field, about in schema["properties"].items():
        absent = field not in required and about.get("default") is None
        kind = written(about)
        lines.append(f"{comment(about, '  ')}  {field}{'?' if absent else ''}: {kind};")
    return f"{said}export interface {name} {{\n" + "\n".join(lines) + "\n}\n"


def written(schema: Mapping[str, Any]) -> str:
    """A type as TypeScript writes it."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(written(one) for one in schema["anyOf"]))
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(repr(one) for one in schema["enum"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(map(written, schema['prefixItems']))}]"
        inner = written(schema.get("items", {}))
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"Record<string, {written(values) if isinstance(values, dict) else 'unknown'}>"
    return TYPES.get(schema.get("type", ""), "unknown")


def comment(schema: Mapping[str, Any], indent: str) -> str:
    """A description as a comment on a line of its own."""
    said = " ".join(str(schema.get("description", "")).split()).replace("*/", "* /")
    return f"{indent}/** {said} */\n" if said else ""


def limits(described: Mapping[str, Any]) -> str:
    """The greatest values of parameters and fields: operation or body -> name -> number."""
    owners: dict[str, dict[str, Any]] = {}
    for methods in described["paths"].values():
        for about in methods.values():
            owners[about["operationId"]] = {one["name"]: one["schema"] for one in about.get("parameters", [])}
    owners |= {name: one.get("properties", {}) for name, one in described["components"]["schemas"].items()}
    lines = []
    for owner, fields in sorted(owners.items()):
        known = {
            name: int(one[limit])
            for name, schema in fields.items()
            for one in [schema, *schema.get("anyOf", [])]
            for limit in LIMITS
            if limit in one
        }
        if known:
            lines.append(f"  {owner}: {{ {', '.join(f'{name}: {value}' for name, value in known.items())} }},\n")
    said = "/** Greatest values, lengths and counts of parameters, and of fields of requests. */\n"
    return f"{said}export const limits = {{\n{''.join(lines)}}} as const;\n"


if __name__ == "__main__":
    main()
