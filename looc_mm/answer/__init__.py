"""One command from a pretraining and a labelled folder to an answer: which representation to use, if any."""

from .answer import Answer, Row, answer

__all__ = ['Answer', 'Row', 'answer']
