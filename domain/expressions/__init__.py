"""Expressions over points: a text, read once, computed over columns of values."""

from domain.expressions.evaluation import Column as Column
from domain.expressions.evaluation import evaluated as evaluated
from domain.expressions.language import Expression as Expression
from domain.expressions.language import Pattern as Pattern
from domain.expressions.language import Reference as Reference
from domain.expressions.language import Shape as Shape
from domain.expressions.parser import parsed as parsed
from domain.expressions.parser import wrong as wrong
from domain.expressions.patterns import regex as regex
