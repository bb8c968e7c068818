"""What a C interface consists of, free of Swift, C and Python syntax."""

from __future__ import annotations

from dataclasses import dataclass, field


class AbigenError(Exception):
    """The interface breaks a rule, or a tool that is needed is missing or failed."""


@dataclass(frozen=True)
class ParameterDoc:
    """The doc comment of one parameter: ``[in] [nullable] text``."""

    direction: str  # "in", "out" or "inout"
    ownership: str | None  # "borrowed", "kept", "owned" or None
    nullable: bool
    lines: list[str]

    @property
    def tags(self) -> str:
        """The tags as written, in their fixed order."""
        tags = [self.direction, self.ownership, "nullable" if self.nullable else None]
        return " ".join(f"[{tag}]" for tag in tags if tag)


@dataclass(frozen=True)
class DocComment:
    """A function's doc comment, taken apart."""

    text: list[str]
    parameters: dict[str, ParameterDoc]
    returns: list[str]


@dataclass(frozen=True)
class Parameter:
    """One parameter in C terms."""

    name: str
    type: str
    doc: ParameterDoc


@dataclass(frozen=True)
class Function:
    """One exported function in C terms."""

    name: str
    returns: str
    parameters: list[Parameter]
    doc: DocComment


@dataclass(frozen=True)
class Group:
    """The functions of one Swift file, in the order of the file."""

    title: str
    functions: list[Function]


@dataclass(frozen=True)
class Callback:
    """A function pointer type of the types header."""

    returns: str
    parameters: list[str]


@dataclass(frozen=True)
class CDeclarations:
    """What clang sees in a C header, names starting with ``dfm_`` or ``DFM_`` only."""

    handles: list[str] = field(default_factory=list)
    typedefs: dict[str, str] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    functions: dict[str, tuple[str, list[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """The version of the library and of its C interface."""

    string: str
    abi: int

    @property
    def numbers(self) -> list[str]:
        """Major, minor and patch."""
        return self.string.split("-")[0].split("+")[0].split(".")


@dataclass(frozen=True)
class Interface:
    """Everything that the generated files say."""

    version: Version
    groups: list[Group]
    types: CDeclarations

    @property
    def functions(self) -> list[Function]:
        """All functions in the order of the header."""
        return [function for group in self.groups for function in group.functions]
