"""Evaluation as MMEngine's test loop."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from looc_mm.checkpoint import load_weights, read_checkpoint
from looc_mm.registry import LOOPS, PROTOCOLS

from .run import run_protocols, table
from .source import FeatureSource


@LOOPS.register_module()
class FrozenFeatureLoop(BaseLoop):
    """Run protocols on frozen features and write ``results.json`` into the work directory.

    Args:
        runner: The runner.
        dataloader: Of the test split.
        train_dataloader: Of the training split.
        protocols: Configs of protocols.
        dataset: Name for the record.
        representation: Which ones, each of which is scored, as for
            :func:`looc_mm.models.representation.resolve_spaces`; None for V.
        seed: Of the protocols' random choices.
        amp: Whether features are extracted under autocast.
        cache: Folder where features are kept and found again, None for none.
        skip_unsuitable: Whether a protocol that does not suit is left out with a line, and no error.
        checkpoint: Path for the record, of weights that were loaded already; None for random weights.
        experiment: Name of the pretraining config for the record.
        states: How far the training of each space got, by the checkpoint.
        allow_missing_classes: Whether the test may lack pictures of classes; see
            :class:`looc_mm.evaluation.source.FeatureSource`.
        evaluator: Not used; the runner passes it.

    Raises:
        ValueError: The model has no such space; as :class:`looc_mm.evaluation.source.FeatureSource`.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        train_dataloader: DataLoader | dict,
        protocols: list[dict],
        dataset: str,
        representation: Sequence[str] | None = None,
        seed: int = 0,
        amp: bool = False,
        cache: str | None = None,
        skip_unsuitable: bool = False,
        checkpoint: str | None = None,
        experiment: str | None = None,
        states: Mapping[str, str] | None = None,
        allow_missing_classes: bool = False,
        evaluator: Any = None,
    ) -> None:
        self.source = FeatureSource(
            runner.model.module if is_model_wrapper(runner.model) else runner.model,
            {'train': train_dataloader, 'test': dataloader},
            name=dataset,
            spaces=representation,
            seed=seed,
            amp=amp,
            cache=cache,
            states=states,
            allow_missing_classes=allow_missing_classes,
        )
        super().__init__(runner, self.source.loaders['test'])
        self.protocols = [PROTOCOLS.build(protocol, default_args=dict(seed=seed)) for protocol in protocols]
        self.checkpoint = runner._load_from or checkpoint
        self.experiment = experiment
        self.skip = skip_unsuitable

    def run(self) -> dict[str, float]:
        """Run all protocols; returns values by name, such as ``{'linear/imagenette/top1': 83.1}``."""
        if loaded := self.runner._load_from:  # MMEngine only warns of weights that are missing
            load_weights(self.source.model, read_checkpoint(loaded))
        metrics = run_protocols(
            self.source, self.protocols, self.runner.work_dir, self.checkpoint, self.experiment, self.skip
        )
        if is_main_process():
            print(table(self.source, metrics, self.checkpoint))
        return metrics
