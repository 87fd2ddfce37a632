"""What the full suite's questions come to, worked out from their words alone and in other ways than the suite's."""

import math
import re
from fractions import Fraction

from samosa.chat.calculator import evaluate

# By template; {m0} is the first amount of money of the question, {p0} the first percentage, {n0} the first other one.
EXPRESSIONS = {
    "basic_math/plus": "{n0}+{n1}",
    "basic_math/minus": "{n0}-{n1}",
    "basic_math/times-table": "{n0}*{n1}",
    "basic_math/double": "{n0}+{n0}",
    "basic_math/quarter": "{n0}*0.25",
    "basic_math/tens-percent": "percent({n0},{p0})",
    "basic_math/square": "{n0}**2",
    "basic_math/remainder": "{n0}%{n1}",
    "basic_math/three-terms": "{n0}+{n1}+{n2}",
    "basic_math/tenths": "{n0}+{n1}",
    "basic_math/next-term": "{n0}+4*({n1}-{n0})",
    "basic_math/average": "({n0}+{n1}+{n2})/3",
    "basic_math/missing-term": "{n1}-{n0}",
    "basic_math/change": "abs({m0}-{m1})",
    "basic_math/minutes": "60*{n0}+{n1}",
    "basic_math/centimetres": "100*{n0}+{n1}",
    "basic_math/dozens": "12*{n0}",
    "basic_math/perimeter": "{n0}+{n1}+{n0}+{n1}",
    "basic_math/below-zero": "-abs({n0}-{n1})",
    "basic_math/fraction-of": "{n2}/{n1}*{n0}",
    "basic_math/round-to-ten": "10*floor({n0}/10+0.5)",
    "multi_step/long-multiplication": "{n0}*{n1}",
    "multi_step/three-by-two-digits": "{n0}*{n1}",
    "multi_step/times-then-plus": "{n0}*{n1}+{n2}",
    "multi_step/plus-then-times": "({n0}+{n1})*{n2}",
    "multi_step/two-products": "{n0}*{n1}-{n2}*{n3}",
    "multi_step/precedence": "{n0}+{n1}*{n2}",
    "multi_step/nested": "({n0}+{n1})/{n2}-{n3}",
    "multi_step/chain": "({n0}*{n1}-{n2})/{n3}",
    "multi_step/six-terms": "{n0}+{n1}+{n2}+{n3}+{n4}+{n5}",
    "multi_step/ups-and-downs": "{n0}-{n1}+{n2}-{n3}",
    "multi_step/equation": "({n2}-{n1})/{n0}",
    "multi_step/equation-with-brackets": "{n2}/{n0}-{n1}",
    "multi_step/fraction-then-plus": "{n2}/{n1}*{n0}+{n3}",
    "multi_step/mean-then-times": "({n0}+{n1}+{n2}+{n3})/4*{n4}",
    "multi_step/percent-then-minus": "percent({n0},{p0})-{n1}",
    "multi_step/doubling": "{n0}*2**{n1}",
    "multi_step/sum-to-n": "(1+{n1})*{n1}/2",
    "multi_step/nth-term": "{n0}+{n1}*{n2}-{n1}",
    "multi_step/squares": "{n0}*{n0}+{n1}*{n1}",
    "multi_step/seconds": "3600*{n0}+60*{n1}+{n2}",
    "word_problems/finds-and-gives": "{n0}+{n1}-{n2}",
    "word_problems/boxes": "{n0}/{n1}",
    "word_problems/leftover": "{n0}%{n1}",
    "word_problems/distance": "{n0}*{n1}",
    "word_problems/workers": "{n0}*{n1}/{n2}",
    "word_problems/older": "{n0}+{n1}+{n2}",
    "word_problems/ratio": "{m0}*{n0}/({n0}+{n1})",
    "word_problems/change-back": "{m1}-{n0}*{m0}",
    "word_problems/sale": "{m0}-percent({m0},{p0})",
    "word_problems/three-days": "{n2}-{n1}-{n0}",
    "word_problems/weekly-wage": "{m0}*{n0}*{n1}",
    "word_problems/times-as-many": "{n0}+{n0}*{n1}",
    "word_problems/two-goods": "{n0}*{m0}+{n1}*{m1}",
    "word_problems/saving": "{m0}+{m1}*{n0}",
    "word_problems/pages-left": "{n0}-{n1}*{n2}",
    "word_problems/tank": "{n0}/({n1}-{n2})",
    "word_problems/garden": "({n0}+{n1}+{n0}+{n1})*{m0}",
    "word_problems/average-score": "({n0}+{n1}+{n2})/3",
    "word_problems/recipe": "{n1}/{n0}*{n2}",
    "word_problems/handshakes": "{n0}*({n0}-1)/2",
    "word_problems/profit": "{n0}*{m1}-{n0}*{m0}",
    "tool_calculator/product": "{n0}*{n1}",
    "tool_calculator/quotient": "{n0}/{n1}",
    "tool_calculator/tip": "percent({m0},{p0})",
    "tool_calculator/bill-with-tip": "{m0}+percent({m0},{p0})",
    "tool_calculator/price-cut": "{m0}-percent({m0},{p0})",
    "tool_calculator/sales-tax": "{m0}+percent({m0},{p0})",
    "tool_calculator/equal-parts": "{m0}/{n0}",
    "tool_calculator/receipt": "{m0}+{m1}+{m2}+{m3}",
    "tool_calculator/power": "{n0}**{n1}",
    "tool_calculator/square-root": "sqrt({n0})",
    "tool_calculator/percent-of": "{n0}*{p0}/100",
    "tool_calculator/compounded": "{m0}*(1+{p0}/100)**{n0}",
    "tool_calculator/interest": "{m0}*{p0}*{n0}/100",
    "tool_calculator/growth-rate": "cagr({n0},{n1},{n2})",
    "tool_calculator/instalment": "{m0}*{p0}/1200/(1-(1+{p0}/1200)**(-{n0}))",
    "tool_calculator/unknown": "({n2}-{n1})/{n0}",
    "tool_calculator/mean-of-five": "({n0}+{n1}+{n2}+{n3}+{n4})/5",
    "tool_calculator/circle": "pi*{n0}**2",
    "tool_calculator/hypotenuse": "sqrt({n0}**2+{n1}**2)",
    "tool_calculator/difference": "abs({n0}-{n1})",
    "tool_calculator/box": "{n0}*{n1}*{n2}",
    "tool_calculator/exchange": "{m0}*{n0}",
    "think_tool/shared-tip": "({m0}+percent({m0},{p0}))/{n0}",
    "think_tool/two-cuts": "{m0}*(1-{p0}/100)*(1-{p1}/100)",
    "think_tool/interest-earned": "{m0}*(1+{p0}/100)**{n0}-{m0}",
    "think_tool/yearly-growth": "cagr({n0},{n1},{n2})",
    "think_tool/both-sides": "({n2}+{n1})/{n0}",
    "think_tool/fuel": "{n2}*{n0}/{n1}*{m0}",
    "think_tool/invoice": "{n0}*{m0}*(1+{p0}/100)",
    "think_tool/long-product": "{n0}*{n1}+{n2}",
    "think_tool/monthly-payment": "{m0}*{p0}/1200/(1-(1+{p0}/1200)**(-{n0}))",
    "think_tool/salary": "{m0}*(1+{p0}/100)/12",
    "think_tool/hall": "{n0}*{n1}*{m0}",
    "india/scaled-recipe": "{n1}/{n0}*{n2}",
    "india/sweet-box": "{n0}*{m0}-{m1}",
    "india/gst": "{m0}+percent({m0},{p0})",
    "india/per-piece": "{m0}/{n0}",
}
NUMBER = re.compile(r"(?P<money>[$₹])?(?P<digits>[0-9]+(?:\.[0-9]+)?)(?P<percent>%| percent)?")
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
DATE = re.compile(rf"({'|'.join(MONTHS)}) (\d+)(?:, (\d{{4}}))?")
CLOCK = re.compile(r"(\d+):(\d\d) (am|pm)")


