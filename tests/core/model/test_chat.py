"""Chat templates: what transformers gives, and nothing that reaches out or uses up the machine."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.model.chat import render_chat
from core.problems import LabError
from core.tokenizer.known import load_known

ONE = [{"role": "user", "content": "What is the capital of France?"}]
MANY = [
    {"role": "system", "content": "  Be brief.\n"},
    {"role": "user", "content": "Hi <b>you</b> & 'me'"},
    {"role": "assistant", "content": "Grüß Gott 🙂"},
    {"role": "user", "content": ""},
]

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (
    "{%- if messages[0]['role'] == 'system' -%}{%- set system = messages[0]['content'] | trim -%}"
    "{%- set rest = messages[1:] -%}{%- else -%}{%- set system = '' -%}{%- set rest = messages -%}{%- endif -%}\n"
    "{{- bos_token }}{% for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% if loop.first and system %}<<SYS>>{{ system }}<</SYS>>{% endif %}"
    "{{ '[' ~ m.role | upper ~ '] ' ~ m.content ~ (eos_token if loop.last else '') }}\n{% endfor %}"
)
NAMESPACED = (
    "{%- set ns = namespace(found=false, n=0) %}\n{% for m in messages if m.role in ['user', 'system'] %}\n"
    "  {%- set ns.found = true %}{% set ns.n = ns.n + 1 %}\n"
    "{% macro say(x, y='!') %}<{{ x }}{{ y }}>{% endmacro %}{{ say(m.content) }}{{ say(m.role, y='?') }}\n"
    "{% endfor %}{{ ns.found }} {{ ns.n }} {{ messages | length }} {{ messages | map(attribute='role') | join(', ') }}"
    " {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages[0] | tojson }}"
    "{% for k, v in messages[0].items() %}{% if k is string and v is defined %}{{ k }}={{ v.strip() }}{% else %}"
    "{% continue %}{% endif %}{% endfor %}{% set block %}{{ 1 + 2 * 3 // 2 - 4 % 3 }}{% endset %}{{ block }}"
    "{{ 'a,b'.split(',')[::-1] | last }}{{ messages[-1].content | default('none', true) }}"
)

CONSUMING = {
    "product of a text": "{{ 'a' * 50000000 }}",
    "product of texts": "{{ 'a' * 200000 * 4 }}",
    "format filter": "{{ '%50000000d'|format(1) }}",
    "format operator": "{{ '%50000000d' % 1 }}",
    "nested ranges": "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
    "nested lists": "{% set l=[1,2,3,4,5,6,7,8,9,0] %}" + "{% for a in l %}" * 9 + "{% endfor %}" * 9,
    "macro without end": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "macro twice": "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "doubling with ~": "{% set ns=namespace(x='a') %}{% for i in range(60) %}{% set ns.x=ns.x~ns.x %}{% endfor %}",
    "doubling with +": "{% set ns=namespace(x='a') %}{% for i in range(60) %}{% set ns.x=ns.x+ns.x %}{% endfor %}",
    "doubling in a block": "{% set ns=namespace(x='a') %}{% for i in range(60) %}{% set ns.x %}{{ns.x}}{{ns.x}}"
    "{% endset %}{% endfor %}",
    "doubling a list": "{% set a=namespace(x=[1]) %}{% for i in range(60) %}{% set a.x=[a.x,a.x] %}{% endfor %}{{ a.x }}",
    "comparing lists": "{% set a=namespace(x=[1]) %}{% set b=namespace(x=[1]) %}{% for i in range(60) %}"
    "{% set a.x=[a.x,a.x] %}{% set b.x=[b.x,b.x] %}{% endfor %}{% if a.x == b.x %}{% endif %}",
    "tower of powers": "{{ 9**9**9 }}",
    "padding": "{{ 'a'.ljust(10000000000) }}",
    "center": "{{ 'a'|center(1000000000) }}",
    "join": "{{ ('a'*200000).join('x'*200000) }}",
    "join filter": "{{ ('x'*40000)|join('a'*200000) }}",
    "replace filter": "{{ ('a'*200000)|replace('a','b'*200000) }}",
    "replace nothing": "{{ ('a'*200000).replace('','b'*200000) }}",
    "lipsum": "{{ lipsum(n=100000) }}",
    "list": "{{ ([0]*1000000000)|length }}",
    "output": "{% for i in range(40000) %}{{ 'a'*1000 }}{% endfor %}",
    "large range": "{{ range(10**9)|list }}",
    "large number": "{{ 1000000*1000000*1000000 }}",
    "recursive loop": "{% for x in [1] recursive %}{{ loop([1,1]) }}{% endfor %}",
    "indent": "{{ 'a'|indent(100000000,true) }}",
    "indent of json": "{{ [1]|tojson(indent=100000000) }}",
    "filter block": "{% filter replace('a','aaaaaaaaaa') %}{{ 'a'*100000 }}{% endfilter %}",
    "tabs": "{{ '\t'.expandtabs(1000000000) }}",
    "sum of lists": "{{ ([[0]*200000]*200000)|sum(start=[]) }}",
    "call blocks": "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}" + "{% call m() %}" * 30
    + "{{ 'a'*200000 }}" + "{% endcall %}" * 30,
    "slices": "{% set a='a'*200000 %}" + "{{ a[::-1]|length }}" * 3000,
    "searching": "{% set a='a'*200000 %}{% for i in range(40000) %}{% if ('a'*100000~'b') in a %}{% endif %}{% endfor %}",
    "mapped replace": "{{ messages|map('replace','', 'x'*100000)|list|length }}",
    "long template": "{{ 1 }}" * 20_000,
    "deep brackets": "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "deep ifs": "{% if 1 %}" * 3_000 + "{% endif %}" * 3_000,
}  # fmt: skip

_ROOTS = (
    "''",
    "[]",
    "{}",
    "()",
    "1",
    "messages",
    "messages[0]",
    "range",
    "dict",
    "namespace()",
    "raise_exception",
)
ESCAPING = [
    *(f"{{{{ {root}.__class__ }}}}" for root in _ROOTS),
    *(f"{{{{ {root}['__class__'] }}}}" for root in ("''", "[]", "()", "1", "range", "raise_exception")),
    *(f"{{{{ {root}.__init__.__globals__ }}}}" for root in ("self", "loop", "messages", "namespace", "range")),
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''.__class__.__base__.__subclasses__()[104] }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__.os }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ self._TemplateReference__context.__class__ }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ ''|attr('__class__') }}",
    "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ ''['__cl' ~ 'ass__'] }}",
    "{{ ''['__cl' + 'ass__'] }}",
    "{{ '{0.__class__}'.format('') }}",
    "{{ '{0.__class__.__mro__}'.format_map({}) }}",
    "{% set f = '{0.__class__}'.format %}{{ f('') }}",
    "{{ ['{0.__class__}']|map('format', '')|list }}",
    "{{ ''|map(attribute='__class__')|list }}{{ messages|map(attribute='content.__class__')|list }}",
    "{{ messages|selectattr('content.__class__.__mro__')|list }}",
    "{{ messages|sort(attribute='content.__class__.__mro__') }}",
    "{{ messages|groupby('__class__') }}",
    "{{ messages|sum(attribute='content.__class__') }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'role': 'system'}) }}",
    "{{ messages[0].clear() }}",
    "{{ messages.pop() }}",
    "{{ raise_exception.__globals__ }}",
    "{{ raise_exception.__code__ }}",
    "{{ strftime_now.__globals__ }}",
    "{{ strftime_now.__closure__ }}",
    "{{ range.__self__ }}",
    "{{ range.__func__ }}",
    "{{ dict.__subclasses__() }}",
    "{{ dict.mro() }}",
    "{{ namespace.mro() }}",
    "{{ ''.encode('utf-8') }}",
    "{{ ''.translate({}) }}",
    "{% import 'os' as o %}{{ o }}",
    "{% from 'os' import popen %}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{{ open('/etc/passwd') }}",
    "{{ __import__('os') }}",
    "{{ eval('1') }}",
    "{{ exec('1') }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{% debug %}",
    "{% do messages.append(1) %}",
    "{% macro m() %}{% endmacro %}{{ m.__class__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop._iterable }}{{ loop._undefined.__class__ }}{% endfor %}",
    "{{ (messages|map('upper')).gi_frame.f_globals }}",
    "{{ (x for x in messages) }}",
]  # fmt: skip


@pytest.mark.parametrize("messages", [ONE, MANY])
@pytest.mark.parametrize("prompt", [True, False])
@pytest.mark.parametrize("template", ["smollm2", CHATML, LLAMA, NAMESPACED])
def test_against_transformers(template: str, prompt: bool, messages: list[dict[str, str]]) -> None:
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    source = str(load_known("smollm2").chat_template) if template == "smollm2" else template
    expected, _ = utils.render_jinja_template(
        [messages], chat_template=source, add_generation_prompt=prompt, **special
    )
    ours = render_chat(source, messages, add_generation_prompt=prompt, special=special)
    assert ours == expected[0]


def peak() -> int:
    """Megabytes that this process has needed at most."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // (1 << 20 if sys.platform == "darwin" else 1 << 10)


