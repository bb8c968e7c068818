"""Swift types, as the symbol graph spells them, to C types."""

from __future__ import annotations

import re

from abigen.model import AbigenError

SCALARS = {
    "Int32": "int32_t",
    "Int64": "int64_t",
    "UInt64": "uint64_t",
    "Double": "double",
    "Float": "float",
}
ALLOWED = "Int32, Int64, UInt64, Double, Float, dfm_* types, pointers to them, and handles"
_RAW_POINTERS = {"UnsafeRawPointer": "const void *", "UnsafeMutableRawPointer": "void *"}
_POINTER = re.compile(r"Unsafe(Mutable)?Pointer<(.+)>")
_HANDLE = re.compile(r"DFM([A-Z][A-Za-z0-9]*)Ref")


def handle_name(alias: str) -> str | None:
    """The C name of a handle alias: ``DFMMergePlanRef`` is ``dfm_merge_plan``; else None."""
    match = _HANDLE.fullmatch(alias)
    if match is None:
        return None
    return "dfm" + re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), match[1])


class TypeMap:
    """The types that the C interface may use.

    handles: Swift alias to C name. typedefs, callbacks: names of the types header.
    """

    def __init__(self, handles: dict[str, str], typedefs: set[str], callbacks: set[str]) -> None:
        self.handles = handles
        self.typedefs = typedefs
        self.callbacks = callbacks

    def returned(self, swift: str) -> str:
        """The C type of a result."""
        return "void" if swift in ("", "()", "Void") else self.parameter(swift)

    def parameter(self, swift: str) -> str:
        """The C type of a parameter."""
        optional = swift.endswith(("?", "!"))
        return self._convert(swift.rstrip("?!"), optional)

    def _convert(self, swift: str, optional: bool) -> str:
        if "->" in swift:
            raise AbigenError(
                f"has the inline closure type '{swift}'; "
                "name it in dfmerge_types.h as dfm_<noun>_fn"
            )
        pointer = self._pointer(swift)
        if pointer is not None:
            # C can pass NULL whatever the header says, and NULL in a non-optional is undefined.
            # A result is optional because that is how the compiler reads the header back.
            if not optional:
                raise AbigenError(f"has the type '{swift}', which can be NULL in C; add '?'")
            return pointer
        if swift in SCALARS:
            return SCALARS[swift]
        if swift in self.typedefs:
            return swift
        if swift == "OpaquePointer":
            raise AbigenError(
                "has the type 'OpaquePointer'; use `public typealias DFM<Noun>Ref = OpaquePointer`"
            )
        raise AbigenError(f"has the type '{swift}', which is not one of: {ALLOWED}")

    def _pointer(self, swift: str) -> str | None:
        if swift in _RAW_POINTERS:
            return _RAW_POINTERS[swift]
        if swift in self.handles:
            return self.handles[swift] + " *"
        if swift in self.callbacks:
            return swift
        match = _POINTER.fullmatch(swift)
        if match is None:
            return None
        mutable, inner = match[1] is not None, match[2]
        pointee = "char" if inner == "CChar" else self.parameter(inner)
        if pointee.endswith("*"):
            return pointee + ("*" if mutable else "const *")
        return pointee + " *" if mutable else f"const {pointee} *"


def declare(c_type: str, name: str) -> str:
    """``type name`` with no space after a star."""
    return c_type + name if c_type.endswith("*") else f"{c_type} {name}"
