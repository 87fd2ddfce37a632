"""metrics.jsonl into wandb, from the launching process: training ranks open no connection, and wandb stops no run."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from samosa import console
from samosa.train.job import Job

POLL = 1.0  # seconds between looks at metrics.jsonl
PATIENCE = {"offline": 10.0, "online": 60.0}
"""Seconds the end of a run waits for wandb to write, or upload, what is left."""


class Tracker:
    """Follows a run's metrics.jsonl in a thread of its own. wandb is imported there, while the ranks import torch."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.mode = job.settings.wandb
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._after = 0

    def __enter__(self) -> Self:
        return self

    def begin(self, step: int) -> None:
        """Follow from the records after `step` on: the ranks have put metrics.jsonl in order, perhaps once more."""
        self._after = step
        if self.mode != "off" and self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="wandb", daemon=True)
            self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join(PATIENCE[self.mode])
            if self._thread.is_alive():
                console.warn(f"wandb has not finished; metrics are in {self.job.metrics_path}")

    def _follow(self) -> None:
        try:
            run = _open(self.job, self.mode)
            for record in self._records():
                if record["step"] > self._after:
                    values = {key: value for key, value in record.items() if key not in ("kind", "step")}
                    run.log(values, step=record["step"])
            run.finish()
        except Exception as problem:  # noqa: BLE001  (whatever wandb does, the run goes on; it is said)
            console.warn(f"wandb stopped: {problem}; metrics are in {self.job.metrics_path}")

    def _records(self) -> Iterator[dict[str, Any]]:
        """Lines of metrics.jsonl as they appear, until the run is over and all are read.

        The ranks put another file in its place when they start again or go back; that one is read from its beginning.
        """
        place, rest, known = 0, b"", None
        while True:
            over = self._done.wait(POLL if place else 0.0)
            if self.job.metrics_path.exists():
                with self.job.metrics_path.open("rb") as file:
                    if (inode := os.fstat(file.fileno()).st_ino) != known:
                        place, rest, known = 0, b"", inode
                    file.seek(place)
                    *lines, rest = (rest + file.read()).split(b"\n")
                    place = file.tell()
                yield from (json.loads(line) for line in lines if line)
            if over:
                return


def _open(job: Job, mode: str) -> Any:
    """A wandb run in the run's directory; offline it opens no connection, not even for wandb's own error reports."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    settings = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
    return wandb.init(
        project="samosa",
        name=job.tag,
        id=f"{job.tag}-{job.fingerprint[:8]}",
        resume="allow" if mode == "online" else None,
        mode="online" if mode == "online" else "offline",
        dir=str(Path(job.run_dir)),
        config=job.train,
        settings=settings,
    )
