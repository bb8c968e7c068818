"""Writes the tables of the conformance program from the ABI record.

What every function takes comes from the record; what a valid call is comes from the types and,
where they do not say it, from ``recipes``. The parts written by hand are in ``runtime``.
"""
