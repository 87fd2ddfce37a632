"""How a model is judged: probes, checks, exact statistics and the gate."""
