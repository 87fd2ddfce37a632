"""What a model is trained on: filters, mixes, packed rows and their order. Torch-free but for the loader."""
