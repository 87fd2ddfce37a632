"""The network that is trained: its shape, its forward pass, its cache and its checkpoints."""
