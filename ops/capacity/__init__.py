"""What the platform needs of AWS at a rate of decisions, and what that costs: a model, and pages made from it."""
