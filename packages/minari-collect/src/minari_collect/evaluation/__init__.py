"""How good a policy is: returns of whole episodes, and scores."""
