"""Units that answers carry, by all their names: what of one kind can be converted, and what is simply another thing."""

import functools
import re
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Unit:
    """A unit. Two of one kind convert by their scales; scale 0 converts to nothing."""

    name: str
    kind: str
    scale: Decimal


_TABLE = """
dollars money-usd 1 $ us$ usd dollar dollars buck bucks
cents money-usd 0.01 ¢ cent cents
euros money-eur 1 € eur euro euros
pounds money-gbp 1 £ gbp quid
pence money-gbp 0.01 pence penny
rupees money-inr 1 ₹ rs rs. inr rupee rupees
paise money-inr 0.01 paise paisa
yen money-jpy 1 ¥ jpy yen
percent percent 1 % percent percentage_points percentage_point per_cent
seconds time 1 s sec secs second seconds
minutes time 60 min mins minute minutes
hours time 3600 h hr hrs hour hours
days time 86400 day days
weeks time 604800 week weeks
months months 1 month months
years months 12 year years yr yrs
millimetres length 0.001 mm millimeter millimeters millimetre millimetres
centimetres length 0.01 cm centimeter centimeters centimetre centimetres
metres length 1 m meter meters metre metres
kilometres length 1000 km kms kilometer kilometers kilometre kilometres
inches length 0.0254 inch inches
feet length 0.3048 ft foot feet
yards length 0.9144 yd yard yards
miles length 1609.344 mi mile miles
milligrams mass 0.000001 mg milligram milligrams
grams mass 0.001 g gram grams
kilograms mass 1 kg kgs kilo kilos kilogram kilograms
tonnes mass 1000 tonne tonnes
ounces mass 0.028349523125 oz ounce ounces
lbs mass 0.45359237 lb lbs
millilitres volume 0.001 ml milliliter milliliters millilitre millilitres
litres volume 1 l liter liters litre litres
mph speed 0.44704 mph miles_per_hour miles_an_hour
km/h speed 0.27777777777777778 km/h kmh kph kilometers_per_hour kilometres_per_hour
m/s speed 1 m/s meters_per_second metres_per_second
celsius temperature-c 0 °c celsius degrees_celsius
fahrenheit temperature-f 0 °f fahrenheit degrees_fahrenheit
"""

UNITS: dict[str, Unit] = {}
for _line in _TABLE.strip().splitlines():
    _name, _kind, _scale, *_words = _line.split()
    for _word in _words:
        UNITS[_word.replace("_", " ")] = Unit(_name, _kind, Decimal(_scale))

_BEFORE = ("us$", "$", "€", "£", "¥", "₹", "usd", "eur", "gbp", "inr", "rs.", "rs", "jpy")
BEFORE = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, _BEFORE))})[ \u00a0]?\\?$|(?<![\w$])\\?(\$)$", re.IGNORECASE)
NAMES = "|".join(re.escape(name) for name in sorted(UNITS, key=len, reverse=True))
AFTER = re.compile(rf"[*_]*[ \u00a0-]?({NAMES})(?![\w²³]|/\w)", re.IGNORECASE)
ONE_LETTER = re.compile(r"[*_]*[ \u00a0-]?[smhgl](?!\w)", re.IGNORECASE)


def unit_before(text: str, start: int) -> tuple[Unit | None, int]:
    """The currency sign or code that stands before a number, and where it begins."""
    match = BEFORE.search(text[max(0, start - 6) : start])
    if match is None:
        return None, start
    sign = match[1] or match[2]
    return UNITS[sign.lower()], start - (len(match.string) - match.start())


def unit_after(text: str, end: int) -> tuple[Unit | None, int]:
    """The unit that stands after a number, and where it ends."""
    match = AFTER.match(text, end)
    return (None, end) if match is None else (UNITS[match[1].lower()], match.end())


def units_in(text: str) -> set[Unit]:
    """The units that a text names, with a number or without."""
    return {UNITS[match[1].lower()] for match in _anywhere().finditer(text)}


@functools.cache
def _anywhere() -> re.Pattern[str]:
    names = [name for name in UNITS if len(name) > 1 or not name.isalpha()]
    longest = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![^\W\d_])({longest})(?![^\W\d_])", re.IGNORECASE)
