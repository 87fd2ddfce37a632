"""The calculator the model calls: exact, and bounded before every operation, so that no expression can stall a batch.

Numbers are rationals all the way ("0.1+0.2" is 0.3). Roots, logarithms and powers that are not rational are worked out
to 60 digits, trigonometry in doubles. There is no `eval`, no thread and no signal: an expression is cut into tokens,
every literal is replaced by a name, and what is left, a few names and operators, goes through `ast.parse`.

A comma groups thousands ("1,000+1" is 1001) unless the innermost parenthesis around it is a call's: there it separates
arguments, so percent(45,100) has two of them and percent(1,000) is an error rather than a guess.
"""

import ast
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal, DecimalException, Inexact, localcontext
from fractions import Fraction

MAX_CHARACTERS = 512
MAX_NODES = 160
MAX_PARENTHESES = 32  # open at once
MAX_EXPONENT = 10**12
MAX_LOG2 = 1023.0  # a result has to fit a double
MIN_LOG2 = -900.0
EXACT_BITS = 2048  # a numerator or denominator longer than this is rounded to FIXED_POINT
FIXED_POINT = 1 << 1024  # leaves at least 124 significant bits, 37 digits, of the smallest number allowed
WORKING_DIGITS = 60  # of what is not rational

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494")
E = Fraction("2.71828182845904523536028747135266249775724709369995957496697")
CONSTANTS = {"pi": PI, "e": E, "tau": 2 * PI}

GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
TOKEN = re.compile(
    r"""(?P<text>'[^'\\]*'|"[^"\\]*")|(?P<name>[A-Za-z_]\w*)|(?P<sign>\*\*|//|[-+*/%(),.×÷−])""", re.ASCII
)
SIGNS = {"×": "*", "÷": "/", "−": "-"}
ADVICE = {
    "^": "'^' is not an operator: write ** for a power",
    "=": "'=' is not an operator: give only the expression",
    "$": "leave out currency signs",
    "\\": "backslashes are not understood",
}


class CalculatorError(Exception):
    """The expression has no answer here; the text says why, in words for the model and its user."""


def evaluate(expression: str) -> int | float:
    """The value of `expression`: an int where it is whole, else a float of its shortest decimal writing.

    A decimal of at most 15 significant digits comes out exactly, anything longer rounded to 12 (or to two places after
    the point, if that is more). The answer comes within milliseconds. Raises CalculatorError and nothing else.
    """
    if len(expression) > MAX_CHARACTERS:
        raise CalculatorError(f"the expression is longer than {MAX_CHARACTERS} characters")
    source, literals = _tokenize(expression)
    try:
        tree = ast.parse(source, mode="eval").body
        if sum(isinstance(node, ast.expr) for node in ast.walk(tree)) > MAX_NODES:
            raise CalculatorError("the expression has too many operations")
        value = _value(tree, literals)
    except (SyntaxError, MemoryError):
        raise CalculatorError("this is not an arithmetic expression") from None
    except RecursionError:  # only where the caller's own stack is almost used up
        raise CalculatorError("the expression is nested too deeply") from None
    if isinstance(value, str):
        raise CalculatorError("text is no number: only 'text'.count('part') is understood")
    return _tidy(value)


def format_value(value: int | float) -> str:
    """The text of a value as `evaluate` returns it: the same as in JSON."""
    return repr(value)


def _tokenize(expression: str) -> tuple[str, dict[str, Fraction | str]]:
    """The expression with each literal replaced by a name (n0, n1, ...), and what these names stand for."""
    pieces: list[str] = []
    literals: dict[str, Fraction | str] = {}
    calls: list[bool] = []  # for each open parenthesis: is it a call's?
    position = 0
    while position < len(expression):
        if expression[position].isspace():
            position += 1
            continue
        in_call = bool(calls) and calls[-1]
        match = (None if in_call else GROUPED.match(expression, position)) or NUMBER.match(expression, position)
        if match is not None:
            literals[f"n{len(literals)}"] = _number(match[0])
            pieces.append(f"n{len(literals) - 1}")
        else:
            match = TOKEN.match(expression, position)
            if match is None:
                raise CalculatorError(_advice(expression[position]))
            if match["text"]:
                literals[f"n{len(literals)}"] = match["text"][1:-1]
                pieces.append(f"n{len(literals) - 1}")
            else:
                pieces.append(_word_or_sign(match, pieces, calls))
        position = match.end()
    if not pieces:
        raise CalculatorError("the expression is empty")
    if len(pieces) > 2 * MAX_NODES:
        raise CalculatorError("the expression has too many operations")
    return " ".join(pieces), literals


def _word_or_sign(match: re.Match[str], pieces: list[str], calls: list[bool]) -> str:
    """A name or sign as Python writes it; keeps count of the open parentheses in `calls`."""
    text = match[0]
    if match["name"]:
        if text not in FUNCTIONS and text not in CONSTANTS and not (text == "count" and pieces[-1:] == ["."]):
            raise CalculatorError(f"unknown name {text[:32]!r}")
    elif text == "(":
        calls.append(bool(pieces) and (pieces[-1] in FUNCTIONS or pieces[-1] == "count"))
        if len(calls) > MAX_PARENTHESES:
            raise CalculatorError("too many open parentheses")
    elif text == ")" and calls:
        calls.pop()
    elif text == "," and not (calls and calls[-1]):
        raise CalculatorError("a comma here has to stand between groups of three digits, as in 1,000")
    return SIGNS.get(text, text)