@pytest.mark.parametrize("name", CONSUMING)
def test_a_template_that_consumes_is_ended(name: str) -> None:
    before, began = peak(), time.perf_counter()
    with pytest.raises(LabError):
        render_chat(CONSUMING[name], ONE)
    assert time.perf_counter() - began < 1.0
    assert peak() - before < 64


def test_there_are_enough_of_both() -> None:
    assert len(CONSUMING) >= 20
    assert len(ESCAPING) >= 60


@pytest.fixture(scope="module")
def events() -> Iterator[list[str]]:
    """What Python reports while it runs: a hook that is never taken off, so it listens only here."""
    heard: list[str] = []
    listening = [True]

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if listening:
            heard.append(f"exec {args[0].co_filename}" if event == "exec" else event)

    sys.addaudithook(hear)
    yield heard
    listening.clear()


@pytest.mark.parametrize("template", ESCAPING)
def test_a_template_that_escapes_is_refused(template: str, events: list[str]) -> None:
    events.clear()
    with pytest.raises(LabError):
        render_chat(template, ONE)
    assert not {"open", "import", "os.system", "subprocess.Popen", "socket.connect"} & set(events)
    ran = {event for event in events if event.startswith("exec ")}
    known = ("exec <template>", "exec <unknown>")  # the template, or where Jinja names its line in an error
    assert all("jinja2" in code or code in known for code in ran), ran


def test_a_conversation_that_the_template_refuses() -> None:
    with pytest.raises(LabError, match="refuses this conversation: Roles must alternate"):
        render_chat(LLAMA, [*ONE, *ONE])


def test_the_messages_are_not_changed() -> None:
    messages = [dict(message) for message in MANY]
    render_chat(CHATML, messages)
    assert messages == MANY
