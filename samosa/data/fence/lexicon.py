"""English words that are no evidence of a copy: grammar, the stems of questions, numbers, units."""

GRAMMAR = frozenset(
    """
    a an the this that these those there here it its i me my mine you your yours we us our he him his she her hers they
    them their ones s t re ve ll d m im ive id youre theyre hes shes
    is are was were be been being am do does did done doing have has had having will would can could shall should may
    might must cannot cant dont doesnt didnt isnt arent wasnt werent wont wouldnt couldnt shouldnt
    and or but nor so if then than as at by for from in into of off on onto out over to up with without within about
    after before between during under above below through again against because while until per via not no yes
    who whom whose what which when where why how
    all any both each few more most other others some such only own same too very just also even still yet
    many much get gets got let lets please tell me know help sure hello hi hey thanks ok okay
    likely first second last next other another st nd rd th
    """.split()
)

STEMS = frozenset(
    """
    following statement statements true false correct incorrect right wrong best answer answers question questions
    option options choose choice select example examples describe explain explains term refer refers called
    """.split()
)
"""What tests are full of: "Which of the following statements is true?" asks nothing by itself."""

NUMBER_WORDS = frozenset(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million
    millions billion billions half halves quarter quarters thirds fourths fifths dozen dozens once twice thrice double
    triple third fourth fifth sixth seventh eighth ninth tenth
    """.split()
)
DAYS_AND_MONTHS = frozenset(
    """
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august september
    october november december
    """.split()  # may is grammar
)

UNITS = frozenset(
    """
    mm cm km m mile miles meter meters metre metres kilometer kilometers kilometre kilometres centimeter centimeters
    centimetre centimetres millimeter millimeters inch inches foot feet ft yard yards mph kmh kph
    gram grams g kg kilogram kilograms kilo kilos mg lb lbs pound pounds ounce ounces oz ton tons tonne tonnes
    liter liters litre litres ml gallon gallons pint pints quart quarts
    dollar dollars cent cents euro euros rupee rupees yen yuan usd eur gbp inr buck bucks
    seconds minute minutes min mins hour hours hr hrs day days week weeks month months year years decade decades am pm
    degree degrees celsius fahrenheit watt watts volt volts kb mb gb tb byte bytes
    """.split()
) - {"m", "am"}

SAME = {
    "*": "times",
    "multiplied": "times",
    "+": "plus",
    "added": "plus",
    "/": "divided",
    "%": "percent",
    "pct": "percent",
    "=": "equals",
    "equal": "equals",
    "subtracted": "minus",
    "whats": "what",
    "whos": "who",
    "hows": "how",
    "wheres": "where",
    "whens": "when",
    "theres": "there",
    "thats": "that",
    "colour": "color",
    "favourite": "favorite",
    "centre": "center",
}
"""Word -> the word that it is written for."""

ASKING = frozenset(["what", "who", "where", "how", "when", "why", "which", "whose", "whom"])
"""After these "is" may be a mere "'s"."""

OPENERS = frozenset(
    """
    calculate compute find determine write explain describe solve multiply add subtract divide imagine suppose consider
    given list name tell make start suggest repeat evaluate simplify estimate convert compare define discuss summarize
    translate complete identify choose select pick which what who whom whose when where why how is are was were do does
    did can could would will should if in on at the a an this that these those each every some all both there it he
    she they we you your my his her their our after before while during once when as for from with of to by since
    although because let work split put turn thank wish price weather current people say show sort count use using
    take try read look think see check create build design develop discuss prove state assume
    """.split()
)
"""Words that open a sentence and are no names, though they have a capital there."""