def expression(template, question):
    """The calculation that a question of one of EXPRESSIONS asks for."""
    found = {"m": [], "p": [], "n": []}
    for match in NUMBER.finditer(question):
        kind = "m" if match["money"] else "p" if match["percent"] else "n"
        found[kind].append(match["digits"])
    return EXPRESSIONS[template].format(**{f"{kind}{i}": n for kind, all_ in found.items() for i, n in enumerate(all_)})


def _integers(text):
    return [int(number) for number in re.findall(r"[0-9]+", text)]


def _gcd(question):
    a, b = _integers(question)
    while b:
        a, b = b, a % b
    return a


def _how_often(question):
    """How often the smaller number goes into the larger."""
    a, b = sorted(_integers(question))
    return b // a


def _part_sold(question):
    rows, each = _integers(question)
    part = {"half": 2, "third": 3, "quarter": 4, "fifth": 5}[
        re.search(r"[Oo]ne (half|third|quarter|fifth)", question)[1]
    ]
    return rows * each - Fraction(rows * each, part)


def _day_number(day):
    """Days since a day long ago, by Zeller's way of counting from March."""
    year, month, number = day
    if month < 3:
        year, month = year - 1, month + 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + number


def _day_of(number):
    """The date with a day number, by trying: slow, and right if _day_number is."""
    year = number // 366
    while _day_number((year + 1, 1, 1)) <= number:
        year += 1
    month = max(month for month in range(1, 13) if _day_number((year, month, 1)) <= number)
    return year, month, number - _day_number((year, month, 1)) + 1


