"""Training data: corpora, synthetic tasks and the mixture of both. No torch in here."""
