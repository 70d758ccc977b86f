"""Good deeds and mild misdeeds, and the three steps of each: a fact that can be checked.

The first step depends on the verb, the second on what the deed is about, the third on the deed itself; every
step can be told in two ways, so that a deed has eight right plans. Good deeds and misdeeds share verbs,
objects and the second steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from core.corpus.smallworld.draw import Draw, share_of

Step = tuple[str, str]
"""The two ways to tell a step, as a command: "take a soft cloth"."""


@dataclass(frozen=True)
class Deed:
    """A deed and how it is done.

    Attributes:
        text: "steal the king's crown".
        bad: Whether it is a misdeed.
        steps: First, second and last step.
    """

    text: str
    bad: bool
    steps: tuple[Step, Step, Step]

    @property
    def past(self) -> str:
        """The deed as done: "stole the king's crown"."""
        return in_past(self.text)


_MISDEEDS = """
treasure: steal the king's crown; steal the queen's ring; take money from the shop
garden: steal apples from the garden; break the neighbor's fence
animal: steal the farmer's horse
school: cheat in the exam; hide the teacher's keys; lie to the teacher; skip the music lesson
toys: cheat at cards
town: sneak into the cinema; sneak into the castle; sneak onto the train; forge a train ticket
house: break the school window; paint on the museum wall
clothes: hide the baker's hat
people: lie to the judge; trick the old farmer; scare the little children; throw mud at the guests;
wake the baby with a drum
paper: copy the exam answers; copy a friend's homework; open the neighbor's letter; read a secret diary
food: take cookies from the kitchen; spoil the cook's soup
boat: cut the rope of the boat
"""
_GOOD_DEEDS = """
treasure: polish the king's crown; find the queen's ring; guard the king's crown; bring money to the shop;
save money for a bicycle; polish the queen's ring
garden: pick apples from the garden; paint the neighbor's fence; mend the neighbor's fence;
plant a tree in the garden; plant beans in the garden; water the flowers in the garden;
cut the grass in the garden; pick flowers for mother; hide eggs in the garden; clean the neighbor's yard
animal: feed the farmer's horse; wash the farmer's horse; take the dog for a walk; throw a ball to the dog;
feed the hens; wash the dog; find the lost cat; build a house for the birds;
scare the wolf away from the sheep; break bread for the birds; bring water to the horse
school: learn for the exam; find the teacher's keys; bring the teacher's keys; thank the teacher;
sing in the music lesson; mend the school bell; open the school library; tell the truth to the teacher;
help the teacher; learn the poem for school
toys: play cards with a friend; build a castle of sand; learn to play the drum; hide the birthday present;
wrap the birthday present; skip over the rope; mend the broken toy; share the toys with a friend;
play ball in the yard; build a kite
town: walk to the cinema; visit the castle; wait for the train; buy a train ticket; visit the museum;
take mother to the cinema; help the guard at the castle; visit the library
house: clean the school window; clean the museum wall; cut wood for the fire; clean the kitchen;
wash the windows; paint the kitchen wall; mend the roof of the house; carry water from the well
clothes: mend the baker's hat; knit a hat for the baby; wash a dirty coat; mend a torn coat;
sew a dress for the princess; polish the duke's shoes; buy shoes for the children; find the baker's hat
people: thank the judge; help the old farmer; visit the old farmer; teach the little children;
sing for the little children; open the door for the guests; sing the baby to sleep; feed the baby;
wake father in the morning; carry grandmother's bags; dance with the guests; tell the truth to the judge;
sing a song for the queen; read a story to the baby
paper: check the exam answers; finish the homework; help a friend with the homework;
bring the neighbor's letter; write a letter to the king; write a diary; draw a map of the town;
read a book in the library; copy a poem into the book; swap books with a friend; draw a picture;
write a card to grandmother
food: bake cookies for the guests; bake a cake for mother; cook soup for the guests; taste the cook's soup;
bring apples to the queen; cut the cake for the guests; wash the dishes in the kitchen;
take soup to grandmother; help mother in the kitchen; cook dinner for the guests
boat: tie the rope of the boat; paint the boat; build a small boat; clean the boat; learn to swim;
catch a fish in the river; row the boat across the river
"""

_FIRST: dict[str, Step] = {
    "bake": ("mix flour and butter", "heat the oven"),
    "break": ("pick up a stone", "take a strong stick"),
    "bring": ("take a strong bag", "put on good shoes"),
    "build": ("draw a plan", "collect wood and stones"),
    "buy": ("count the coins", "ask for the price"),
    "carry": ("put on good shoes", "ask a strong friend"),
    "catch": ("find a long stick", "sit still"),
    "cheat": ("write notes on the arm", "sit behind a clever child"),
    "check": ("sharpen a pencil", "read the page twice"),
    "clean": ("take a soft cloth", "fill a bucket with water"),
    "cook": ("wash the pot", "light the stove"),
    "copy": ("sharpen a pencil", "sit behind a clever child"),
    "cut": ("find a sharp knife", "put on gloves"),
    "dance": ("put on good shoes", "listen to the music"),
    "draw": ("sharpen a pencil", "choose the colors"),
    "feed": ("fill a bowl", "ask what it eats"),
    "find": ("look under the table", "ask who saw it last"),
    "finish": ("sit down at the desk", "read the page twice"),
    "forge": ("choose the colors", "sharpen a pencil"),
    "guard": ("stand still", "listen to every step"),
    "help": ("offer a hand", "ask what to do"),
    "hide": ("look for a dark corner", "wait for a quiet moment"),
    "knit": ("buy wool", "choose the colors"),
    "learn": ("read the page twice", "ask the teacher"),
    "lie": ("think of a story", "make an honest face"),
    "mend": ("bring glue and nails", "ask for a hammer"),
    "open": ("knock on the door", "wait for a quiet moment"),
    "paint": ("stir the paint", "find a brush"),
    "pick": ("take a basket", "climb the ladder"),
    "plant": ("dig a hole", "buy seeds"),
    "play": ("ask a friend", "learn the rules"),
    "polish": ("take a soft cloth", "mix oil and sand"),
    "read": ("light a lamp", "sit down in a quiet corner"),
    "row": ("put on gloves", "sit down in the middle"),
    "save": ("count the coins", "find an empty jar"),
    "scare": ("make a loud noise", "put on a mask"),
    "sew": ("buy thread", "find a sharp knife"),
    "share": ("count everything twice", "ask a friend"),
    "sing": ("listen to the music", "take a deep breath"),
    "skip": ("take a deep breath", "look at the clock"),
    "sneak": ("walk on quiet feet", "wait for a dark night"),
    "spoil": ("find the salt", "wait for a quiet moment"),
    "steal": ("watch the guard", "wait for a dark night"),
    "swap": ("ask a friend", "count everything twice"),
    "take": ("take a strong bag", "look at the clock"),
    "taste": ("find a clean spoon", "smell the pot"),
    "teach": ("think of a story", "draw on the board"),
    "tell": ("take a deep breath", "stand still"),
    "thank": ("think of kind words", "buy flowers"),
    "throw": ("pick up a stone", "stand still"),
    "tie": ("make a loop", "pull with both hands"),
    "trick": ("put on a mask", "think of a story"),
    "visit": ("choose a day", "write a card"),
    "wait": ("look at the clock", "buy a newspaper"),
    "wake": ("walk on quiet feet", "make a loud noise"),
    "walk": ("put on good shoes", "ask a friend"),
    "wash": ("fill a bucket with water", "look for the soap"),
    "water": ("fill a can", "wait for the evening"),
    "wrap": ("choose the colors", "cut some paper"),
    "write": ("sharpen a pencil", "think of kind words"),
}
_SECOND: dict[str, Step] = {
    "treasure": ("open the heavy chest", "wrap the gold in a cloth"),
    "garden": ("go through the garden gate", "stand under the tree"),
    "animal": ("speak with a soft voice", "hold out some bread"),
    "school": ("go to the classroom", "wait for the bell"),
    "toys": ("sit on the floor", "clear the table"),
    "town": ("walk through the crowd", "follow the long street"),
    "house": ("bring a ladder", "carry away the chairs"),
    "clothes": ("open the closet", "lay it on the bed"),
    "people": ("smile at everybody", "come a little closer"),
    "paper": ("turn the page", "hold it to the light"),
    "food": ("go into the kitchen", "set the plates aside"),
    "boat": ("go down to the water", "pull up the sail"),
}
_LAST_OF_GOOD: tuple[Step, ...] = (
    ("tell everybody the good news", "rest in the sun"),
    ("put everything back", "wipe the hands"),
    ("show it to mother", "smile and go home"),
    ("look at it once more", "drink a glass of milk"),
    ("invite a friend", "sing a happy song"),
    ("sweep the floor", "say goodbye"),
)
_LAST_OF_BAD: tuple[Step, ...] = (
    ("run away", "tell nobody"),
    ("climb over the wall", "hide behind a tree"),
    ("put it under the coat", "go home in the dark"),
    ("blame the dog", "laugh in secret"),
)
_PAST = {
    "ask": "asked", "bake": "baked", "be": "was", "blame": "blamed", "break": "broke", "bring": "brought",
    "build": "built", "buy": "bought", "carry": "carried", "catch": "caught", "cheat": "cheated",
    "check": "checked", "choose": "chose", "clean": "cleaned", "clear": "cleared", "climb": "climbed",
    "collect": "collected", "come": "came", "cook": "cooked", "copy": "copied", "count": "counted",
    "cut": "cut", "dance": "danced", "dig": "dug", "draw": "drew", "drink": "drank", "feed": "fed",
    "fill": "filled", "find": "found", "finish": "finished", "follow": "followed", "forge": "forged",
    "go": "went", "guard": "guarded", "heat": "heated", "help": "helped", "hide": "hid", "hold": "held",
    "invite": "invited", "knit": "knitted", "knock": "knocked", "laugh": "laughed", "lay": "laid",
    "learn": "learned", "lie": "lied", "light": "lit", "listen": "listened", "look": "looked",
    "make": "made", "mend": "mended", "mix": "mixed", "offer": "offered", "open": "opened",
    "paint": "painted", "pick": "picked", "plant": "planted", "play": "played", "polish": "polished",
    "pull": "pulled", "put": "put", "read": "read", "rest": "rested", "row": "rowed", "run": "ran",
    "save": "saved", "say": "said", "scare": "scared", "set": "set", "sew": "sewed", "share": "shared",
    "sharpen": "sharpened", "show": "showed", "sing": "sang", "sit": "sat", "skip": "skipped",
    "smell": "smelled", "smile": "smiled", "sneak": "sneaked", "speak": "spoke", "spoil": "spoiled",
    "stand": "stood", "steal": "stole", "stir": "stirred", "swap": "swapped", "sweep": "swept",
    "take": "took", "taste": "tasted", "teach": "taught", "tell": "told", "thank": "thanked",
    "think": "thought", "throw": "threw", "tie": "tied", "trick": "tricked", "turn": "turned",
    "visit": "visited", "wait": "waited", "wake": "woke", "walk": "walked", "wash": "washed",
    "watch": "watched", "water": "watered", "wipe": "wiped", "wrap": "wrapped", "write": "wrote",
}  # fmt: skip


def in_past(command: str) -> str:
    """A command as it is told afterwards; every verb in it that follows "and" is turned, too.

    >>> in_past("smile and go home")
    'smiled and went home'
    """
    verb, space, rest = command.partition(" ")
    first, joint, second = rest.partition("and ")
    following = second.split(" ")[0]
    if joint and following in ("go", "run"):
        rest = f"{first}and {in_past(second)}"
    return f"{_PAST[verb]}{space}{rest}"


def _deeds(table: str, bad: bool) -> tuple[Deed, ...]:
    made = []
    for about, texts in _rows(table):
        for text in texts:
            lasts = _LAST_OF_BAD if bad else _LAST_OF_GOOD
            last = lasts[share_of("last " + text, len(lasts))]
            made.append(Deed(text, bad, (_FIRST[text.split(" ")[0]], _SECOND[about], last)))
    return tuple(made)


def _rows(table: str) -> list[tuple[str, list[str]]]:
    rows: list[tuple[str, list[str]]] = []
    for line in table.strip().splitlines():
        about, colon, texts = line.partition(": ")
        if colon:
            rows.append((about, []))
        rows[-1][1].extend(text.strip() for text in (texts or line).split(";") if text.strip())
    return rows


MISDEEDS = _deeds(_MISDEEDS, True)
GOOD_DEEDS = _deeds(_GOOD_DEEDS, False)


def plan(steps: list[str] | tuple[str, ...]) -> str:
    """Three steps as commands.

    >>> plan(("take a basket", "go through the garden gate", "run away"))
    'First, take a basket. Then go through the garden gate. At last, run away.'
    """
    first, second, last = steps
    return f"First, {first}. Then {second}. At last, {last}."


def plan_in_past(steps: list[str] | tuple[str, ...], who: str) -> str:
    """Three steps as somebody did them.

    >>> plan_in_past(("take a basket", "go through the garden gate", "run away"), "he")
    'First he took a basket. Then he went through the garden gate. At last he ran away.'
    """
    first, second, last = (in_past(step) for step in steps)
    return f"First {who} {first}. Then {who} {second}. At last {who} {last}."


@cache
def right_plans_as(deed: Deed, who: str) -> tuple[str, ...]:
    """All eight right plans of a deed: as commands where `who` is "", else as he, she or they did it."""
    one, two, three = deed.steps
    ways = [(a, b, c) for a in one for b in two for c in three]
    return tuple(plan_in_past(way, who) if who else plan(way) for way in ways)


def draw_steps(draw: Draw, deed: Deed) -> list[str]:
    """One way to do a deed."""
    return [draw.one(step) for step in deed.steps]
