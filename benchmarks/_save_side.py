"""`benchmarks.save` as one JSON line, in a process of its own."""

import json

from benchmarks.save import measure

if __name__ == "__main__":
    print(json.dumps(measure()))
