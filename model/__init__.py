"""The HSA language model: token ids in, logits out."""
