"""Times of day and dates, however they are written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from samosa.eval.numbers import ONES

_MONTHS = "january february march april may june july august september october november december".split()
MONTHS = (
    {name: number for number, name in enumerate(_MONTHS, 1)}
    | {short: number for number, name in enumerate(_MONTHS, 1) for short in (name[:3], f"{name[:3]}.")}
    | {"sept": 9}
)
_MONTH = "|".join(sorted(map(re.escape, MONTHS), key=len, reverse=True))
_HOUR = "|".join(["[0-9]{1,2}", *(word for word, number in ONES.items() if 1 <= number <= 12)])
CLOCK = re.compile(
    rf"(?<![\w:.,$])(?P<hour>{_HOUR})(?::(?P<minute>[0-5][0-9])(?::00)?)?(?:\s?(?P<half>[ap])\.?m\b\.?|"
    r"\s?o'clock(?: in the (?P<day>morning|afternoon|evening)| at (?P<night>night))?|"
    r" in the (?P<part>morning|afternoon|evening)|(?<=:[0-5][0-9])(?: ?(?:hours|hrs|h))?)(?![\w:])"
)
NOON = re.compile(r"\b(?:(?:12 )?noon|midday|(?:12 )?midnight)\b")
_DAY, _YEAR = r"(?P<day>[0-3]?[0-9])(?:st|nd|rd|th)?", r"(?:,? (?P<year>[12][0-9]{3}))?"
DAY_OF = (
    re.compile(rf"(?<!\w)(?P<month>{_MONTH}) (?:the )?{_DAY}{_YEAR}(?!\w|[.,][0-9])"),
    re.compile(rf"(?<![\w.,/-]){_DAY}(?: of)? (?P<month>{_MONTH}){_YEAR}(?!\w)"),
    re.compile(r"(?<![\w-])(?P<year>[12][0-9]{3})-(?P<month>[01][0-9])-(?P<day>[0-3][0-9])(?![\w-])"),
)


@dataclass(frozen=True)
class Moment:
    """A time of day (minutes after midnight; `either` where it may be twelve hours later), or a day of a month."""

    minutes: int | None = None
    either: bool = False
    month: int | None = None
    day: int | None = None
    year: int | None = None

    def same(self, other: "Moment") -> bool:
        """Whether another may be this one: what this leaves out, the other may say; a time is not left open."""
        if self.minutes is not None or other.minutes is not None:
            if self.minutes is None or other.minutes is None:
                return False
            return self.minutes % 720 == other.minutes % 720 if self.either else self == other
        years = {self.year, other.year} - {None}
        return (self.month, self.day) == (other.month, other.day) and (
            len(years) < 2 and self.year in (None, other.year)
        )


def moment_of(needle: str) -> Moment | None:
    """The time or date that a plain text is, if that is all it is."""
    found = [moment for start, end, moment in moments(needle) if (start, end) == (0, len(needle))]
    return found[0] if found else None


def moments(text: str) -> Iterator[tuple[int, int, Moment]]:
    """Where times and dates stand in a plain text, and what they are."""
    for match in CLOCK.finditer(text):
        hour, minute = match["hour"], int(match["minute"] or 0)
        hour = int(hour) if hour.isdigit() else ONES[hour]
        part = match["day"] or match["night"] or match["part"]
        later = match["half"] == "p" or part in ("afternoon", "evening") or (part == "night" and hour > 6)
        known = match["half"] is not None or part is not None or hour > 12 or match["hour"].startswith("0")
        if known and hour <= 12 and (match["half"] or part):
            hour = hour % 12 + 12 * later
        if hour < 24:
            yield match.start(), match.end(), Moment(60 * hour + minute, either=not known)
    for match in NOON.finditer(text):
        yield match.start(), match.end(), Moment(0 if "night" in match[0] else 720)
    for pattern in DAY_OF:
        for match in pattern.finditer(text):
            month = int(match["month"]) if match["month"].isdigit() else MONTHS[match["month"]]
            year = int(match["year"]) if match["year"] else None
            yield match.start(), match.end(), Moment(month=month, day=int(match["day"]), year=year)