def _number(text: str) -> Fraction:
    mantissa, _, exponent = text.replace(",", "").lower().partition("e")
    whole, _, decimals = mantissa.partition(".")
    if len(whole) > 1 and whole[0] == "0":
        raise CalculatorError(f"{text[:32]} opens with a zero; inside a call write 1000, not 1,000")
    digits = int(whole + decimals or "0")
    # The size is checked before ten is raised to anything; an exponent of many digits fails that check either way.
    shift = int(exponent[:6] or "0") - len(decimals)
    if digits == 0:
        return Fraction(0)
    _check_size((len(str(digits)) + shift) * math.log2(10))
    return Fraction(digits * 10**shift) if shift >= 0 else Fraction(digits, 10**-shift)


def _advice(character: str) -> str:
    return ADVICE.get(character, f"unexpected character {character!r}")


def _value(node: ast.expr, literals: dict[str, Fraction | str]) -> Fraction | str:
    if isinstance(node, ast.Name):
        if node.id in literals:
            return literals[node.id]
        if node.id in CONSTANTS:
            return CONSTANTS[node.id]
        raise CalculatorError(f"{node.id} needs numbers in parentheses")
    if isinstance(node, ast.UnaryOp):
        operand = _numeric(_value(node.operand, literals))
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.BinOp):
        left, right = _numeric(_value(node.left, literals)), _numeric(_value(node.right, literals))
        return _bounded(OPERATORS[type(node.op)](left, right))
    if isinstance(node, ast.Call) and not node.keywords:
        arguments = [_value(argument, literals) for argument in node.args]
        if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            return _call(node.func.id, [_numeric(argument) for argument in arguments])
        if isinstance(node.func, ast.Attribute):
            return _count(_value(node.func.value, literals), arguments)
    raise CalculatorError("this is not an arithmetic expression")


def _numeric(value: Fraction | str) -> Fraction:
    if isinstance(value, str):
        raise CalculatorError("text is no number: only 'text'.count('part') is understood")
    return value


def _count(text: Fraction | str, arguments: list[Fraction | str]) -> Fraction:
    if isinstance(text, str) and len(arguments) == 1 and isinstance(arguments[0], str):
        return Fraction(text.count(arguments[0]))
    raise CalculatorError("count works as in 'strawberry'.count('r')")


def _call(name: str, arguments: list[Fraction]) -> Fraction:
    function, fewest, most = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        wanted = f"{fewest}" if fewest == most else f"{fewest} or {most}"
        raise CalculatorError(
            f"{name} takes {wanted} number{'s' * (most > 1)}, not {len(arguments)}"
            " (inside a call a comma separates them: write 1000, not 1,000)"
        )
    try:
        return _bounded(function(*arguments))
    except (ValueError, OverflowError, DecimalException):
        raise CalculatorError(f"{name} has no value there") from None


def _bounded(value: Fraction) -> Fraction:
    """`value`, shortened if its digits grow past use: no operand of any operation is longer than EXACT_BITS."""
    if value:
        _check_size(_log2(value))
    if max(value.numerator.bit_length(), value.denominator.bit_length()) <= EXACT_BITS:
        return value
    return Fraction(round(value * FIXED_POINT), FIXED_POINT)


def _check_size(log2: float) -> None:
    if log2 > MAX_LOG2:
        raise CalculatorError("the number is too large")
    if log2 < MIN_LOG2:
        raise CalculatorError("the number is too close to zero")


def _log2(value: Fraction) -> float:
    return math.log2(abs(value.numerator)) - math.log2(value.denominator)


