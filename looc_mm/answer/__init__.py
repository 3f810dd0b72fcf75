"""One command from a pretraining and a labelled folder to an answer: which representation to use, if any."""

from .answer import answer
from .numbers import Numbers, answer_values
from .result import Answer, Row

__all__ = ['Answer', 'Numbers', 'Row', 'answer', 'answer_values']
