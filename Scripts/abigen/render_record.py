"""include/abi/dfmerge.json: the interface for programs that check or bind it."""

from __future__ import annotations

import json
from typing import Any

from abigen import doc_comments
from abigen.model import Function, Interface


def record(interface: Interface) -> str:
    """The record as JSON text, in the order of the header."""
    types = interface.types
    content: dict[str, Any] = {
        "generated_by": "Scripts/abigen; do not edit",
        "version": interface.version.string,
        "abi": interface.version.abi,
        "handles": types.handles,
        "typedefs": types.typedefs,
        "constants": types.constants,
        "callbacks": {
            name: {"returns": callback.returns, "parameters": callback.parameters}
            for name, callback in types.callbacks.items()
        },
        "functions": [
            {"group": group.title, **_function(function)}
            for group in interface.groups
            for function in group.functions
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _function(function: Function) -> dict[str, Any]:
    return {
        "name": function.name,
        "returns": function.returns,
        "statuses": doc_comments.statuses(function),
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type,
                "direction": parameter.doc.direction,
                "ownership": parameter.doc.ownership,
                "nullable": parameter.doc.nullable,
            }
            for parameter in function.parameters
        ],
    }
