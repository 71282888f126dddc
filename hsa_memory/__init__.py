"""Long-term memory for language-model agents, built on hierarchical sparse attention."""

__all__ = ["__version__"]

__version__ = "0.1.0"
