"""What a conversation is: rows, tokens, the turn grammar and the tools an assistant turn may call. Torch-free."""
