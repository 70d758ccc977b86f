"""Chat templates: foreign code in Jinja, run where it can neither reach out nor use up the machine.

Jinja's immutable sandbox stops a template from escaping. It does not stop one from consuming: a product of a
string, nested loops or a macro that calls itself can take hours and gigabytes. So a template is rewritten
before it is compiled, such that every loop, call, filter, operator and output passes a `_Budget` that counts
passes, sizes and time. What is let through is bounded: a text of `_LONGEST` characters, `_SECONDS` in all.

Names, filters and globals are those that transformers offers to templates.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.problems import LabError
from core.tokenizer.tokenizer import Tokenizer

TEMPLATE_AT_MOST = 1 << 16  # characters; the longest known has 30,000
_LONGEST = 1 << 18  # characters of any text or items of any list on the way; output, too
_ALTOGETHER = 1 << 26  # parts of all values together: how long that takes depends on the machine
_PASSES = 50_000  # of loops, calls and operators together
_SECONDS = 0.7
_LARGEST = 1 << 20  # of a whole number that a template may compute or pass on

Message = Mapping[str, Any]

_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "int", "items",
    "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace",
    "reverse", "round", "safe", "select", "selectattr", "sort", "string", "sum", "title", "trim", "unique",
    "upper",
)  # fmt: skip
_METHODS = (
    "append", "capitalize", "count", "endswith", "find", "get", "index", "isalpha", "isdigit", "islower",
    "isspace", "isupper", "items", "join", "keys", "lower", "lstrip", "removeprefix", "removesuffix",
    "replace", "rfind", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper",
    "values",
)  # fmt: skip


def render_chat(
    template: str,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool = True,
    special: Mapping[str, str] | None = None,
    name: str = "The chat template",
) -> str:
    """The text that a model reads for a conversation.

    Args:
        template: Jinja.
        messages: Each with `role` ("system", "user", "assistant") and `content`.
        add_generation_prompt: Whether the text ends where the model's answer begins.
        special: Texts of special tokens by name: "bos_token", "eos_token", …
        name: What messages call the template.

    Raises:
        LabError: It is no template, reaches for what it may not have, takes too long, or says itself that the
            conversation is not as it should be.
    """
    if len(template) > TEMPLATE_AT_MOST:
        raise LabError(
            f"{name} has {len(template):,} characters; at most {TEMPLATE_AT_MOST:,} are read.",
            "The file is made to harm, or choose to go on without a template.",
        )
    budget = _Budget()
    environment = _Environment(budget)
    try:
        compiled = environment.compile_counted(template)
        text = _joined(
            compiled.generate(
                messages=[dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                tools=None,
                documents=None,
                **(special or {}),
            )
        )
    except _Refused as error:
        raise LabError(
            f"{name} {error}.", "Go on without a template, or get the model from its source."
        ) from None
    except _Raised as error:
        raise LabError(f"{name} refuses this conversation: {error}", "Change the messages.") from None
    except SecurityError as error:
        raise LabError(
            f"{name} reaches for what no template may have: {_short(error)}",
            "The file is made to harm: do not use it.",
        ) from None
    except TemplateSyntaxError as error:
        raise LabError(
            f"{name}, line {error.lineno}: {_short(error)}", "It is damaged: get the model again."
        ) from None
    except (TemplateError, RecursionError, MemoryError, ArithmeticError, LookupError, AttributeError,
            TypeError, ValueError, AssertionError, SyntaxError) as error:  # fmt: skip
        raise LabError(
            f"{name} fails: {type(error).__name__}: {_short(error)}",
            "Change the messages, or go on without it.",
        ) from None
    return text


def chat_ids(
    tokenizer: Tokenizer, messages: Sequence[Message], *, add_generation_prompt: bool = True
) -> list[int]:
    """The ids of a conversation in a tokenizer's own template, special tokens recognized.

    Raises:
        LabError: It has no template, or `render_chat` refuses.
    """
    if not tokenizer.chat_template:
        raise LabError(
            f"{tokenizer.name} has no chat template.",
            "Go on without it, or choose a model made for chatting.",
        )
    special = {
        name: text
        for name, text in (("bos_token", tokenizer.bos), ("eos_token", tokenizer.eos))
        if text is not None
    }
    text = render_chat(
        tokenizer.chat_template, messages, add_generation_prompt=add_generation_prompt, special=special
    )
    return tokenizer.encode(text, special="all")


class _Refused(Exception):  # noqa: N818 - ends the rendering; becomes a LabError
    """The budget is used up, or a name is not offered."""


class _Raised(Exception):  # noqa: N818
    """The template called raise_exception."""


class _Budget:
    """Counts what a template does, and ends it."""

    def __init__(self) -> None:
        self._passes = 0
        self._output = 0
        self._handled = 0
        self._until = time.monotonic() + _SECONDS

    def spend(self) -> None:
        """One more loop pass, call or operator."""
        self._passes += 1
        if self._passes > _PASSES:
            raise _Refused(f"does more than {_PASSES:,} steps")
        if time.monotonic() > self._until:
            raise _Refused(f"takes longer than {_SECONDS} s")

    def size(self, value: Any) -> Any:
        """The value, if it is not too large, lists within lists included."""
        self._handled += self._walk(value, 0)
        if self._handled > _ALTOGETHER:
            raise _Refused(f"handles texts and lists of more than {_ALTOGETHER:,} parts in all")
        return value

    def _walk(self, value: Any, before: int) -> int:
        """Parts of a value and of what came before it; a list that stands in a list twice counts twice."""
        if isinstance(value, (str, bytes)):
            before += len(value)
        elif isinstance(value, int):
            if abs(value) > _LARGEST:
                raise _Refused(f"computes a number above {_LARGEST:,}")
            before += 1
        elif isinstance(value, (list, tuple, dict)):
            before += 2 * len(value) + 1
            for item in (*value, *value.values()) if isinstance(value, dict) else value:
                before = self._walk(item, before)
                if before > _LONGEST:
                    break
        if before > _LONGEST:
            raise _Refused(f"makes a text or list of more than {_LONGEST:,} parts")
        return before

    def output(self, value: Any) -> Any:
        """The value on its way out, counted."""
        self.spend()
        text = str(self.size(value))
        self._output += len(text)
        if self._output > _LONGEST:
            raise _Refused(f"writes more than {_LONGEST:,} characters")
        return value


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with transformers' settings, where everything is counted."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, budget: _Budget) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols],
            optimized=False,  # nothing is computed while it is compiled
            finalize=budget.output,
            cache_size=0,
        )
        self._budget = budget
        kept = {name: self.filters[name] for name in _FILTERS}
        self.filters = {name: self._counted(function) for name, function in kept.items()}
        self.filters |= {
            "tojson": self._counted(_to_json), "indent": self._counted(_indent), "sum": self._counted(_sum),
            "_loop": self._loop, "_joined": self._concat, "_size": self._sized,
        }  # fmt: skip
        tests: dict[str, Any] = dict(self.tests)
        self.tests = {name: self._counted(function) for name, function in tests.items()}
        namespace = self.globals["namespace"]
        self.globals = {
            "range": self._range, "namespace": namespace, "dict": dict, "raise_exception": _raise,
            "strftime_now": lambda form: datetime.now().strftime(str(form)[:100]),
        }  # fmt: skip

    def compile_counted(self, source: str) -> Any:
        """Compile a template whose loops and joined texts pass the budget."""
        tree = self.parse(source)
        for loop in tree.find_all(nodes.For):
            loop.iter = _filter(loop.iter, "_loop")
        for block in tree.find_all(nodes.AssignBlock):
            block.filter = nodes.Filter(block.filter, "_size", [], [], None, None)
        for comparison in tree.find_all(nodes.Compare):
            comparison.expr = _filter(comparison.expr, "_size")
            for operand in comparison.ops:
                operand.expr = _filter(operand.expr, "_size")
        _replace_concat(tree)
        tree.set_environment(self)
        return self.template_class.from_code(self, self.compile(tree), self.make_globals(None))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if callable(value) and not isinstance(obj, dict) and attr not in _METHODS:
            return False
        return bool(super().is_safe_attribute(obj, attr, value))

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """An escape is refused even where its answer would not be used."""
        raise SecurityError(f"{attribute!r} of {type(obj).__name__}")

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        self._budget.spend()
        method = getattr(obj, "__name__", "")
        of = getattr(obj, "__self__", None)
        for value in (of, *args, *kwargs.values()):
            self._budget.size(value)
        if isinstance(of, str) and method in ("replace", "join"):
            _check_growth(method, of, args)
        return self._budget.size(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        self._budget.spend()
        for value in (left, right):
            self._budget.size(value)
        if operator == "*" and not _numbers(left, right):
            text, times = (left, right) if isinstance(right, int) else (right, left)
            if not isinstance(text, str) or not isinstance(times, int) or len(text) * times > _LONGEST:
                raise _Refused(f"makes a text or list of more than {_LONGEST:,} parts")
        if operator == "**" and (not _numbers(left, right) or abs(left) > 1024 or abs(right) > 16):
            raise _Refused("computes a large power")
        if operator == "%" and isinstance(left, str):
            raise _Refused("formats text with %, which is not offered")
        return self._budget.size(super().call_binop(context, operator, left, right))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter whose arguments and answer are bounded."""
        budget = self._budget

        def counted(*args: Any, **kwargs: Any) -> Any:
            budget.spend()
            for value in (*args, *kwargs.values()):
                budget.size(value)
            if function.__name__ == "do_replace":
                _check_growth("replace", str(args[1]), args[2:])
            if function.__name__ in ("do_join", "sync_do_join"):
                glue = str(args[2]) if len(args) > 2 else str(kwargs.get("d", ""))
                args = (args[0], list(self._loop(args[1])), *args[2:])
                _check_growth("join", glue, (args[1],))
            made = function(*args, **kwargs)
            return budget.size(list(self._loop(made)) if isinstance(made, Iterator) else made)

        if hasattr(function, "jinja_pass_arg"):  # Jinja hands its environment to such a filter
            counted.jinja_pass_arg = function.jinja_pass_arg  # type: ignore[attr-defined]
        return counted

    def _loop(self, values: Iterable[Any]) -> Iterator[Any]:
        """The values of a loop, each pass counted."""
        for value in values:
            self._budget.spend()
            yield value

    def _sized(self, value: Any) -> Any:
        self._budget.spend()
        return self._budget.size(value)

    def _range(self, *bounds: int) -> range:
        made = range(*bounds)
        if len(made) > _PASSES:
            raise _Refused(f"loops more than {_PASSES:,} times")
        return made

    def _concat(self, values: list[Any]) -> str:
        texts = [str(self._budget.size(value)) for value in values]
        if sum(map(len, texts)) > _LONGEST:
            raise _Refused(f"makes a text of more than {_LONGEST:,} characters")
        return "".join(texts)


