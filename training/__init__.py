"""The training program: one container for dataset, training and evaluation, with SageMaker's contract."""
