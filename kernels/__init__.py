"""Operators of hierarchical sparse attention; import the one you need from its folder.

`chunk_attention`, `landmark_topk`, `paged_decode`, `sliding_window`: each has an `api.py` (the
public function, validation, dispatch by the tensor's device), a float64-capable `reference.py` and
a `cpu.py`.
This file imports nothing on purpose: see "Packaging" in DESIGN.md.
"""
