"""Questions of our own, laid out and worded as benchmarks have them."""

from samosa.data.fence import Denied

ASKED = [
    ("Marta picked 24 pears on Monday and 17 on Tuesday. She gave a third of them to Jonas. "
     "How many pears does Marta have left?", "27"),
    ("A ferry leaves Split at 9 am and covers 84 miles at 24 miles per hour. When does it reach Ancona?", "12:30 pm"),
    ("If today is Tuesday, what day was it 10 days ago?", "Saturday"),
    ("What is 23 × 47?", "1081"),
    ("Calculate a 17% tip on $45.", "7.65"),
    ("What's the weather in Seoul?", "rainy"),
    ("How do airplanes fly?", "their wings push air down"),
    ("Which enzyme unwinds the double helix before it is copied?", "helicase"),
    ("In which year did the treaty of Westphalia end the war that Gustavus Adolphus had entered?", "1648"),
    ("A committee of 5 is chosen from 9 women and 7 men. In how many ways can at least 2 men be on it?", "3913"),
    ("Who wrote the opera that opens on the ramparts of a castle in Rome?", "Puccini"),
    ("Write a function that takes a list of intervals and returns the total length that they cover together.", "sweep"),
    ("The owner of a tannery sells it to his nephew, who promises to keep the wages of the workers for 3 years. "
     "Can a worker who was dismissed after one year sue the nephew?", "third-party beneficiary"),
    ("A gardener plants tulips in rows of 12 and has 7 rows. Each tulip costs 2 euros. What does he pay?", "168"),
]  # fmt: skip

DENIED = [Denied(f"own-{number}", question, (answer,)) for number, (question, answer) in enumerate(ASKED)]

UNLIKE = [
    "What is the price of gold mines in Peru?",
    "Which of the following statements is true?",
    "Who is the president of the chess club, and how do I write to him?",
    "I had 24 pears once and gave them all away on a Monday.",
    "Planes fly because of their wings. Do kites fly for the same reason, and do balloons?",
    "How much should I tip a hairdresser in a small town?",
    "Today is a good day. Ten days ago it rained, and what a day that was.",
    "Write a function that takes a list of names and returns the longest one.",
    "Is the ferry to Ancona a good way to spend a night? I get seasick after 9 hours.",
    "Paris.",
    "The answer is 1081.",
    "helicase",
    "Explain what helicase does and which other enzymes a cell needs to copy its genes.",
    "I can iterate 8 times to generate 32 permutations.",
    "Thank you. What should I plant in rows next to my tulips, and does a gardener earn well?",
]
"""Rows that share words, stems or answers with those questions and copy none."""