def _replace_concat(node: nodes.Node) -> None:
    """Put a counted filter in the place of every `~`."""
    for name, value in list(node.iter_fields()):
        if isinstance(value, list):
            for place, item in enumerate(value):
                if isinstance(item, nodes.Node):
                    _replace_concat(item)
                    value[place] = _joined_node(item)
        elif isinstance(value, nodes.Node):
            _replace_concat(value)
            setattr(node, name, _joined_node(value))


def _joined_node(node: nodes.Node) -> nodes.Node:
    if isinstance(node, nodes.Concat):
        return _filter(nodes.List(node.nodes), "_joined")
    return node


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None)


def _numbers(left: Any, right: Any) -> bool:
    return isinstance(left, int | float) and isinstance(right, int | float)


def _check_growth(method: str, text: str, args: Sequence[Any]) -> None:
    """Refuse a replace or join whose answer would be too long, before it is made."""
    if method == "replace" and len(args) >= 2:
        old, new = str(args[0]), str(args[1])
        made = len(text) + (text.count(old) if old else len(text) + 1) * len(new)
    elif method == "join" and args and isinstance(args[0], list | tuple):
        made = sum(len(str(item)) + len(text) for item in args[0])
    else:
        return
    if made > _LONGEST:
        raise _Refused(f"makes a text of more than {_LONGEST:,} characters")


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=None if indent is None else min(int(indent), 8))


def _sum(values: Iterable[Any], attribute: str | None = None, start: float = 0) -> float:
    if attribute is not None:
        raise _Refused("sums attributes, which is not offered")
    numbers = list(values)
    if not all(isinstance(value, int | float) for value in (start, *numbers)):
        raise _Refused("sums what is no number")
    return sum(numbers, start)


def _indent(text: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
    pad = " " * min(int(width), 40)
    if (text.count("\n") + 1) * len(pad) > _LONGEST:
        raise _Refused(f"makes a text of more than {_LONGEST:,} characters")
    lines = text.split("\n")
    rest = [pad + line if line or blank else line for line in lines[1:]]
    return "\n".join([pad + lines[0] if first else lines[0], *rest])


def _raise(message: Any = "") -> NoReturn:
    raise _Raised(str(message)[:200])


def _joined(pieces: Iterable[str]) -> str:
    parts: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > _LONGEST + TEMPLATE_AT_MOST:
            raise _Refused(f"writes more than {_LONGEST:,} characters")
        parts.append(piece)
    return "".join(parts)


def _short(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]
