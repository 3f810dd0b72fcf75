"""What the console shows of a log: our own lines and warnings. The log file holds everything."""

import logging
import sys
from pathlib import Path
from types import FrameType

import mmengine
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop, Runner
from tqdm import tqdm

FRAME = Path(mmengine.__file__).parent  # of the framework, whose messages are for the log file
PASS_ON = (str(FRAME / 'logging'), str(Path(logging.__file__).parent))  # these files log what others say
NOISE = ('deprecated', 'make sure that the mlflow server')  # in MMEngine's warnings: nothing goes wrong


class QuietRunner(Runner):
    """MMEngine's runner with the loops of looc_mm and a console that a person can read; see :func:`make_readable`."""

    def build_logger(self, *args: object, **kwargs: object) -> MMLogger:
        """Build MMEngine's logger, and make its console readable before the first message."""
        logger = super().build_logger(*args, **kwargs)
        make_readable(logger)
        return logger

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the loop that ``by_epoch`` chooses from the registry, as one with a ``type`` is built."""
        if isinstance(loop, dict) and 'by_epoch' in loop and 'type' not in loop:
            by_epoch = loop['by_epoch']
            loop = {key: value for key, value in loop.items() if key != 'by_epoch'}
            loop['type'] = 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'
        return super().build_train_loop(loop)


def make_readable(logger: logging.Logger) -> None:
    """Have a logger's console handlers print short lines, above a progress bar, without MMEngine's own reports.

    MMEngine's messages below a warning (the environment, the config, the hooks, its own training lines) and its
    deprecation warnings go to the log file only.

    Args:
        logger: Changed in place; nothing happens the second time.
    """
    for index, handler in enumerate(logger.handlers):
        if type(handler) is logging.StreamHandler and handler.stream in (sys.stdout, sys.stderr):
            console = ConsoleHandler(handler.stream)
            console.setLevel(handler.level)
            for each in handler.filters:
                console.addFilter(each)
            logger.handlers[index] = console


class ConsoleHandler(logging.StreamHandler):
    """Prints ``14:03:12 message``, and ``WARNING`` or ``ERROR`` before what is one."""

    def __init__(self, stream: object) -> None:
        super().__init__(stream)  # type: ignore[arg-type]
        self.addFilter(concerns_the_user)
        self.setFormatter(ShortFormatter('%(asctime)s %(message)s', '%H:%M:%S'))

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record; a progress bar moves down."""
        try:
            tqdm.write(self.format(record), file=self.stream)
            self.flush()
        except Exception:
            self.handleError(record)


class ShortFormatter(logging.Formatter):
    """Names the level of warnings and errors only."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        time, _, message = text.partition(' ')
        return f'{time} {record.levelname}: {message}'


def concerns_the_user(record: logging.LogRecord) -> bool:
    """Whether a record is for the console: it is not MMEngine's, or it is a warning of something that goes wrong."""
    if not _author(record).startswith(str(FRAME)):
        return True
    return record.levelno >= logging.WARNING and not any(part in record.getMessage() for part in NOISE)


def _author(record: logging.LogRecord) -> str:
    """The file whose code logs a record, also through MMEngine's ``print_log``."""
    if not record.pathname.startswith(PASS_ON):
        return record.pathname
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith((*PASS_ON, __file__)):
        frame = frame.f_back
    return record.pathname if frame is None else frame.f_code.co_filename
