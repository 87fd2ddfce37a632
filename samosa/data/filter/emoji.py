"""What an emoji is, as an RE2 pattern (Unicode 17, emoji-data and UTS 51).

A picture may be followed by a variation selector and a skin tone, and joined to others by ZWJ: families, professions
and flags of pairs of letters are one emoji each. Signs that are text unless told otherwise (arrows, ™, suits of cards,
chess pieces) count with the variation selector only; hearts, ticks, faces and weather, which are shown as pictures all
the same, always.
"""

_PICTURES = (
    r"\x{231A}\x{231B}\x{23E9}-\x{23EC}\x{23F0}\x{23F3}\x{25FD}\x{25FE}\x{2600}-\x{2604}\x{260E}\x{2611}\x{2614}"
    r"\x{2615}\x{2618}\x{261D}\x{2620}\x{2622}\x{2623}\x{262E}\x{262F}\x{2638}-\x{263A}\x{2648}-\x{2653}\x{2665}\x{2668}"
    r"\x{267B}\x{267F}\x{2692}-\x{2697}\x{2699}\x{269B}\x{269C}\x{26A0}\x{26A1}\x{26AA}\x{26AB}\x{26B0}\x{26B1}\x{26BD}"
    r"\x{26BE}\x{26C4}\x{26C5}\x{26C8}\x{26CE}\x{26CF}\x{26D1}\x{26D3}\x{26D4}\x{26E9}\x{26EA}\x{26F0}-\x{26F5}"
    r"\x{26F7}-\x{26FA}\x{26FD}\x{2702}\x{2705}\x{2708}-\x{270D}\x{270F}\x{2712}\x{2714}\x{2728}\x{2744}\x{274C}\x{274E}"
    r"\x{2753}-\x{2755}\x{2757}\x{2763}\x{2764}\x{2795}-\x{2797}\x{27B0}\x{27BF}\x{2B1B}\x{2B1C}\x{2B50}\x{2B55}"
    r"\x{1F004}\x{1F0CF}\x{1F18E}\x{1F191}-\x{1F19A}\x{1F201}\x{1F21A}\x{1F22F}\x{1F232}-\x{1F236}\x{1F238}-\x{1F23A}"
    r"\x{1F250}\x{1F251}\x{1F300}-\x{1F321}\x{1F324}-\x{1F393}\x{1F396}\x{1F397}\x{1F399}-\x{1F39B}\x{1F39E}-\x{1F3F0}"
    r"\x{1F3F3}-\x{1F3F5}\x{1F3F7}-\x{1F3FA}\x{1F400}-\x{1F4FD}\x{1F4FF}-\x{1F53D}\x{1F549}-\x{1F54E}\x{1F550}-\x{1F567}"
    r"\x{1F56F}\x{1F570}\x{1F573}-\x{1F57A}\x{1F587}\x{1F58A}-\x{1F58D}\x{1F590}\x{1F595}\x{1F596}\x{1F5A4}\x{1F5A5}"
    r"\x{1F5A8}\x{1F5B1}\x{1F5B2}\x{1F5BC}\x{1F5C2}-\x{1F5C4}\x{1F5D1}-\x{1F5D3}\x{1F5DC}-\x{1F5DE}\x{1F5E1}\x{1F5E3}"
    r"\x{1F5E8}\x{1F5EF}\x{1F5F3}\x{1F5FA}-\x{1F64F}\x{1F680}-\x{1F6C5}\x{1F6CB}-\x{1F6D2}\x{1F6D5}-\x{1F6E5}\x{1F6E9}"
    r"\x{1F6EB}-\x{1F6F0}\x{1F6F3}-\x{1F6FF}\x{1F7E0}-\x{1F7EB}\x{1F7F0}\x{1F90C}-\x{1F93A}\x{1F93C}-\x{1F945}"
    r"\x{1F947}-\x{1F9FF}\x{1FA70}-\x{1FAFF}"
)
_SIGNS = (
    r"\x{A9}\x{AE}\x{203C}\x{2049}\x{2122}\x{2139}\x{2194}-\x{2199}\x{21A9}\x{21AA}\x{2328}\x{23CF}\x{23ED}-\x{23EF}"
    r"\x{23F1}\x{23F2}\x{23F8}-\x{23FA}\x{24C2}\x{25AA}\x{25AB}\x{25B6}\x{25C0}\x{25FB}\x{25FC}\x{2626}\x{262A}\x{2640}"
    r"\x{2642}\x{265F}\x{2660}\x{2663}\x{2666}\x{267E}\x{26A7}\x{2716}\x{271D}\x{2721}\x{2733}\x{2734}\x{2747}\x{27A1}"
    r"\x{2934}\x{2935}\x{2B05}-\x{2B07}\x{3030}\x{303D}\x{3297}\x{3299}\x{1F170}\x{1F171}\x{1F17E}\x{1F17F}\x{1F202}"
    r"\x{1F237}"
)
_TONE = r"[\x{1F3FB}-\x{1F3FF}]"
_TAGS = r"[\x{E0020}-\x{E007F}]*"  # the flags of England, Scotland and Wales
_FIRST = rf"(?:[{_PICTURES}]\x{{FE0F}}?{_TONE}?|[{_SIGNS}]\x{{FE0F}}){_TAGS}"
_JOINED = rf"(?:\x{{200D}}[{_PICTURES}{_SIGNS}]\x{{FE0F}}?{_TONE}?)*"
_FLAG = r"[\x{1F1E6}-\x{1F1FF}]{2}"
_KEYCAP = r"[0-9#*]\x{FE0F}?\x{20E3}"

EMOJI = rf"(?:{_FIRST}{_JOINED}|{_FLAG}|{_KEYCAP})"


def run_of(times: int) -> str:
    """The RE2 pattern of so many emoji in a row, with at most one space between two."""
    return f"{EMOJI}(?: ?{EMOJI}){{{times - 1}}}"
