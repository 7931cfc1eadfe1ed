"""A command for each image that must succeed in it, which shows that its programs and libraries are there."""

SMOKE = {
    "operator": ["bitagent-operator", "--help"],
    "validator": ["bitagent-validator", "--help"],
    "evaluator-cpu": [
        "python3",
        "-c",
        "import vllm, bitagent_evaluator.cli.app as app; raise SystemExit(app.main(['--help']))",
    ],
    "evaluator-thin": ["bitagent-eval", "--help"],
    "leaderboard": [
        "sh",
        "-c",
        "echo '{\"items\": []}' > /tmp/o && bitagent-leaderboard export /tmp/out --objects /tmp/o",
    ],
    "miner": ["bitagent-miner", "--help"],
    "world": ["python3", "-m", "bitagent_local.chain", "--help"],
}
"""A command that must succeed in each image. The GPU image is left out: it has 10 GB of packages and needs a GPU."""
