"""Training of the bundled weights: samples, optimiser, loop."""
