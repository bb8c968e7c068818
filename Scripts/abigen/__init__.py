"""Writes the C header, the ctypes table and the ABI record from the Swift declarations.

The Swift functions of DFMergeCAPI and the hand-written types header are the only sources; all else
is derived, committed, and compared again by ``--check``.
"""
