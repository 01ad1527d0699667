"""Small problems that several experiments share: their data, reward, evaluator and small models."""
