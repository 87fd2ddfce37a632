"""Where people meet a model: the terminal chat."""
