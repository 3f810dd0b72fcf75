"""The parts of ``benchmarks/gpu.py``, a module each: ``run(job)`` measures and keeps its figures in the job."""