def _divide(left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise CalculatorError("division by zero")
    return left / right


def _floor_divide(left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise CalculatorError("division by zero")
    return Fraction(left // right)


def _modulo(left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise CalculatorError("division by zero")
    return left % right


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if base == 0:
        if exponent < 0:
            raise CalculatorError("division by zero")
        return Fraction(int(exponent == 0))
    if base < 0 and exponent.denominator != 1:
        raise CalculatorError("a negative number has no real power with a fractional exponent")
    if abs(exponent) > MAX_EXPONENT:
        raise CalculatorError("the exponent is too large")
    _check_size(_log2(base) * float(exponent))
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if exponent.denominator == 1 and bits * abs(exponent) <= 2 * EXACT_BITS:
        return base ** int(exponent)
    return _irrational(lambda: _decimal(base) ** _decimal(exponent))


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _irrational(work: Callable[[], Decimal]) -> Fraction:
    """What `work` finds with WORKING_DIGITS digits. Raises CalculatorError where there is no such number."""
    try:
        with localcontext(Context(prec=WORKING_DIGITS)):
            return _not_whole(Fraction(work()), 10**WORKING_DIGITS)
    except (DecimalException, ValueError, OverflowError):
        raise CalculatorError("there is no such number") from None


def _not_whole(value: Fraction, known_below: int) -> Fraction:
    """`value`, moved off the whole numbers where its digits end before the point, lest zeros be printed as known."""
    return value if abs(value) < known_below else value + Fraction(1, 2)


def _sqrt(value: Fraction) -> Fraction:
    if value < 0:
        raise CalculatorError("a negative number has no real square root")
    roots = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if roots[0] ** 2 == value.numerator and roots[1] ** 2 == value.denominator:
        return Fraction(*roots)
    return _irrational(lambda: _decimal(value).sqrt())


def _log(value: Fraction, base: Fraction | None = None) -> Fraction:
    if value <= 0 or (base is not None and (base <= 0 or base == 1)):
        raise CalculatorError("this logarithm does not exist")
    if base is None:
        return _irrational(lambda: _decimal(value).ln())
    return _irrational(lambda: _decimal(value).ln() / _decimal(base).ln())


def _log10(value: Fraction) -> Fraction:
    if value <= 0:
        raise CalculatorError("this logarithm does not exist")
    return _irrational(lambda: _decimal(value).log10())


def _exp(value: Fraction) -> Fraction:
    _check_size(float(value) / math.log(2))
    return _irrational(lambda: _decimal(value).exp())


def _double(function: Callable[[float], float]) -> Callable[[Fraction], Fraction]:
    """A trigonometric function in double precision, with sin(pi) and its like at 0."""

    def work(value: Fraction) -> Fraction:
        result = function(float(value))
        return Fraction(0) if abs(result) < 1e-15 < abs(value) else _not_whole(Fraction(result), 2**53)

    return work


def _round(value: Fraction, places: Fraction | None = None) -> Fraction:
    """As in Python: a tie goes to the even digit."""
    if places is None:
        return Fraction(round(value))
    if places.denominator != 1 or abs(places) > 100:
        raise CalculatorError("round takes a whole number of places")
    return Fraction(round(value, int(places)))


def _percent_change(old: Fraction, new: Fraction) -> Fraction:
    return _divide(new - old, old) * 100


def _cagr(start: Fraction, end: Fraction, years: Fraction) -> Fraction:
    """Compound annual growth rate, in percent."""
    if min(start, end, years) <= 0:
        raise CalculatorError("cagr takes positive numbers")
    return (_power(_bounded(end / start), _bounded(1 / years)) - 1) * 100


def _compound_interest(principal: Fraction, rate: Fraction, periods: Fraction, years: Fraction) -> Fraction:
    """The amount after `years`, the principal included, at `rate` percent a year."""
    if periods <= 0:
        raise CalculatorError("periods per year must be positive")
    return principal * _bounded(_power(_bounded(1 + rate / 100 / periods), _bounded(periods * years)))


def _emi(principal: Fraction, rate: Fraction, months: Fraction) -> Fraction:
    """The equal monthly instalment of a loan at `rate` percent a year."""
    if months <= 0:
        raise CalculatorError("months must be positive")
    if rate == 0:
        return principal / months
    growth = _bounded(_power(_bounded(1 + rate / 1200), months))
    return _divide(_bounded(principal * rate / 1200 * growth), growth - 1)


OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: _divide,
    ast.FloorDiv: _floor_divide,
    ast.Mod: _modulo,
    ast.Pow: _power,
}
# name -> what it does, and with how few and how many numbers
FUNCTIONS: dict[str, tuple[Callable[..., Fraction], int, int]] = {
    "abs": (abs, 1, 1),
    "round": (_round, 1, 2),
    "floor": (lambda value: Fraction(math.floor(value)), 1, 1),
    "ceil": (lambda value: Fraction(math.ceil(value)), 1, 1),
    "sqrt": (_sqrt, 1, 1),
    "log": (_log, 1, 2),
    "log10": (_log10, 1, 1),
    "exp": (_exp, 1, 1),
    **{name: (_double(getattr(math, name)), 1, 1) for name in ("sin", "cos", "tan", "asin", "acos", "atan")},
    "degrees": (lambda value: value * 180 / PI, 1, 1),
    "radians": (lambda value: value * PI / 180, 1, 1),
    "percent": (lambda value, rate: value * rate / 100, 2, 2),
    "percent_change": (_percent_change, 2, 2),
    "cagr": (_cagr, 3, 3),
    "simple_interest": (lambda principal, rate, years: _bounded(principal * rate / 100) * years, 3, 3),
    "compound_interest": (_compound_interest, 4, 4),
    "emi": (_emi, 3, 3),
}


def _tidy(value: Fraction) -> int | float:
    if value.denominator == 1:
        return value.numerator
    context = Context(prec=15, traps=[])
    rounded = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    if context.flags[Inexact]:
        digits = min(15, max(12, rounded.adjusted() + 3))
        rounded = Context(prec=digits).divide(Decimal(value.numerator), Decimal(value.denominator))
    if rounded == rounded.to_integral_value() and abs(rounded) < 10**15:
        return int(rounded)
    return float(rounded)
