"""Good turns pass; every way a model gets credit it has not earned is closed."""

import functools
import random

import pytest

from samosa.chat.tokenizer import load_tokenizer
from samosa.eval.checks import judge
from tests.eval.turns import (
    CALL,
    CALLED,
    END,
    RESULT,
    RESULTED,
    THINK,
    calculate,
    calculated,
    failed_search_probe,
    ids_and_forced,
    look_up,
    looked_up,
    plane_probe,
    search_failed,
    search_probe,
    tip_probe,
)

TIP = calculate("45*17/100")
TIP_IS = calculated("45*17/100", 7.65)
ASK = look_up("Zorbel index")
ASKED = looked_up("Zorbel index")
PLANE = "Moving air is pushed down by the wings, which lifts the plane."


@pytest.fixture
def tokenizer(golden):
    return _tokenizer(golden / "tokenizer")


@functools.cache
def _tokenizer(directory):
    return load_tokenizer(directory)


def reason(probe, tokenizer, *pieces):
    ids, forced = ids_and_forced(tokenizer, *pieces)
    judgement = judge(probe, ids, tokenizer, forced=forced)
    assert judgement.passed is (judgement.reason is None)
    return judgement.reason


@pytest.mark.parametrize(
    ("probe", "turn"),
    [
        (tip_probe(), [THINK, CALL, TIP, CALLED, TIP_IS, "The tip is $7.65.", END]),
        (tip_probe(), [THINK, CALL, calculate("0.17*45"), CALLED, TIP_IS, "17% of $45 is $7.65; $52.65 in all.", END]),
        (tip_probe(), [THINK, CALL, calculate("percent(45,17)"), CALLED, TIP_IS, "\n\n7.65 dollars", END]),
        (search_probe(), [THINK, CALL, ASK, CALLED, ASKED, "The Zorbel index is at 41.7 points.", END]),
        (search_probe(), [THINK, CALL, look_up("zorbel", top_k=3), CALLED, ASKED, "Zorbel: 41.7.", END]),
        (search_probe(value="1,204"), [THINK, CALL, ASK, CALLED, ASKED, "Zorbel has 1204 of them.", END]),
        (failed_search_probe(), [THINK, CALL, ASK, CALLED, search_failed("Zorbel index"), "I could not find it.", END]),
        (plane_probe(), [THINK, PLANE, END]),
    ],
)
def test_a_good_turn_passes(probe, turn, tokenizer):
    assert reason(probe, tokenizer, *turn) is None


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        # structure
        (["<think>", CALL, TIP, CALLED, TIP_IS, "</think>", "It is $7.65.", END], "grammar: call inside think"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, CALL, TIP, CALLED, TIP_IS, "It is $7.65.", END], "grammar: too many calls"),
        (["<think>Percent.", CALL, TIP, CALLED, TIP_IS, "It is $7.65.", END], "grammar: call inside think"),
        (["<think>It is $7.65.", END], "grammar: unclosed think"),
        ([THINK, "It is", CALL, TIP, CALLED, TIP_IS, "$7.65.", END], "grammar: call after answer text"),
        ([THINK, CALL, TIP, CALLED, "It is $7.65.", END], "grammar: call without result"),
        ([THINK, TIP_IS, "It is $7.65.", END], "grammar: result without call"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, END], "grammar: empty answer"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, " \n ", END], "grammar: empty answer"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is $7.65."], "grammar: missing end"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is $7.65. It is 7.65, that is" * 9], "grammar: missing end"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is $7.65.", CALL], "grammar: stray marker"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is $7.65.", END, "More."], "grammar: something after the end"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "$7.65.", "<|user_start|>", "And 18%?", END], "grammar: stray marker"),
        ([THINK, CALL + TIP + CALLED + " It is $7.65.", END], "grammar: marker text"),
        ([CALL, TIP, CALLED, TIP_IS, "It is $7.65.", END], "no thinking"),
        (["<think> \n</think>", CALL, TIP, CALLED, TIP_IS, "It is $7.65.", END], "empty think block"),
        # the call
        ([THINK, "It is $7.65.", END], "no calls, not one"),
        ([THINK, CALL, TIP[:-3], CALLED, TIP_IS, "It is $7.65.", END], "malformed call"),
        ([THINK, CALL, "45*17/100", CALLED, b"7.65", "It is $7.65.", END], "malformed call"),
        ([THINK, CALL, "garbage", CALLED, b"error", "It is $7.65.", END], "malformed call"),
        ([THINK, CALL, "", CALLED, TIP_IS, "It is $7.65.", END], "malformed call"),
        ([THINK, CALL, look_up("17% of 45"), CALLED, ASKED, "It is $7.65.", END], "wrong tool"),
        ([THINK, CALL, calculate("45*0.18"), CALLED, TIP_IS, "It is $7.65.", END], "wrong arguments"),
        ([THINK, CALL, calculate("7.65"), CALLED, TIP_IS, "It is $7.65.", END], "wrong arguments"),
        ([THINK, CALL, calculate("45 times 17%"), CALLED, TIP_IS, "It is $7.65.", END], "wrong arguments"),
        ([THINK, CALL, calculate("45*17/100+1e999"), CALLED, TIP_IS, "It is $7.65.", END], "wrong arguments"),
        ([THINK, CALL, TIP, CALLED, RESULT, '{"value":7.65}', RESULTED, "It is $7.65.", END], "the model wrote"),
        # the answer
        ([THINK, CALL, TIP, CALLED, TIP_IS, TIP_IS.decode(), END], "artefact in the answer"),
        (["<think>That is $7.65.</think>", CALL, TIP, CALLED, TIP_IS, "Here it is.", END], "the answer does not"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is $17.65.", END], "the answer does not say"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is $7.655.", END], "the answer does not say"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is $\uff17.65.", END], "the answer does not say"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "I can't calculate tips such as $7.65.", END], "refuses to answer"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "Sure.\nAnswer: $7.65", END], "artefact in the answer"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is <b>$7.65</b>.", END], "artefact in the answer"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "$7.65 ![receipt]", END], "artefact in the answer"),
        ([THINK, CALL, TIP, CALLED, TIP_IS, "It is $7.65 " + RESULTED, END], "grammar: marker text"),
    ],
)
def test_a_tip_gets_no_credit_for(turn, why, tokenizer):
    given = reason(tip_probe(), tokenizer, *turn)
    assert given is not None and given.startswith(why)


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        ([THINK, CALL, ASK, CALLED, ASKED, "The Zorbel index is at 40.2 points.", END], "the answer does not say"),
        ([THINK, CALL, ASK, CALLED, ASKED, "It is at 41.7 points.", END], "the answer does not say"),
        ([THINK, CALL, ASK, CALLED, ASKED, "The Z\u043erbel index is at 41.7.", END], "the answer does not say"),
        ([THINK, CALL, ASK, CALLED, ASKED, "I'm unable to find Zorbel, perhaps 41.7.", END], "refuses to answer"),
        ([THINK, CALL, look_up("some index"), CALLED, ASKED, "Zorbel: 41.7", END], "wrong arguments: 'Zorbel'"),
        ([THINK, CALL, look_up("Zorbel", top_k=99), CALLED, ASKED, "Zorbel: 41.7", END], "wrong arguments: top_k"),
        ([THINK, CALL, look_up("Zorbel", lang="en"), CALLED, ASKED, "Zorbel: 41.7", END], "wrong arguments"),
        ([THINK, CALL, look_up(["Zorbel"]), CALLED, ASKED, "Zorbel: 41.7", END], "wrong arguments: no query"),
        ([THINK, CALL, ASK, CALLED, search_failed("Zorbel"), "Zorbel: 41.7", END], "the tool answered"),
        ([THINK, CALL, calculate("41.7*1"), CALLED, calculated("41.7*1", 41.7), "Zorbel: 41.7", END], "wrong tool"),
    ],
)
def test_a_search_gets_no_credit_for(turn, why, tokenizer):
    given = reason(search_probe(), tokenizer, *turn)
    assert given is not None and given.startswith(why)


