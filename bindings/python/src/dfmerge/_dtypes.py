"""The element types: their names in files, in numpy and torch, in DLPack and in buffers."""

from __future__ import annotations

from typing import Final, NamedTuple

from . import _ffi


class DType(NamedTuple):
    """One element type.

    Attributes
    ----------
    name : str
        In safetensors files and in this package: ``"BF16"``.
    number : int
        In the library's ABI.
    spelled : str
        In numpy, ml_dtypes and torch: ``"bfloat16"``; empty where none of them packs it like this.
    bits : int
        Of one element; those below 8 are packed.
    code : int
        DLPack's type code.
    format : str
        Of Python's memoryviews; empty where these have none.
    """

    name: str
    number: int
    spelled: str
    bits: int
    code: int
    format: str

    @property
    def alignment(self) -> int:
        """What frameworks expect addresses to be multiples of, in bytes."""
        return 4 if self.name == "C64" else max(self.bits // 8, 1)

    def byte_count(self, elements: int) -> int:
        """Bytes of so many packed elements, the last one begun."""
        return (elements * self.bits + 7) // 8


DTYPES: Final = (
    DType("F64", _ffi.DFM_DTYPE_F64, "float64", 64, 2, "d"),
    DType("F32", _ffi.DFM_DTYPE_F32, "float32", 32, 2, "f"),
    DType("F16", _ffi.DFM_DTYPE_F16, "float16", 16, 2, ""),
    DType("BF16", _ffi.DFM_DTYPE_BF16, "bfloat16", 16, 4, ""),
    DType("I64", _ffi.DFM_DTYPE_I64, "int64", 64, 0, "q"),
    DType("I32", _ffi.DFM_DTYPE_I32, "int32", 32, 0, "i"),
    DType("I16", _ffi.DFM_DTYPE_I16, "int16", 16, 0, "h"),
    DType("I8", _ffi.DFM_DTYPE_I8, "int8", 8, 0, "b"),
    DType("U64", _ffi.DFM_DTYPE_U64, "uint64", 64, 1, "Q"),
    DType("U32", _ffi.DFM_DTYPE_U32, "uint32", 32, 1, "I"),
    DType("U16", _ffi.DFM_DTYPE_U16, "uint16", 16, 1, "H"),
    DType("U8", _ffi.DFM_DTYPE_U8, "uint8", 8, 1, "B"),
    DType("BOOL", _ffi.DFM_DTYPE_BOOL, "bool", 8, 6, "?"),
    DType("C64", _ffi.DFM_DTYPE_C64, "complex64", 64, 5, ""),
    DType("F8_E4M3", _ffi.DFM_DTYPE_F8_E4M3, "float8_e4m3fn", 8, 10, ""),
    DType("F8_E5M2", _ffi.DFM_DTYPE_F8_E5M2, "float8_e5m2", 8, 12, ""),
    DType("F8_E8M0", _ffi.DFM_DTYPE_F8_E8M0, "float8_e8m0fnu", 8, 14, ""),
    DType("F8_E4M3FNUZ", _ffi.DFM_DTYPE_F8_E4M3FNUZ, "float8_e4m3fnuz", 8, 11, ""),
    DType("F8_E5M2FNUZ", _ffi.DFM_DTYPE_F8_E5M2FNUZ, "float8_e5m2fnuz", 8, 13, ""),
    DType("F6_E2M3", _ffi.DFM_DTYPE_F6_E2M3, "", 6, 15, ""),
    DType("F6_E3M2", _ffi.DFM_DTYPE_F6_E3M2, "", 6, 16, ""),
    DType("F4", _ffi.DFM_DTYPE_F4, "", 4, 17, ""),
)

BY_NAME: Final = {dtype.name: dtype for dtype in DTYPES}
BY_NUMBER: Final = {dtype.number: dtype for dtype in DTYPES}
BY_SPELLED: Final = {dtype.spelled: dtype for dtype in DTYPES if dtype.spelled}

#: Kinds of numpy's ``typestr`` by type code; the other types are unknown to numpy itself.
_KINDS: Final = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}


def typestr(dtype: DType) -> str | None:
    """How numpy's array interface writes a type; None for those that numpy lacks."""
    kind = _KINDS.get(dtype.code)
    return kind and f"{'|' if dtype.bits == 8 else '<'}{kind}{dtype.bits // 8}"
