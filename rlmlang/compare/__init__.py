"""Comparing strategies: the same question, data, models, memo and budget, given to programs, tool calls and whatever else calls models."""
