"""Errors of the model package.

ModelError
|- ConfigError       a configuration that cannot be built
`- CheckpointError   a checkpoint folder that is missing, malformed or does not match
"""


class ModelError(Exception):
    """Base of all errors raised by `hsa_memory.model`."""


class ConfigError(ModelError, ValueError):
    """A configuration that cannot be built; says which field and what was expected."""


class CheckpointError(ModelError):
    """A checkpoint folder that is missing, malformed or does not match its configuration."""
