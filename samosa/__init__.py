"""samosa trains small chat models that think and use tools, judges them, and says whether to ship."""

__version__ = "0.1.0"
