"""The headline: images/s of training from JPEG files, beside MMPreTrain's MoCo v2 and beside data that is ready."""

from .job import Job

IN100, EPOCHS = 126_689, 500  # pictures of ImageNet-100's training split, and the paper's epochs


def run(job: Job) -> None:
    """Keep what ``benchmarks/train.py`` measures, and what the paper's training would cost at this rate."""
    tiny = ['--quick', '--size', 32, '--batch', 4, '--rounds', 1, '--steps', 1]
    found = job.benchmark('train', *(tiny if job.dry else ['--rounds', 1 if job.seconds < 120 else 2]))
    rate = {row['case']: row['images/s'] for row in found['rows']}['LooC(2), from files']
    job.keep(**found, hours=IN100 * EPOCHS / rate / 3600)
