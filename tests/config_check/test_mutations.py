"""A sample of the mutations that ``python -m tests.mutate_configs`` makes."""

from ..mutate_configs import goals_met, run


def test_a_sample_of_mutations(capsys):
    verdicts = run(number=20, seed=7, before=False)
    assert verdicts.total() == 20 and goals_met(verdicts), capsys.readouterr().out
