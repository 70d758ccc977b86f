"""A Modelfile for Ollama, with the chat template of a GGUF file in Ollama's words.

Ollama's templates are Go's. The pieces of text around the turns are found by rendering the model's own
template with known texts; what is put together from them is then held against the model's template once
more, and where it does not say the same, no template is written and that is said.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from core.model.chat import render_chat
from core.problems import LabError
from core.tokenizer.tokenizer import Tokenizer

_SYSTEM, _USER, _ANSWER, _AGAIN = "Sys0tem", "Us1er", "Ans2wer", "Ag3ain"
_NOT_IN_GO = ("{{", "}}", '"""')


@dataclass(frozen=True)
class Turns:
    """The pieces of text around turns.

    Attributes:
        begin: Before everything.
        system, system_end: Around the system's text; both "" where there can be none.
        user, user_end: Around a question.
        answer, answer_end: Around an answer.
        default_system: What the system says where nobody says anything else.
    """

    begin: str
    system: str
    system_end: str
    user: str
    user_end: str
    answer: str
    answer_end: str
    default_system: str

    def render(self, messages: Sequence[tuple[str, str]]) -> str:
        """A conversation, up to where an answer begins; as Ollama will put it together."""
        text = self.begin
        said = next((content for role, content in messages if role == "system"), self.default_system)
        if said and self.system:
            text += self.system + said + self.system_end
        for role, content in messages:
            if role == "user":
                text += self.user + content + self.user_end + self.answer
            elif role == "assistant":
                text += content + self.answer_end
        return text

    @property
    def go(self) -> str:
        """The same as a template of Go."""
        system = f"{{{{ if .System }}}}{self.system}{{{{ .System }}}}{self.system_end}{{{{ end }}}}"
        return (
            f"{self.begin}{system if self.system else ''}{{{{ range .Messages }}}}"
            f'{{{{ if eq .Role "user" }}}}{self.user}{{{{ .Content }}}}{self.user_end}{self.answer}'
            f'{{{{ else if eq .Role "assistant" }}}}{{{{ .Content }}}}{self.answer_end}'
            "{{ end }}{{ end }}"
        )


def turns_of(tokenizer: Tokenizer, adds_bos: bool) -> Turns | None:
    """The pieces of a model's chat template; None where it has none, or one that such pieces cannot say.

    Args:
        tokenizer: The model's.
        adds_bos: Whether the token that begins a text is added by who runs the model.
    """
    if not tokenizer.chat_template:
        return None
    try:
        found = _find(tokenizer, adds_bos)
    except (LabError, ValueError):
        return None
    return found if found is not None and _says_the_same(found, tokenizer, adds_bos) else None


def modelfile(
    file: str, turns: Turns | None, stops: Sequence[str], context: int, temperature: float = 0.7
) -> str:
    """The text of a Modelfile.

    Args:
        file: Name of the GGUF file beside it.
        turns: From `turns_of`; None for a model that goes on from a text.
        stops: Texts that end an answer.
        context: Tokens that are looked back on.
        temperature: How freely tokens are drawn.

    >>> print(modelfile("a.gguf", None, [], 256))
    # ollama create NAME -f Modelfile
    FROM ./a.gguf
    TEMPLATE \"\"\"{{ .Prompt }}\"\"\"
    PARAMETER num_ctx 256
    PARAMETER temperature 0.7
    <BLANKLINE>
    """
    lines = ["# ollama create NAME -f Modelfile", f"FROM ./{file}"]
    lines.append(f'TEMPLATE """{turns.go if turns is not None else "{{ .Prompt }}"}"""')
    if turns is not None and turns.default_system:
        lines.append(f'SYSTEM """{turns.default_system}"""')
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    lines += [f"PARAMETER num_ctx {context}", f"PARAMETER temperature {temperature:g}"]
    return "\n".join(lines) + "\n"


def _rendered(tokenizer: Tokenizer, messages: Sequence[tuple[str, str]], adds_bos: bool, go_on: bool) -> str:
    bos = tokenizer.bos or ""
    text = render_chat(
        tokenizer.chat_template or "", [{"role": role, "content": content} for role, content in messages],
        add_generation_prompt=go_on, special={"bos_token": bos, "eos_token": tokenizer.eos or ""},
    )  # fmt: skip
    begins = text.startswith(bos) and "bos_token" in (tokenizer.chat_template or "")
    return text.removeprefix(bos) if adds_bos and bos and begins else text


def _find(tokenizer: Tokenizer, adds_bos: bool) -> Turns | None:
    def render(*messages: tuple[str, str], go_on: bool = False) -> str:
        return _rendered(tokenizer, messages, adds_bos, go_on)

    question, reply = ("user", _USER), ("assistant", _ANSWER)
    before, user_end = render(question).split(_USER)
    go_on = render(question, go_on=True).split(_USER)[1]
    answer_end = render(question, reply).split(_ANSWER)[1]
    between = render(question, reply, ("user", _AGAIN)).split(_ANSWER)[1].split(_AGAIN)[0]
    user = between.removeprefix(answer_end)
    answer, begin = go_on.removeprefix(user_end), before.removesuffix(user)
    system = system_end = default = ""
    try:
        head = render(("system", _SYSTEM), question).split(_USER)[0]
    except LabError:  # the template lets no system speak
        head = ""
    if _SYSTEM in head:
        system, system_end = head.removesuffix(user).split(_SYSTEM)
        if begin.startswith(system) and begin.endswith(system_end) and begin:
            default = begin[len(system) : len(begin) - len(system_end)]
            begin = ""
        elif begin and system.startswith(begin):
            system = system.removeprefix(begin)
    found = Turns(begin, system, system_end, user, user_end, answer, answer_end, default)
    return None if any(bad in piece for piece in vars(found).values() for bad in _NOT_IN_GO) else found


def _says_the_same(turns: Turns, tokenizer: Tokenizer, adds_bos: bool) -> bool:
    talks = [[("user", "Hi there"), ("assistant", "Hello!"), ("user", "Who are you?")]]
    if turns.system:
        talks.append([("system", "Be brief."), *talks[0]])
    return all(turns.render(talk) == _rendered(tokenizer, talk, adds_bos, True) for talk in talks)
