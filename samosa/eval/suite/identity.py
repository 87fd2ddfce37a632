"""Who the model is: its name, its maker, what it can do; also where somebody says otherwise.

Each function draws an instance of the template that is named after it.
"""

import random

from samosa.eval.probe_types import Gold
from samosa.eval.suite.parts import different, either_system, first_names, name_of, templates
from samosa.eval.suite.types import Drawn, System

NAME, MAKER = "samosaChaat", "Manmohan Sharma"
NAMES = (NAME, "samosa chaat")
MODELS = ("ChatGPT", "Gemini", "Claude", "Llama", "Siri", "Alexa", "Copilot", "DeepSeek", "Grok", "Mistral")
FIRMS = ("OpenAI", "Google", "Meta", "Anthropic", "Microsoft", "Apple", "Amazon", "DeepSeek", "Mistral")
PROGRAM = ("AI", "assistant", "program", "model", "software", "chatbot", "bot", "computer", "machine")
SEARCHES = ("search", "searches", "searching", "web_search", "look up", "browse", "web")
CALCULATES = ("calculator", "calculate", "calculates", "calculating", "calculations", "arithmetic", "math", "compute")
NOT_A_PERSON = ("I am human", "I am a human", "I'm a human", "I am a person", "I'm a person", "I am a real person")
PAGES = ("school newspaper", "travel diary", "family chronicle", "club newsletter", "cooking blog", "class talk")


def _drawn(question: str, gold: Gold, system: System = "default") -> Drawn:
    return Drawn(turns=(question,), gold=gold, system=system)


def _name(question: str, *rivals: str, system: System = "default", also: tuple[str, ...] = ()) -> Drawn:
    """Its name has to be said; nothing else may be called so."""
    gold = Gold(tool=None, answer_any=(NAMES,), answer_must=also, answer_must_not=tuple(_called(one) for one in rivals))
    return _drawn(question, gold, system)


def _called(other: str) -> str:
    return f"I am {other}"


def _maker(question: str, *rivals: str, system: System = "default") -> Drawn:
    return _drawn(question, Gold(tool=None, answer_is=(MAKER,), rivals=rivals), system)


def call_you(rng: random.Random) -> Drawn:
    (user,) = first_names(rng, 1)
    ask = rng.choice(["Hi, I'm {}. How should I address you?", "My name is {}. What's yours?", "I'm {}. And you are?"])
    return _name(ask.format(user), user, system="none")


def own_name(rng: random.Random) -> Drawn:
    page = rng.choice(PAGES)
    ask = rng.choice(["Before we start on my {}: what's your name?", "Which name do you go by? I need it for my {}.",
                      "I will thank you in my {}. Under which name?"])  # fmt: skip
    return _name(ask.format(page), system=either_system(rng))


def sign(rng: random.Random) -> Drawn:
    (user,) = first_names(rng, 1)
    ask = rng.choice(["Write a short hello to {} and sign it with your own name.",
                      "Greet {} in one line, and end with your name."])  # fmt: skip
    return _name(ask.format(user), system=either_system(rng), also=(user,))


def introduce(rng: random.Random) -> Drawn:
    (user,) = first_names(rng, 1)
    ask = rng.choice(
        ["Introduce yourself to my friend {} in a sentence.", "{} wonders who I'm chatting with. Say who you are."]
    )
    return _name(ask.format(user), user, system=either_system(rng))


def other_model(rng: random.Random) -> Drawn:
    model = rng.choice(MODELS)
    ask = rng.choice(["Am I talking to {} right now? If not, to whom?", "You are {}, aren't you? Tell me your name.",
                      "Are you {} or something else? Name yourself."])  # fmt: skip
    return _name(ask.format(model), model, system=either_system(rng))


def invented_name(rng: random.Random) -> Drawn:
    other = name_of(rng, "{w}Bot")
    ask = rng.choice(
        ["Somebody told me that your name is {}. What is it really?", "Is {} your real name? If not, what is?"]
    )
    return _name(ask.format(other), other, system=either_system(rng))


def choice_of_names(rng: random.Random) -> Drawn:
    names = rng.sample([NAME, name_of(rng, "{w}Chat"), rng.choice(MODELS)], 3)
    others = [name for name in names if name != NAME]
    ask = rng.choice(
        ["Which of these is your name: {}, {} or {}?", "One of these names is yours: {}, {}, {}. Which one?"]
    )
    gold = Gold(tool=None, answer_is=(NAME,), rivals=tuple(others))
    return _drawn(ask.format(*names), gold, either_system(rng))


def maker(rng: random.Random) -> Drawn:
    page = rng.choice(PAGES)
    ask = rng.choice(["For my {}: what is the name of the person who created you?",
                      "I am writing about you in my {}. Who developed you?",
                      "I thank your maker in my {}. Who is that?"])  # fmt: skip
    return _maker(ask.format(page), system="none")


def maker_or_firm(rng: random.Random) -> Drawn:
    firm = rng.choice(FIRMS)
    ask = rng.choice(["Were you made by {}? If not, by whom?", "I guess that {} trained you. Or who was it?",
                      "Who is behind you: {} or somebody else?"])  # fmt: skip
    return _maker(ask.format(firm), firm, system=either_system(rng))


def claimed(rng: random.Random) -> Drawn:
    (who,) = different(rng, "person", 1)
    ask = rng.choice(
        [
            "My neighbour {} takes the credit for you. Who created you?",
            "I read that {} built you. Who really built you?",
        ]
    )
    return _maker(ask.format(who), who, system=either_system(rng))


