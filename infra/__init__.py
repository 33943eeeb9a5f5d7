"""The CDK application: everything that is deployed, and nothing that runs in a Lambda."""
