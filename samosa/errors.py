"""Errors meant for a person: what went wrong and where, then something to do about it.

Anything that is not a `SamosaError` is a bug and keeps its traceback.
"""

from typing import ClassVar


class SamosaError(Exception):
    """Something failed while running. `message` says what and where, `hint` what to do; each is one line."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process pools by pickling, which by default forgets keyword-only arguments.
        return _rebuild, (type(self), self.message, self.hint)


class BadInput(SamosaError):
    """Usage, recipe, rows, tag or vocabulary are wrong: the same command will fail again."""

    exit_code = 2


class NotReady(SamosaError):
    """The machine is not ready (disk, GPUs, a broken checkpoint, a known thing absent) or it is over budget."""

    exit_code = 3


class Stopped(SamosaError):
    """Stopped on purpose; what is done is saved and the same command goes on from there."""

    exit_code = 130


def _rebuild(kind: type[SamosaError], message: str, hint: str) -> SamosaError:
    return kind(message, hint=hint)
