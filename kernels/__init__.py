"""Operators of the model, each with a reference; import the operator folder you need."""
