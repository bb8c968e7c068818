"""Finds and loads ``libdfmerge``, and checks that it fits this package.

The first of these that is there is loaded, and no other: one that cannot be used is an error, never
a reason to go on quietly with another.

1. the file that ``DFMERGE_LIBRARY`` names;
2. ``lib/libdfmerge.so`` in this package, where a wheel has it;
3. ``build/lib/libdfmerge.so`` of the checkout that this package lies in (``pip install -e``);
4. ``libdfmerge.so.<ABI version>`` where the system's loader looks.
"""

from __future__ import annotations

import ctypes
import os
import sys

from . import _ffi
from ._errors import from_status

_NAME = "libdfmerge.so"
_SYSTEM_NAME = f"{_NAME}.{_ffi.DFM_ABI_VERSION}"
_THIS = f"this package, dfmerge {_ffi.DFM_VERSION}, needs ABI version {_ffi.DFM_ABI_VERSION}"
#: ELF's numbers of machines, as ``platform.machine()`` calls them.
_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


def _places() -> list[tuple[str, str]]:
    """Where the library may be, first choice first, and the remedy if it is not usable there."""
    if chosen := os.environ.get("DFMERGE_LIBRARY"):
        # An explicit choice is the only one: a fallback would hide a wrong path.
        return [(chosen, "Set DFMERGE_LIBRARY to a current libdfmerge.so, or unset it.")]
    package = os.path.dirname(os.path.realpath(__file__))
    packaged = os.path.join(package, "lib", _NAME)
    places = [(packaged, "Reinstall the package: pip install --force-reinstall.")]
    # A checkout has the package four folders deep, an unpacked sdist two.
    above = package
    for _ in range(4):
        above = os.path.dirname(above)
        if os.path.exists(os.path.join(above, "Package.swift")):
            built = os.path.join(above, "build", "lib", _NAME)
            places.append((built, f"Build it again: {above}/Scripts/build-lib.sh."))
            break
    return places


def _load() -> ctypes.CDLL:
    places = _places()
    for path, remedy in places:
        if os.path.exists(path):
            return _checked(path, remedy)
    if os.environ.get("DFMERGE_LIBRARY"):
        raise ImportError(
            f"{places[0][0]} is not there; the environment variable DFMERGE_LIBRARY chose it. Set "
            "it to the path of a libdfmerge.so, or unset it to use the package's own."
        )
    tried = [f"{path} (not there)" for path, _ in places]
    try:
        system = ctypes.CDLL(_SYSTEM_NAME)
    except OSError as error:
        tried.append(str(error))
    else:
        return _bound(system, _SYSTEM_NAME, "Install the dfmerge wheel, which has its own.")
    linux = "" if sys.platform == "linux" else f" dfmerge runs on Linux; this is {sys.platform}."
    raise ImportError(
        f"libdfmerge was not found; tried: {'; '.join(tried)}.{linux} Install a dfmerge wheel, run "
        "'make lib' in a checkout, or set DFMERGE_LIBRARY to the path of libdfmerge.so."
    )


def _checked(path: str, remedy: str) -> ctypes.CDLL:
    """Load the library at ``path``."""
    # Before it is loaded: a file that was cut short would end the process with a signal.
    if defect := _defect(path):
        raise ImportError(f"{path} {defect}. {remedy}")
    try:
        # A path without a slash would be looked up in the system's folders instead.
        library = ctypes.CDLL(os.path.abspath(path))
    except OSError as error:
        raise ImportError(f"{path} does not load: {error}. {remedy}") from None
    return _bound(library, path, remedy)


def _bound(library: ctypes.CDLL, path: str, remedy: str) -> ctypes.CDLL:
    """The library with its functions declared, if it fits."""
    try:
        library.dfm_abi_version.restype = ctypes.c_int32
        library.dfm_version.restype = ctypes.c_char_p
    except AttributeError as error:
        raise ImportError(
            f"{path} is not libdfmerge: it lacks {_missing(library)[0]}. {remedy}"
        ) from error
    abi = library.dfm_abi_version()
    found = f"{path} is libdfmerge {library.dfm_version().decode(errors='replace')}"
    if abi != _ffi.DFM_ABI_VERSION:
        raise ImportError(f"{found} with ABI version {abi}, but {_THIS}. {remedy}")
    try:
        _ffi.bind(library)
    except AttributeError:
        missing = _missing(library)
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        names = ", ".join(missing[:3]) + more
        raise ImportError(
            f"{found} with ABI version {abi} but lacks {names}, which dfmerge {_ffi.DFM_VERSION} "
            f"calls: it is older than the package. {remedy}"
        ) from None
    return library


def _missing(library: ctypes.CDLL) -> list[str]:
    """The functions of this package's table that ``library`` does not export."""
    return [name for name in _ffi.PROTOTYPES if not hasattr(library, name)]


def _defect(path: str) -> str | None:
    """What is wrong with a file, where its first bytes and its size say it."""
    try:
        with open(path, "rb") as file:
            head, size = file.read(64), os.fstat(file.fileno()).st_size
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return "is not a shared library of Linux"

    def number(offset: int, length: int) -> int:
        return int.from_bytes(head[offset : offset + length], "little" if head[5] == 1 else "big")

    machine, here = number(18, 2), os.uname().machine
    if (name := _MACHINES.get(machine, f"machine {machine}")) != here:
        return f"is built for {name}; this machine is {here}"
    # The table of sections, which stands last: its offset, and the size and number of its entries.
    whole = number(40, 8) + number(58, 2) * number(60, 2)
    if head[4] == 2 and size < max(64, whole):
        return f"is cut short: it has {size:,} of {max(64, whole):,} bytes"
    return None


lib = _load()


def library_path() -> str:
    """The path of the ``libdfmerge`` that this process uses.

    Looked up in the process's memory map, so that it is true however the library was found.
    """
    address = ctypes.cast(lib.dfm_version, ctypes.c_void_p).value or 0
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            fields = line.rstrip("\n").split(maxsplit=5)
            low, high = (int(end, 16) for end in fields[0].split("-"))
            if low <= address < high and len(fields) == 6:
                return fields[5]
    return str(lib._name)


def check(status: int) -> None:
    """Raise the exception for a status other than 0."""
    if status != 0:
        message = lib.dfm_last_error_message().decode("utf-8", "replace")
        raise from_status(status, message)


def check_with(status: int, message: bytes | None) -> None:
    """Raise for a status whose message was fetched when it was fresh."""
    if status != 0:
        raise from_status(status, (message or b"").decode("utf-8", "replace"))
