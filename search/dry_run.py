"""What a search would do, said without starting anything."""

import json
import sys
from collections.abc import Sequence

from search import warm_start
from search.cli import Options
from search.resuming import Earlier
from search.task import Task
from search.warm_start import WarmStart


def show(task: Task, options: Options, warm: Sequence[WarmStart], earlier: Earlier | None = None) -> None:
    """Prints the conf as resolved and the plan; ``earlier``: what the search goes on from, if it does.

    Raises:
        UserError: whatever a search would be refused for.
    """
    import yaml

    from search import cluster
    from search.reading import read, read_weights, wanted

    nodes = cluster.nodes_at(options.ray_address) if options.ray_address else cluster.this_machine()
    grows = cluster.autoscaler_at(options.ray_address) if options.ray_address else None
    kinds = grows.kinds if grows else ()
    gpus = cluster.gpus_for([*nodes, *kinds], options.gpus_per_trial)
    slots = cluster.slots(nodes, options.cpus_per_trial, gpus, kinds, grows=grows is not None)
    slots = min(slots, options.max_concurrent or sys.maxsize)
    read_weights(task, options.data_root, wanted(task, references=options.references))
    dataset = read(task, options.data_root)
    assert dataset.test is not None
    warm_start.check_data(warm, dataset, task)
    if earlier:
        earlier.check(task, dataset.digest())
    confirmation = (
        f"the best {options.confirm} configurations and each family's best, with {options.confirm_seeds} seeds each, "
        "in at most a quarter of the search's epochs"
    )
    plan = {
        "slots": f"{slots} trials side by side, each {options.cpus_per_trial:g} CPUs and {gpus:g} GPUs, "
        f"on {options.ray_address or 'this machine'}",
        "rungs": list(task.milestones),
        "most epochs": options.num_samples * task.epochs,
        "confirmation": confirmation if options.confirm else "none",
        "references": [reference.name for reference in task.references] if options.references else [],
        "warm start": [str(search) for search in warm],
        "goes on with": earlier.history.counts() if earlier else {},
        "dataset": {
            "from": dataset.origin,
            "warnings": list(dataset.warnings),
            "development": len(dataset.development),
            "folds": [f"{len(fold.train)} train, {len(fold.val)} validation" for fold in dataset.folds],
            "test": len(dataset.test),
            "input shape": list(dataset.input_shape),
            "classes": len(dataset.classes),
            "MB": round((dataset.development.inputs.nbytes + dataset.test.inputs.nbytes) / 1e6, 1),
        },
    }
    if options.json:
        print(json.dumps({"conf": task.resolved, "plan": plan}, indent=2))
        return
    for title, content in (("conf, as resolved", task.resolved), ("plan", plan)):
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
        print(f"# {title}\n{text}")