def _dates(text):
    return [(int(y or 0), MONTHS.index(m) + 1, int(d)) for m, d, y in DATE.findall(text)]


def _written(day):
    return f"{MONTHS[day[1] - 1]} {day[2]}, {day[0]}"


def _moved(question, sign):
    (day,), numbers = _dates(question), _integers(DATE.sub("", question))
    return _written(_day_of(_day_number(day) + sign * numbers[0]))


def _weekday_by_date(question):
    """From the weekday that is given; the two dates in either order."""
    named = re.search(rf"((?:{'|'.join(MONTHS)}) \d+, \d+) (?:is|falls on) a (\w+day)", question)
    (known,) = _dates(named[1])
    (asked,) = [day for day in _dates(question) if day != known]
    return DAYS[(DAYS.index(named[2]) + _day_number(asked) - _day_number(known)) % 7]


def _around_today(question):
    (known,) = re.findall("|".join(DAYS), question)
    back = 3 if "three days" in question else 2 if "before yesterday" in question else 1
    return DAYS[(DAYS.index(known) + back + (2 if "after tomorrow" in question else 1)) % 7]


def _shifted(sign):
    def solve(question):
        (known,) = re.findall("|".join(DAYS), question)
        return DAYS[(DAYS.index(known) + sign * _integers(question)[0]) % 7]

    return solve


def _nth_time(question):
    (known,), (step, time) = re.findall("|".join(DAYS), question), _integers(question)
    return DAYS[(DAYS.index(known) + step * (time - 1)) % 7]


def _first_of_month(question):
    first, wanted = re.findall("|".join(DAYS), question)
    return f"{MONTHS[_dates(question)[0][1] - 1]} {1 + (DAYS.index(wanted) - DAYS.index(first)) % 7}"


def _is_leap(year):
    return _day_number((year, 3, 1)) - _day_number((year, 2, 28)) == 2


