import hashlib

from samosa.chat.prompts import DEFAULT_SYSTEM, SYSTEM_JOINER, THINK_SYSTEM, with_system

# sha256 of the strings the production API sends, taken from its source and its training rows
DIGESTS = ["05af589cafe72a37", "dc15e380c213e17f"]


def test_the_prompts_are_those_in_production_to_the_letter():
    digests = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in (DEFAULT_SYSTEM, THINK_SYSTEM)]
    assert digests == DIGESTS
    assert SYSTEM_JOINER == "\n\n"


def test_a_system_prompt_stands_before_the_first_question():
    assert with_system("Be brief.", "Why?") == "Be brief.\n\nWhy?"
