"""The local cloud: an AWS emulator on one port of this machine, with a SageMaker of our own.

``control`` starts and stops it, ``deploy`` brings the CDK app into it. Everything that runs inside the
server process (``server``, ``sagemaker``, ``seam``) is imported by that process only.
"""
