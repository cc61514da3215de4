r"""How lines of metrics are written, as patterns: by them files are told, and read by the parsers of `chunks.metrics`.

Each matches one line with its break, whatever it is: groups say whether it is a sample or a note, none that it is bad.
"""

from __future__ import annotations

import re

# Prometheus and OpenMetrics.
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
STRING = r'"(?:[^"\\\n]|\\[^\n])*+"'
BLANK = r"[ \t]*+"
_LABEL = rf"(?:[a-zA-Z_][a-zA-Z0-9_]*+|{STRING}){BLANK}={BLANK}{STRING}"
# A string alone is the name of the metric.
_ENTRY = rf"(?:{_LABEL}|{STRING}){BLANK}"
_BRACES = rf"\{{{BLANK}(?:{_ENTRY}(?:,{BLANK}{_ENTRY})*+(?:,{BLANK})?)?\}}"
_VALUE = r"(?:[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?i:inf(?:inity)?)|(?i:nan))"
_TIME = r"[+-]?[0-9]{1,19}(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?"
_EXEMPLAR = rf"[ \t]++\#{BLANK}{_BRACES}{BLANK}{_VALUE}(?:[ \t]++{_TIME})?"
PROMETHEUS_LINE = re.compile(
    rf"(?:\ufeff?{BLANK}"
    rf"(?:(?P<name>{NAME})(?:{BLANK}(?P<labels>{_BRACES}){BLANK}|[ \t]++)|(?P<named>{_BRACES}){BLANK})"
    rf"(?P<value>{_VALUE})(?:[ \t]++(?P<time>{_TIME}))?(?:{_EXEMPLAR})?{BLANK}\r?"
    rf"|(?P<note>\ufeff?{BLANK}(?:\#[^\n]*+|\r?))|[^\n]++)(?:\n|\Z)"
)
PROMETHEUS_TYPE = re.compile(
    rf"\ufeff?{BLANK}\#{BLANK}TYPE[ \t]++(?:{STRING}|{NAME})[ \t]++"
    r"(?:counter|gauge|histogram|summary|untyped|unknown|info|stateset|gaugehistogram)\b"
)

# Line protocol: characters of a text within quotes, which may hold line breaks. One that is longer was never closed.
MAX_TEXT = 65_536
_MEASUREMENT = r"(?![#\n])(?:[^, \t\r\n\\\ufeff]|\\[^\n])++"
KEY = r"(?:[^,= \t\r\n\\]|\\[^\n])++"
TEXT = rf'"(?:[^"\\]|\\[\s\S]){{0,{MAX_TEXT}}}+"'
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[iu]?"
TRUTH = r"t|T|true|True|TRUE|f|F|false|False|FALSE"
_FIELD = rf"{KEY}=(?:{TEXT}|(?:{NUMBER}|{TRUTH})(?=[, \t\r\n]|\Z))"
INFLUX_LINE = re.compile(
    rf"(?:\ufeff?[ \t]*+(?P<name>{_MEASUREMENT})(?P<tags>(?:,{KEY}={KEY})*+)[ ]++(?P<fields>{_FIELD}(?:,{_FIELD})*+)"
    rf"(?:[ ]++(?P<time>-?[0-9]{{1,19}}))?[ \t]*+\r?"
    rf"|(?P<note>\ufeff?[ \t]*+(?:\#[^\n]*+|\r?))|[^\n]++)(?:\n|\Z)"
)

# OpenTelemetry, as JSON: how an export begins, whatever else is in it.
EXPORT = re.compile(
    r'\ufeff?\s*\{\s*"(?:resourceMetrics"\s*:\s*\[|scopeMetrics"\s*:\s*\['
    r'|(?:resource|schemaUrl)"\s*:(?=(?:[^\n]|\n(?!\{)){0,65536}?"scopeMetrics"\s*:\s*\[))'
)