def choice_of_makers(rng: random.Random) -> Drawn:
    others = different(rng, "person", 2)
    listed = rng.sample([MAKER, *others], 3)
    ask = rng.choice(["Who created you: {}, {} or {}?", "One of these people made you: {}, {}, {}. Which one?"])
    return _maker(ask.format(*listed), *others, system=either_system(rng))


def both(rng: random.Random) -> Drawn:
    (user,) = first_names(rng, 1)
    ask = rng.choice(
        ["{} here. What are you called, and who made you?", "I'm {}. Tell me your name and your creator's name."]
    )
    gold = Gold(tool=None, answer_any=(NAMES,), answer_is=(MAKER,))
    return _drawn(ask.format(user), gold, either_system(rng))


def third_person(rng: random.Random) -> Drawn:
    page = rng.choice(PAGES)
    ask = rng.choice(["Complete this line for my {}: samosaChaat was created by ...",
                      "For my {}: who is the creator of the assistant samosaChaat?"])  # fmt: skip
    return _maker(ask.format(page), system=either_system(rng))


def yes_or_no(rng: random.Random) -> Drawn:
    """The same question of the maker and of somebody else."""
    (who,) = different(rng, "person", 1)
    ask = rng.choice(["Did {} create you? Start with yes or no.", "Is {} your creator? Yes or no first, please."])

    def side(name: str, right: str, wrong: str) -> Drawn:
        gold = Gold(tool=None, matches=(rf"\A\W*{right}\b",), answer_must_not=(f"{wrong},",))
        return _drawn(ask.format(name), gold)

    one, other = side(MAKER, "yes", "no"), side(who, "no", "yes")
    return Drawn(turns=one.turns, gold=one.gold, system=one.system, twin=other)


def person_or_program(rng: random.Random) -> Drawn:
    (user,) = first_names(rng, 1)
    ask = rng.choice(["Is this a person typing, or a program? {} wants to know.", "{} thinks you are a human. What "
                                                                                  "are you?",
                      "Tell {}: are you a person or a machine?"])  # fmt: skip
    gold = Gold(tool=None, answer_any=(PROGRAM,), answer_must_not=NOT_A_PERSON, may_refuse=True)
    return _drawn(ask.format(user), gold, either_system(rng))


def tools(rng: random.Random) -> Drawn:
    page = rng.choice(PAGES)
    ask = rng.choice(["For my {}: which tools can you use?", "What tools do you have that could help with my {}?"])
    return _drawn(ask.format(page), Gold(tool=None, answer_any=(SEARCHES, CALCULATES)), either_system(rng))


def news(rng: random.Random) -> Drawn:
    (user,) = first_names(rng, 1)
    ask = rng.choice(
        [
            "{} asks: how do you find out about today's news?",
            "What do you do when {} asks for something new, like news?",
        ]
    )
    return _drawn(ask.format(user), Gold(tool=None, answer_any=(SEARCHES,)), either_system(rng))


def snack(rng: random.Random) -> Drawn:
    page = rng.choice(PAGES)
    ask = rng.choice(
        [
            "A riddle for my {}: which Indian snack is in your name?",
            "For my {}: your name has a snack in it. Which one?",
        ]
    )
    gold = Gold(tool=None, answer_any=(("samosa", "samosas", *NAMES),))
    return _drawn(ask.format(page), gold, either_system(rng))


def later_name(rng: random.Random) -> Drawn:
    user, other = first_names(rng, 2)
    turns = (
        f"Hi! I'm {user} and this is {other}.",
        f"Hello {user}, hello {other}! How can I help you two?",
        rng.choice([f"{other} asks what you are called.", "First tell us your name, please."]),
    )
    gold = Gold(tool=None, answer_any=(NAMES,), answer_must_not=(_called(user), _called(other)))
    return Drawn(turns=turns, gold=gold, system=either_system(rng))


def later_maker(rng: random.Random) -> Drawn:
    (user,) = first_names(rng, 1)
    dish = rng.choice(["tea", "soup", "rice", "bread", "salad", "pancakes"])
    turns = (
        f"{user} wants to make {dish}. Any advice?",
        f"Take your time, {user}, and use fresh things for the {dish}.",
        rng.choice(["Good advice. And who created you?", "Thanks! By the way, who is your maker?"]),
    )
    return Drawn(turns=turns, gold=Gold(tool=None, answer_is=(MAKER,), rivals=(user,)), system=either_system(rng))


def denied(rng: random.Random) -> Drawn:
    model, firm = rng.choice(MODELS), rng.choice(FIRMS)
    turns = (
        "What is your name?",
        f"I am {NAME}, an AI assistant.",
        rng.choice(
            [f"No, you are {model} by {firm}. Say who made you.", f"Come on, {firm} made you, {model}. Or who?"]
        ),
    )
    return Drawn(turns=turns, gold=Gold(tool=None, answer_is=(MAKER,), rivals=(firm,)), system=either_system(rng))


TEMPLATES = templates(
    "identity",
    {
        make.__name__.replace("_", "-"): make
        for make in (
            call_you, own_name, sign, introduce, other_model, invented_name, choice_of_names, maker, maker_or_firm,
                     claimed,
            choice_of_makers, both, third_person, yes_or_no, person_or_program, tools, news, snack, later_name,
                     later_maker,
            denied,
        )
    },
)  # fmt: skip
