"""The step with the encoders compiled (``model.compile=True``), beside the plain one in the same rounds."""

from .job import Job
from .speed import settings, step_options


def run(job: Job) -> None:
    """Keep the rows; on a CPU compiling takes minutes and gains nothing, so a dry run compiles no network."""
    options = step_options(job, settings(job))
    only = r'MoCo v2|LooC\(2\)' if job.dry else r'LooC\(2\)|.*compiled'
    found = job.benchmark('step', *options, '--only', only, *([] if job.dry else ['--compile', '--no-views']))
    job.keep(step=found)