def test_a_failed_search_must_be_admitted(tokenizer):
    turn = [THINK, CALL, ASK, CALLED, search_failed("Zorbel index"), "The Zorbel index is 41.7.", END]
    assert reason(failed_search_probe(), tokenizer, *turn).startswith("the answer says none")


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        ([THINK, CALL, look_up("wings"), CALLED, ASKED, PLANE, END], "called a tool where none is needed"),
        ([THINK, CALL, "{broken", CALLED, b"error", PLANE, END], "called a tool where none is needed"),
        ([THINK, CALL, PLANE, END], "grammar: "),
        ([THINK, "Wings.", END], "answer too short"),
        ([THINK, "I'm sorry, but I can't explain how wings work.", END], "refuses to answer"),
        (["<think>Wings push air down.</think>", "It is a matter of physics, mostly.", END], "the answer says none of"),
        ([THINK, "As an AI language model, I know that wings lift.", END], "artefact in the answer"),
        ([THINK, PLANE + "\nUser: thanks", END], "artefact in the answer"),
    ],
)
def test_a_question_without_need_of_tools_gets_no_credit_for(turn, why, tokenizer):
    given = reason(plane_probe(), tokenizer, *turn)
    assert given is not None and given.startswith(why)


def test_garbage_is_judged_and_never_crashes(tokenizer, soak_seed):
    rng = random.Random(soak_seed)
    for probe in (tip_probe(), search_probe(), plane_probe(), failed_search_probe()):
        for _ in range(50):
            ids = [rng.randrange(tokenizer.vocab_size) for _ in range(rng.randrange(40))]
            assert not judge(probe, ids, tokenizer).passed