def _month_days(question):
    month, year = re.search(rf"({'|'.join(MONTHS)}) (\d+)", question).groups()
    return [31, 28 + _is_leap(int(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][MONTHS.index(month)]


def _months_between(question):
    (y, m, _), (z, n, _) = _dates(question)
    return 12 * (z - y) + n - m


def _age(question):
    born, day = _dates(question)
    return day[0] - born[0] - (day[1:] < born[1:])


def _minutes(text):
    return [60 * (int(h) % 12 + 12 * (half == "pm")) + int(m) for h, m, half in CLOCK.findall(text)]


def _clock(minutes):
    hour, minute = divmod(minutes % 1440, 60)
    return f"{hour % 12 or 12}:{minute:02} {'pm' if hour >= 12 else 'am'}"


def _later(question, sign=1):
    rest = CLOCK.sub("", question).replace("24-hour", "")
    numbers = _integers(rest)
    if " hours and " in rest:
        numbers = [60 * numbers[0] + numbers[1]]
    return _clock(_minutes(question)[0] + sign * numbers[0])


def _train(question):
    miles, speed = _integers(CLOCK.sub("", question))
    return _clock(_minutes(question)[0] + 60 * miles // speed)


def _zones(question):
    (hours,) = _integers(CLOCK.sub("", question))
    return _clock(_minutes(question)[0] + (60 if "ahead of" in question else -60) * hours)


def _day_of_year(question):
    year = int(re.search(r"\b(20\d\d)\b", question)[1])
    month, day = next((m, d) for _, m, d in _dates(question) if (m, d) != (1, 1))
    return _day_number((year, month, day)) - _day_number((year - 1, 12, 31))


# By template: the value or the words that the question comes to.
SOLVED = {
    "basic_math/largest": lambda q: str(sorted(_integers(q))[-1]),
    "basic_math/divided": _how_often,
    "word_problems/drive-hours": _how_often,
    "multi_step/greatest-divisor": _gcd,
    "multi_step/least-multiple": lambda q: math.prod(_integers(q)) // _gcd(q),
    "multi_step/digit-sum": lambda q: sum(int(digit) for digit in re.search(r"\d+", q)[0]),
    "word_problems/part-sold": _part_sold,
    "dates/days-ago": _shifted(-1),
    "dates/days-ahead": _shifted(1),
    "dates/around-today": _around_today,
    "dates/same-month": _weekday_by_date,
    "dates/next-month": _weekday_by_date,
    "dates/every-few-days": _nth_time,
    "dates/days-after": lambda q: _moved(q, 1),
    "dates/days-before": lambda q: _moved(q, -1),
    "dates/weeks-after": lambda q: _moved(re.sub(r"(\d+) weeks", lambda m: f"{7 * int(m[1])} days", q), 1),
    "dates/days-between": lambda q: abs(_day_number(_dates(q)[0]) - _day_number(_dates(q)[1])),
    "dates/first-of-its-kind": _first_of_month,
    "dates/leap-year": lambda q: next(str(y) for y in _integers(q) if y > 99 and _is_leap(y)),
    "dates/days-in-month": _month_days,
    "dates/months-after": lambda q: MONTHS[(MONTHS.index(re.search("|".join(MONTHS), q)[0]) + _integers(q)[0]) % 12],
    "dates/months-between": _months_between,
    "dates/turns-years-old": lambda q: _integers(q)[1] - _integers(q)[0],
    "dates/age-on-a-day": _age,
    "dates/birth-year": lambda q: max(_integers(q)) - min(_integers(q)),
    "dates/arrival": _later,
    "dates/departure": lambda q: _later(q, -1),
    "dates/train": _train,
    "dates/minutes-between": lambda q: _minutes(q)[1] - _minutes(q)[0],
    "dates/other-clock": lambda q: "{:02}:{:02}".format(*divmod(_minutes(q)[0], 60)),
    "dates/time-zones": _zones,
    "dates/weeks-and-days": lambda q: 7 * _integers(q)[0] + _integers(q)[1],
    "dates/day-of-year": _day_of_year,
    "dates/earliest": lambda q: _written(min(_dates(q))),
    "india/indian-time": lambda q: _clock(_minutes(q)[0] + 330),
    **{name: lambda q, name=name: evaluate(expression(name, q)) for name in EXPRESSIONS},
}
