"""Single facts in 128K tokens of unseen text: free generation, 100 questions, 10 depths.

Target: 95% exact. Wordings, vocabulary and text are held out from training. The history holds all
the facts; while one is asked, the others are hidden. The same as `hsa-memory eval --alone --task
niah,mq_niah,vt,code,dialogue,changed,unknown`; without `--alone` that is the harder case of many
facts side by side. Which questions are drawn depends on the tasks and their order.
"""

from __future__ import annotations

import sys

from _machine import parser

from hsa_memory import evaluation
from hsa_memory.cli_view import console
from hsa_memory.engine import load_engine
from hsa_memory.evaluation_report import show

TASKS = "niah,mq_niah,vt,code,dialogue,changed,unknown"


def main() -> int:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--task", default=TASKS, help="as of `hsa-memory eval`")
    options.add_argument("--length", type=int, default=131_072)
    options.add_argument("--questions", type=int, default=100, help="per task")
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    settings = evaluation.Settings(
        length=8_192 if args.quick else args.length,
        tasks=tuple(args.task.split(",")),
        questions=2 if args.quick else args.questions,
        alone=True,
        seed=args.seed,
    )
    report = evaluation.run(load_engine(args.model, "auto"), settings, name=args.model)
    show(report, console())
    if args.json is not None:
        evaluation.write(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
