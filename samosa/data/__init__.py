"""What a model is trained on: filters, mixes, packed rows and the order they are read in. Torch-free but for the loader."""
